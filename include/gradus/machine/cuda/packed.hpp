// machine/cuda/packed.hpp   Packed<T, N>: N neighbours that a thread loads and stores as one word.
// Problem  A memory-bound kernel is as fast as its loads are wide: 16 bytes a thread are one instruction, whether they
//          are 4 floats or 8 halves.
// Answer   A struct of N elements, aligned to its size. Whoever reads memory through a pointer to it promises that the
//          address is a multiple of that size; the compiler then makes one load of it. vector_length<T> is the N of
//          16 bytes.
//     const auto x4 = reinterpret_cast<const Packed<T, vector_length<T>>*>(x)[i];
#pragma once

#include "gradus/machine/cuda/launch.hpp"

namespace gradus::inline GRADUS_ABI {

template <class T>
inline constexpr int vector_length = 16 / static_cast<int>(sizeof(T));

template <class T, int N>
struct alignas(N * sizeof(T)) Packed {
    static_assert(N * sizeof(T) <= 16 && (N & (N - 1)) == 0, "a thread loads 1, 2, 4, 8 or 16 bytes at once");
    T element[N];
#if !defined(__CUDACC__)
    GRADUS_OBSERVED_COPY(Packed)  // the race checker sees one access
#endif

    __device__ __forceinline__ T& operator[](int i) { return element[i]; }
    __device__ __forceinline__ const T& operator[](int i) const { return element[i]; }
};

}  // namespace gradus::inline GRADUS_ABI
