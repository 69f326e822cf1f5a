// reduction/max_cpu.hpp   The twins of max.hpp on all threads.
// Over one block of dimensions, (A, R, B) to (A, B), which is what networks ask for, tasks are runs along A. Other sets
// of dimensions take the loop of the specification.
#pragma once

#include "gradus/machine/cpu/chunks.hpp"
#include "gradus/reduction/max.hpp"

namespace gradus::inline GRADUS_ABI {

template <class T>
void max_positions(Cpu, const Broadcast& pairs, Vector<const T> x, Vector<std::int64_t> positions) {
    Index A = 1, R = 1, B = 1;
    int blocks = 0;
    for (const Broadcast::Group& group : pairs.groups()) {
        if (group.repeats_x) ++blocks;
        Index& extent = group.repeats_x ? R : blocks == 0 ? A : B;
        extent *= group.extent;
    }
    if (blocks > 1) {
        max_positions(Reference{}, pairs, x, positions);
        return;
    }
    const Index together = std::max<Index>(1, chunk_elements / std::max<Index>(1, R * B));
    parallel_for((A + together - 1) / together, [&](Index task) {
        for (Index a = task * together; a < std::min(A, (task + 1) * together); ++a)
            for (Index b = 0; b < B; ++b) {
                Index best = a * R * B + b;
                for (Index r = 1; r < R; ++r) {
                    const Index i = (a * R + r) * B + b;
                    if (is_above(Sum<T>(x(i)), Sum<T>(x(best)))) best = i;
                }
                positions(a * B + b) = best;
            }
    });
}
template <class T>
void max_forward(Cpu, Vector<const T> x, Vector<const std::int64_t> positions, Vector<T> y) {
    max_forward(Reference{}, x, positions, y);
}
template <class T>
void max_backward(Cpu, Vector<const std::int64_t> positions, Vector<const T> dy, Vector<T> dx, Write mode) {
    if (mode == Write::overwrite)
        for_chunks(dx.size(), [&](Index begin, Index end) { std::fill(dx.data() + begin, dx.data() + end, T(0)); });
    max_backward(Reference{}, positions, dy, dx, Write::add);
}

}  // namespace gradus::inline GRADUS_ABI
