// machine/cuda/runtime.hpp   The CUDA runtime: the toolkit's under nvcc, the emulator's with -DGRADUS_EMULATE_CUDA.
// Everything of the library that runs on a GPU includes this header or launch.hpp, and never the toolkit's own headers.
// A program for the CPU alone includes neither.
#pragma once

#include "gradus/core/check.hpp"

#if defined(CUDA_API_PER_THREAD_DEFAULT_STREAM)
#error "Gradus needs the one default stream that all threads share: compile without --default-stream per-thread."
#endif
#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <mma.h>
#elif defined(GRADUS_EMULATE_CUDA)
#include "gradus/machine/emulator/emulator.hpp"
#else
#error "CUDA kernels need nvcc, or -DGRADUS_EMULATE_CUDA to run them on the CPU."
#endif
