// machine/cuda/broadcast_map.hpp   Where an operand of a broadcast lies, as a kernel's argument.
// core/broadcast.hpp keeps its groups of dimensions on the host. A BroadcastMap is a copy of them for one operand, with
// the stride of each group, 0 where the operand is repeated. The outermost group takes what is left of an index, so
// that operands without a repetition cost no division.
#pragma once

#include "gradus/core/broadcast.hpp"
#include "gradus/machine/cuda/grid_stride.hpp"

namespace gradus::inline GRADUS_ABI {

struct BroadcastMap {
    int groups = 0;
    Index extent[Shape::max_rank] = {};
    Index stride[Shape::max_rank] = {};

    // Of x or, with of_y, of y in `pairs`.
    BroadcastMap(const Broadcast& pairs, bool of_y) : groups(static_cast<int>(pairs.groups().size())) {
        Index walked = 1;
        for (int g = groups; g-- > 0;) {
            const Broadcast::Group& group = pairs.groups()[static_cast<std::size_t>(g)];
            extent[g] = group.extent;
            if (of_y ? group.repeats_y : group.repeats_x) continue;
            stride[g] = walked;
            walked *= group.extent;
        }
    }

    // The operand's element that belongs to element i of the result.
    __device__ __forceinline__ Index index(Index i) const {
        Index found = 0;
        for (int g = groups - 1; g > 0; --g) {
            found += i % extent[g] * stride[g];
            i /= extent[g];
        }
        return groups == 0 ? 0 : found + i * stride[0];
    }
    // Whether N elements from a multiple of N on are neighbours of the operand, or N times the same one.
    __device__ __forceinline__ bool runs_in(int N) const { return groups <= 1 || extent[groups - 1] % N == 0; }
    __device__ __forceinline__ bool stands_still() const { return groups == 0 || stride[groups - 1] == 0; }
};

// The elements of an operand that belong to a pack of the result, from element i on.
template <class T>
__device__ __forceinline__ Pack<T> load_pack(const T* p, const BroadcastMap& map, Index i, Index count) {
    constexpr int N = vector_length<T>;
    if (map.runs_in(N) && !map.stands_still()) return load_pack(p + map.index(i), count);
    Pack<T> pack;
    if (map.runs_in(N)) {
        const T only = p[map.index(i)];
        for (int k = 0; k < N; ++k) pack[k] = only;
    } else {
        for (int k = 0; k < N; ++k) pack[k] = k < count ? p[map.index(i + k)] : T(0);
    }
    return pack;
}

}  // namespace gradus::inline GRADUS_ABI
