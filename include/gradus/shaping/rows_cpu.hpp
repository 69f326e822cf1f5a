// shaping/rows_cpu.hpp   The fast twins of rows.hpp: runs of neighbours, in parallel.
// With step 1 the selected rows of one a are a single run of count * B elements, and place_rows writes every element
// once, zeros included.
#pragma once

#include <algorithm>
#include <cstring>

#include "gradus/machine/cpu/chunks.hpp"
#include "gradus/shaping/rows.hpp"

namespace gradus::inline GRADUS_ABI {

template <class T>
void copy_run(const T* from, T* to, Index count, Write mode) {
    if (mode == Write::overwrite && count >= 8) {
        std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(T));
        return;
    }
    for (Index i = 0; i < count; ++i) put(to[i], Sum<T>(from[i]), mode);
}

// body(a) for a in 0 to A-1, of which each touches `elements` elements.
template <class Body>
void for_runs(Index A, Index elements, const Body& body) {
    const Index together = std::max<Index>(1, chunk_elements / std::max<Index>(1, elements));
    parallel_for((A + together - 1) / together, [&](Index task) {
        for (Index a = task * together; a < std::min(A, (task + 1) * together); ++a) body(a);
    });
}

template <class T>
void take_rows(Cpu, const Rows& rows, Vector<const T> large, Vector<T> small, Write mode) {
    const auto [A, R, B, start, step, count] = rows;
    const T* const from = large.data() + start * B;
    if (step == 1) {
        const Index run = count * B, stride = R * B;
        for_runs(A, run, [=, to = small.data()](Index a) { copy_run(from + a * stride, to + a * run, run, mode); });
        return;
    }
    for_runs(A, count * B, [=, R = R, B = B, step = step, count = count, to = small.data()](Index a) {
        for (Index i = 0; i < count; ++i) copy_run(from + (a * R + step * i) * B, to + (a * count + i) * B, B, mode);
    });
}

template <class T>
void place_rows(Cpu, const Rows& rows, Vector<const T> small, Vector<T> large, Rest rest, Write mode) {
    const auto [A, R, B, start, step, count] = rows;
    const bool fills = rest == Rest::zero && mode == Write::overwrite;
    const Index pieces = step == 1 ? 1 : count, run = step == 1 ? count * B : B;  // pieces of `run` neighbours for an a
    for_runs(A, fills ? R * B : count * B, [&, R = R, B = B, start = start, step = step](Index a) {
        T* const first = large.data() + a * R * B;
        T* zeroed = first;  // everything before is written
        for (Index i = 0; i < pieces; ++i) {
            T* const to = first + (start + step * i) * B;
            if (fills) std::fill(zeroed, to, T(0));
            copy_run(small.data() + (a * pieces + i) * run, to, run, mode);
            zeroed = to + run;
        }
        if (fills) std::fill(zeroed, first + R * B, T(0));
    });
}

}  // namespace gradus::inline GRADUS_ABI
