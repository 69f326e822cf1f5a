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
#include "gradus/machine/cuda/launch.hpp"                       // launch(), and the rules for kernels: start here
#include "gradus/machine/cuda/packed.hpp"                       // a few elements as one word
#include "gradus/machine/cuda/half_device.hpp"                  // Half and BFloat16 in kernels
#include "gradus/machine/cuda/ptx.hpp"                          // cp.async, wide stores: the only PTX
#include "gradus/machine/cuda/grid_stride.hpp"                  // all elements of an array, in packs

// 2. Memory of the device: what Tensor<T, Cuda> is made of
#include "gradus/machine/cuda/card.hpp"                         // is there a GPU, and which
#include "gradus/machine/cuda/cuda_check.hpp"                   // errors of the runtime
#include "gradus/machine/cuda/current_stream.hpp"               // where the work of a thread goes
#include "gradus/machine/cuda/cuda_allocator.hpp"               // keeps what is freed
#include "gradus/machine/cuda/cuda_memory.hpp"                  // Tensor<T, Cuda>: to and from
#include "gradus/machine/cuda/cuda_stream.hpp"                  // streams and events
#include "gradus/machine/cuda/pinned_memory.hpp"                // copies that do not wait
#include "gradus/machine/cuda/cuda_graph.hpp"                   // a step of training as one launch

// 3. The kernels of the operations, in the order of their pages
#include "gradus/machine/cuda/stride_map.hpp"                   // walks over dimensions
#include "gradus/machine/cuda/broadcast_map.hpp"                // those of a broadcast
#include "gradus/machine/cuda/run.hpp"                          // N neighbours of a row
#include "gradus/machine/cuda/find_first.hpp"                   // the first bad element
#include "gradus/autograd/anomaly_cuda.cuh"
#include "gradus/elementwise/unary_cuda.cuh"
#include "gradus/elementwise/binary_cuda.cuh"
#include "gradus/reduction/reduction_plan_cuda.cuh"
#include "gradus/reduction/sum_cuda.cuh"
#include "gradus/reduction/max_cuda.cuh"
#include "gradus/shaping/rows_cuda.cuh"
#include "gradus/shaping/permute_cuda.cuh"
#include "gradus/linear/tiled_matmul_cuda.cuh"                  // a matrix product by hand: a first kernel to read
#include "gradus/machine/cuda/cublas.hpp"                       // matrix products of the library
#include "gradus/machine/cuda/parameters.hpp"                   // float weights for 16-bit products
#include "gradus/linear/matmul_cuda.cuh"
#include "gradus/linear/linear_cuda.cuh"
#include "gradus/softmax/row_teams_cuda.cuh"
#include "gradus/softmax/softmax_cuda.cuh"
#include "gradus/softmax/cross_entropy_cuda.cuh"
#include "gradus/machine/cuda/array_table.hpp"                  // many parameters in one launch
#include "gradus/training/sgd_cuda.cuh"
#include "gradus/training/clip_grad_cuda.cuh"
#include "gradus/convolution/conv2d_correlation_cuda.cuh"       // forward and backward-data as one thing
#include "gradus/convolution/conv2d_direct_cuda.cuh"            // rung 1: a thread a number
#include "gradus/convolution/conv2d_tiled_cuda.cuh"             // rung 2: tiles in shared memory
#include "gradus/convolution/conv2d_im2col_cuda.cuh"            // rung 3: a matrix, and cuBLAS
#include "gradus/convolution/conv2d_gemm_loader_cuda.cuh"       // rung 4: its tiles,
#include "gradus/convolution/conv2d_gemm_tile_cuda.cuh"         //       its loop on tensor cores,
#include "gradus/convolution/conv2d_implicit_gemm_cuda.cuh"     //       and what calls them
#include "gradus/convolution/conv2d_depthwise_cuda.cuh"         // beside the ladder
#include "gradus/convolution/conv2d_cuda.cuh"                   // the ladder, and who takes which rung: start here
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
