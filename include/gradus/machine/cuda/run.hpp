// machine/cuda/run.hpp   A run: N neighbours in memory, and in registers as numbers of type Sum<T>.
//     Sum<T> v[N];
//     load_run(x + k, v);  ...  put_run(y + k, v, Write::add);
// Problem  Kernels that walk along rows or down channels want packs of 16 bytes, but rows of 7 elements are not made of
//          packs; and next to a pack of 8 halves they need 8 float parameters, which are two packs.
// Answer   N is a template argument of the kernel: vector_length<T> where a row is a multiple of it, else 1. Memory
//          that is not aligned to a pack, a slice of a tensor, is read one element at a time.
#pragma once

#include "gradus/machine/cuda/grid_stride.hpp"

namespace gradus::inline GRADUS_ABI {

// N of a kernel that walks a matrix with rows of this length.
template <class T>
constexpr int run_length(Index row) {
    return row % vector_length<T> == 0 ? vector_length<T> : 1;
}

template <class T, int N>
__device__ __forceinline__ void load_run(const T* p, Sum<T> (&value)[N]) {
    constexpr int V = vector_length<T>;
    if (N % V == 0 && is_pack_aligned(p)) {
        for (int first = 0; first + V <= N; first += V) {
            const Pack<T> pack = *reinterpret_cast<const Pack<T>*>(p + first);
            for (int i = 0; i < V; ++i) value[first + i] = to_float(pack[i]);
        }
    } else {
        for (int i = 0; i < N; ++i) value[i] = to_float(p[i]);
    }
}

// put() of core/view.hpp for a run: replaces what is at p, or adds to it.
template <class T, int N>
__device__ __forceinline__ void put_run(T* p, const Sum<T> (&value)[N], Write mode) {
    constexpr int V = vector_length<T>;
    Sum<T> sum[N];
    for (int i = 0; i < N; ++i) sum[i] = value[i];
    if (mode == Write::add) {
        load_run(p, sum);
        for (int i = 0; i < N; ++i) sum[i] += value[i];
    }
    if (N % V == 0 && is_pack_aligned(p)) {
        for (int first = 0; first + V <= N; first += V) {
            Pack<T> pack;
            for (int i = 0; i < V; ++i) pack[i] = from_float<T>(sum[first + i]);
            *reinterpret_cast<Pack<T>*>(p + first) = pack;
        }
    } else {
        for (int i = 0; i < N; ++i) p[i] = from_float<T>(sum[i]);
    }
}

}  // namespace gradus::inline GRADUS_ABI
