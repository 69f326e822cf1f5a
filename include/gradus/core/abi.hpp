// core/abi.hpp   What compiles Gradus, and how differently compiled parts live in one program.
// Problem  The library is header-only: every translation unit carries its own copy of each inline function, and the
//          linker keeps one. If one unit was compiled for AVX-512 and another for SSE2, the survivor may be the wrong
//          one.
// Answer   An inline namespace named after everything that changes the generated code. gradus::Tensor stays
//          gradus::Tensor in the source; in the object file it is gradus::avx512_throws_threads::Tensor.
#pragma once

#if defined(_MSC_VER) && !defined(__clang__)
#error "Gradus needs g++ 12 or clang 14, or later. On Windows, please use WSL."
#endif
#if __cplusplus < 202002L
#error "Gradus needs C++20: compile with -std=c++20."
#endif

#define GRADUS_VERSION "0.1.0"

// The widest vectors that this translation unit may use.
#if defined(__AVX512F__)
#define GRADUS_ISA avx512
#elif defined(__AVX2__) && defined(__FMA__)
#define GRADUS_ISA avx2
#elif defined(__AVX__)
#define GRADUS_ISA avx
#elif defined(__SSE2__)
#define GRADUS_ISA sse2
#elif defined(__ARM_NEON)
#define GRADUS_ISA neon
#else
#define GRADUS_ISA portable
#endif

#if defined(__cpp_exceptions)
#define GRADUS_ERRORS throws
#else
#define GRADUS_ERRORS aborts
#endif

#if defined(GRADUS_NO_THREADS)
#define GRADUS_THREADING serial
#else
#define GRADUS_THREADING threads
#endif

#if defined(__CUDACC__)
#define GRADUS_DEVICES cuda
#elif defined(GRADUS_EMULATE_CUDA)
#define GRADUS_DEVICES emulated
#else
#define GRADUS_DEVICES host
#endif

#define GRADUS_JOIN_NAMES(a, b, c, d) a##_##b##_##c##_##d
#define GRADUS_JOIN(a, b, c, d) GRADUS_JOIN_NAMES(a, b, c, d)
#define GRADUS_ABI GRADUS_JOIN(GRADUS_ISA, GRADUS_ERRORS, GRADUS_THREADING, GRADUS_DEVICES)

// clang tells of AddressSanitizer through a feature test, g++ through a macro.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

// What runs a few times in a program, files, reports, constructors: compiled for size, which takes half as long as for
// speed.
#define GRADUS_COLD __attribute__((cold))
// What runs once for a layer, between kernels: the checks of an operation, its node, a layer's forward. There is one of
// each for every operation, type and device, and beside a kernel its microseconds do not count: compiled for size as
// well. g++ then does the same with a function that only such code calls. The loops of a fast kernel are out of its
// reach where parallel_for calls them, through a pointer.
#define GRADUS_GLUE __attribute__((cold))
#define GRADUS_INLINE inline __attribute__((always_inline))
// For what hundreds of places call, so that it is compiled once and not in each of them. And for a long body of a loop
// that addresses memory at many strides: inside of the loop g++ would keep a pointer for each in memory and add to all
// of them in every pass.
#define GRADUS_NOT_INLINE inline __attribute__((noinline))

// Small functions that CUDA kernels call too.
#if defined(__CUDACC__)
#define GRADUS_HOST_DEVICE __host__ __device__
#else
#define GRADUS_HOST_DEVICE
#endif
