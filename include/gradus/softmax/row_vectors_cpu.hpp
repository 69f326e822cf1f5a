// softmax/row_vectors_cpu.hpp   What the fast twins of softmax and cross entropy share: for a row x of floats, its
// maximum m and the sum of exp(x - m). The last vector of a row may be incomplete: lanes behind the row are replaced.
#pragma once

#include <algorithm>
#include <limits>

#include "gradus/elementwise/math.hpp"
#include "gradus/machine/cpu/thread_pool.hpp"
#include "gradus/machine/cpu/vector.hpp"

namespace gradus::inline GRADUS_ABI {

inline constexpr float lane_numbers[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

// The elements of x from k on, as far as there are `size` of them; `fill` in the other lanes.
GRADUS_INLINE Vec row_vector(const float* x, Index k, Index size, float fill) {
    const Vec v = load(x + k);
    if (size - k >= vec_floats) return v;
    return Math::select(load(lane_numbers) < static_cast<float>(size - k), v, broadcast(fill));
}

inline float row_max(const float* x, Index size) {
    constexpr float lowest = -std::numeric_limits<float>::infinity();
    Vec largest = broadcast(lowest);
    for (Index k = 0; k < size; k += vec_floats) {
        const Vec v = row_vector(x, k, size, lowest);
        largest = v > largest ? v : largest;
    }
    return max_lanes(largest);
}

inline float row_exp_sum(const float* x, Index size, float m) {
    Vec sum{};
    for (Index k = 0; k < size; k += vec_floats)  // exp(-infinity) is 0
        sum += Math::exp(row_vector(x, k, size, -std::numeric_limits<float>::infinity()) - m);
    return add_lanes(sum);
}

// body(row) for all rows, of which a task takes about 4096 elements.
template <class Body>
void parallel_rows(Index rows, Index row_size, const Body& body) {
    const Index step = std::max<Index>(1, 4096 / std::max<Index>(row_size, 1));
    parallel_for(ceil_div(rows, step), [&](Index task) {
        for (Index row = task * step; row < std::min(rows, (task + 1) * step); ++row) body(row);
    });
}

}  // namespace gradus::inline GRADUS_ABI
