// machine/cuda/stride_map.hpp   Where the elements of a tensor, walked in order, lie in another one; for kernels.
//     StrideMap map;
//     map.add(C, 1);  map.add(H * W, 0);  map.add(N, C);    (N, 1, 1, C) as the elements of (N, H, W, C) meet it
// A dimension of the walk has `extent` entries, which lie `stride` elements apart in the other tensor: 0 where it is
// repeated, any number for a selection or a permutation. They are added from the innermost to the outermost, and join
// where they walk on as one. The outermost takes what is left of an index, so that a map of one dimension costs no
// division, and one of two costs one.
// A kernel takes it as `const __grid_constant__ StrideMap`: since its arrays are indexed by a variable, it would be
// copied to every thread's local memory otherwise.
#pragma once

#include "gradus/machine/cuda/grid_stride.hpp"

namespace gradus::inline GRADUS_ABI {

// A pack whose elements are numbered by a variable is in local memory, not in registers. nvcc leaves a loop as it is
// where its body is as long as the divisions of a map.
#if defined(__CUDACC__)
#define GRADUS_UNROLL_PACK _Pragma("unroll")
#else
#define GRADUS_UNROLL_PACK
#endif

struct StrideMap {
    int dimensions = 0;
    Index extent[Shape::max_rank] = {};  // innermost first
    Index stride[Shape::max_rank] = {};

    void add(Index n, Index apart) {
        if (n == 1) return;
        const int last = dimensions - 1;
        if (dimensions > 0 && apart == extent[last] * stride[last]) {
            extent[last] *= n;
            return;
        }
        extent[dimensions] = n;
        stride[dimensions] = apart;
        ++dimensions;
    }

    // The element of the other tensor that belongs to element i of the walk.
    __device__ __forceinline__ Index index(Index i) const {
        Index found = 0;
        for (int d = 0; d + 1 < dimensions; ++d) {
            found += i % extent[d] * stride[d];
            i /= extent[d];
        }
        return dimensions == 0 ? 0 : found + i * stride[dimensions - 1];
    }
    // Whether the N elements from a multiple of N on, as far as there are N, are neighbours there too,
    GRADUS_HOST_DEVICE bool are_neighbours(int N) const { return dimensions > 0 && stride[0] == 1 && fits(N); }
    // or all the same one.
    GRADUS_HOST_DEVICE bool are_one(int N) const { return dimensions == 0 || (stride[0] == 0 && fits(N)); }
    // Whether element i + step of the walk always meets the same element as i: a row that is repeated, whose length
    // divides the step.
    GRADUS_HOST_DEVICE bool repeats_after(Index step) const {
        if (dimensions == 0) return true;
        return stride[dimensions - 1] == 0 && (dimensions == 1 || (dimensions == 2 && step % extent[0] == 0));
    }

private:
    GRADUS_HOST_DEVICE bool fits(int N) const { return dimensions == 1 || extent[0] % N == 0; }
};

// The elements of the other tensor that belong to a pack of the walk, from element i on. Which way is the same for all
// threads of a kernel.
template <class T>
__device__ __forceinline__ Pack<T> load_pack(const T* p, const StrideMap& map, Index i, Index count) {
    constexpr int N = vector_length<T>;
    if (map.are_neighbours(N)) return load_pack(p + map.index(i), count);
    Pack<T> pack;
    if (map.are_one(N)) {
        const T only = p[map.index(i)];
        for (int k = 0; k < N; ++k) pack[k] = only;
    } else {
        GRADUS_UNROLL_PACK for (int k = 0; k < N; ++k) pack[k] = k < count ? p[map.index(i + k)] : T(0);
    }
    return pack;
}

// put() of core/view.hpp with the card's own conversions.
template <class T>
__device__ __forceinline__ void put_element(T& target, Sum<T> value, Write mode) {
    target = from_float<T>(mode == Write::add ? to_float(target) + value : value);
}

}  // namespace gradus::inline GRADUS_ABI
