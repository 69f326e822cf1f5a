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

// 2. CUDA on a CPU: how the emulator runs them
#if defined(GRADUS_EMULATE_CUDA) && !defined(__CUDACC__)
#include "gradus/machine/emulator/emulator.hpp"
#endif
