// cuda.hpp   The second table of contents: CUDA. gradus.hpp includes it under nvcc and with -DGRADUS_EMULATE_CUDA.
// Kernels are plain CUDA C++. nvcc compiles them for a GPU; any other compiler runs them on the CPU, in the emulator.
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

// 3. The kernels of the operations
#include "gradus/machine/cuda/broadcast_map.hpp"
#include "gradus/elementwise/unary_cuda.cuh"
#include "gradus/reduction/sum_cuda.cuh"
#include "gradus/elementwise/binary_cuda.cuh"
#include "gradus/elementwise/dropout_cuda.cuh"

// 4. CUDA on a CPU: how the emulator runs them
#if defined(GRADUS_EMULATE_CUDA) && !defined(__CUDACC__)
#include "gradus/machine/emulator/emulator.hpp"
#endif
