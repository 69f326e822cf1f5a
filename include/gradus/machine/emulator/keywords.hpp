// machine/emulator/keywords.hpp   CUDA's keywords, for a compiler that does not know them.
// Problem  A kernel is C++ with a few extra words: where a function runs, where an array lives, how a loop is unrolled.
// Answer   On a CPU most of these words mean nothing. __global__, __device__ and __host__ say where code runs: here it
//          all runs on one machine. __launch_bounds__ bounds the threads of a block, and with them registers; the
//          emulator checks neither, and a card refuses a launch with more threads.
//          __restrict__ is known to g++ and clang already.
// A plain __shared__ array becomes a static array of the operating-system thread. That is one array per block, because
// a block never leaves its thread (block.hpp). It is zero in the first block and keeps its contents from block to
// block, and the checkers do not see it: under the race checker it does not compile. GRADUS_SHARED (shared_memory.hpp)
// is better. There is no __constant__: the host could write here what a card reaches with cudaMemcpyToSymbol only.
// The standard headers come first: these words are macros here, and a header might use them as names.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/core/abi.hpp"

#if defined(__CUDACC__) || defined(__CUDA_RUNTIME_API_H__)
#error "The emulator replaces the CUDA toolkit: one translation unit cannot have both."
#endif

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)
#define __grid_constant__

// The sanitizers under which the emulator has work to do. g++ defines __SANITIZE_...__, clang has features.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer) && !defined(__SANITIZE_THREAD__)
#define __SANITIZE_THREAD__ 1
#endif
#endif

// The emulator's own hot functions. Compiled into the kernel, so that a context switch saves only the registers in use;
// `artificial`: a debugger steps over them. Kernels compiled for the race checker call their checker for every access
// to memory (race_checker.hpp): the emulator's own accesses must not.
#if defined(__SANITIZE_THREAD__)
#define GRADUS_EMULATOR_INLINE __attribute__((noinline, no_sanitize("thread"))) inline
#define GRADUS_EMULATOR_QUIET __attribute__((no_sanitize("thread")))
#define __shared__ \
    _Pragma(       \
        "GCC error \"the race checker does not see a plain __shared__ array: use GRADUS_SHARED\"") static thread_local
#else
#define __shared__ static thread_local
#define GRADUS_EMULATOR_INLINE __attribute__((always_inline, artificial)) inline
#define GRADUS_EMULATOR_QUIET
#endif
