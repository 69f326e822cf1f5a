// cuda.hpp   The second table of contents: CUDA. gradus.hpp includes it under nvcc and with -DGRADUS_EMULATE_CUDA.
// Kernels are plain CUDA C++. nvcc compiles them for a GPU; any other compiler runs them on the CPU, in the emulator.
// Roofline in a kernel's page says for float what must be moved and computed, and how many FLOP that is for a byte. An
//          A100 does 12.5 in the time of a byte (19.5 TFLOP/s over 1555 GB/s), an H100 20, an RTX 4090 82: what has
//          fewer is bound by the memory, what has more by the arithmetic. benchmarks/cuda_kernels.txt has the times
//          that follow on these three, for all types, and the bytes that the kernels ask for.
#pragma once

// The order is that of the chapters:
// clang-format off

// 1. Kernels: how one is written and launched
#include "gradus/machine/cuda/launch.hpp"
#include "gradus/machine/cuda/packed.hpp"
#include "gradus/machine/cuda/half_device.hpp"
#include "gradus/machine/cuda/ptx.hpp"
#include "gradus/machine/cuda/grid_stride.hpp"

// 2. Memory of the device: what Tensor<T, Cuda> is made of
#include "gradus/machine/cuda/card.hpp"
#include "gradus/machine/cuda/cuda_check.hpp"
#include "gradus/machine/cuda/current_stream.hpp"
#include "gradus/machine/cuda/cuda_allocator.hpp"
#include "gradus/machine/cuda/cuda_memory.hpp"
#include "gradus/machine/cuda/cuda_stream.hpp"
#include "gradus/machine/cuda/pinned_memory.hpp"
#include "gradus/machine/cuda/cuda_graph.hpp"

// 3. The kernels of the operations, in the order of their pages
#include "gradus/machine/cuda/stride_map.hpp"
#include "gradus/machine/cuda/broadcast_map.hpp"
#include "gradus/machine/cuda/run.hpp"
#include "gradus/machine/cuda/find_first.hpp"
#include "gradus/autograd/anomaly_cuda.cuh"
#include "gradus/elementwise/unary_cuda.cuh"
#include "gradus/elementwise/binary_cuda.cuh"
#include "gradus/reduction/reduction_plan_cuda.cuh"
#include "gradus/reduction/sum_cuda.cuh"
#include "gradus/reduction/max_cuda.cuh"
#include "gradus/shaping/rows_cuda.cuh"
#include "gradus/shaping/permute_cuda.cuh"
#include "gradus/linear/tiled_matmul_cuda.cuh"
#include "gradus/machine/cuda/cublas.hpp"
#include "gradus/machine/cuda/parameters.hpp"
#include "gradus/linear/matmul_cuda.cuh"
#include "gradus/linear/linear_cuda.cuh"
#include "gradus/softmax/row_teams_cuda.cuh"
#include "gradus/softmax/softmax_cuda.cuh"
#include "gradus/softmax/cross_entropy_cuda.cuh"
#include "gradus/machine/cuda/array_table.hpp"
#include "gradus/training/sgd_cuda.cuh"
#include "gradus/training/clip_grad_cuda.cuh"
#include "gradus/convolution/conv2d_correlation_cuda.cuh"
#include "gradus/convolution/conv2d_direct_cuda.cuh"
#include "gradus/convolution/conv2d_tiled_cuda.cuh"
#include "gradus/convolution/conv2d_im2col_cuda.cuh"
#include "gradus/convolution/conv2d_gemm_loader_cuda.cuh"
#include "gradus/convolution/conv2d_gemm_tile_cuda.cuh"
#include "gradus/convolution/conv2d_implicit_gemm_cuda.cuh"
#include "gradus/convolution/conv2d_depthwise_cuda.cuh"
#include "gradus/convolution/conv2d_cuda.cuh"
#include "gradus/pooling/pixel_packs_cuda.cuh"
#include "gradus/pooling/max_pool2d_cuda.cuh"
#include "gradus/pooling/avg_pool2d_cuda.cuh"
#include "gradus/pooling/global_avg_pool2d_cuda.cuh"
#include "gradus/normalization/channel_grid_cuda.cuh"
#include "gradus/normalization/channel_statistics_cuda.cuh"
#include "gradus/normalization/batch_norm_cuda.cuh"
#include "gradus/elementwise/dropout_cuda.cuh"
#include "gradus/training/unscale_cuda.cuh"
#include "gradus/data/loader_cuda.cuh"

// 4. CUDA on a CPU: how the emulator runs them
#if defined(GRADUS_EMULATE_CUDA) && !defined(__CUDACC__)
#include "gradus/machine/emulator/emulator.hpp"
#endif
