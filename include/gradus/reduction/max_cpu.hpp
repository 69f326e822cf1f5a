// reduction/max_cpu.hpp   The twins of max.hpp: vectors, on all threads.
// Over one block of dimensions, (A, R, B) to (A, B), which is what networks ask for, the rows are cut into tasks by the
// extents alone: along A, and, where A and B are small, along R. Other sets of dimensions take the loop of the
// specification.
#pragma once

#include "gradus/machine/cpu/chunks.hpp"
#include "gradus/machine/cpu/vector.hpp"
#include "gradus/reduction/max.hpp"

namespace gradus::inline GRADUS_ABI {

// rows(b): the first r whose x(r, b) is the largest, x an (R, B) block of a matrix.
template <class T>
void max_rows(const T* x, Index R, Index B, std::int64_t* rows) {
    for (Index b = 0; b < B; ++b) {
        rows[b] = 0;
        for (Index r = 1; r < R; ++r)
            if (is_above(Sum<T>(x[r * B + b]), Sum<T>(x[rows[b] * B + b]))) rows[b] = r;
    }
}
// The same of `count` columns in N vectors. R fits an int: that many floats times B are more than a machine holds.
template <int N>
void max_columns(const float* x, Index R, Index B, Index count, std::int64_t* rows) {
    Vec best[N];
    IntVec row[N] = {};
    GRADUS_UNROLL for (int j = 0; j < N; ++j) best[j] = load(x + j * vec_floats);
    for (Index r = 1; r < R; ++r) {
        GRADUS_UNROLL for (int j = 0; j < N; ++j) {
            // (Named one by one: nvcc cannot choose between elements of an array whose length is a parameter.)
            const Vec value = load(x + r * B + j * vec_floats), before = best[j];
            const IntVec here = static_cast<int>(r) - IntVec{}, row_before = row[j];
            const IntVec wins = (value > before) | ((value != value) & (before == before));  // is_above()
            best[j] = wins ? value : before;
            row[j] = wins ? here : row_before;
        }
    }
    for (Index l = 0; l < count; ++l) rows[l] = row[l / vec_floats][l % vec_floats];
}
inline void max_rows(const float* x, Index R, Index B, std::int64_t* rows) {
    constexpr Index width = 4 * vec_floats;
    if (B == 1 && R >= 2 * width) {  // as a matrix of `width` columns, then the first of their winners, then the rest
        std::int64_t winners[width];
        max_columns<4>(x, R / width, width, width, winners);
        Index best = winners[0] * width;
        for (Index l = 1; l < width; ++l) {
            const Index i = winners[l] * width + l;
            if (is_above(x[i], x[best]) || (!is_above(x[best], x[i]) && i < best)) best = i;
        }
        for (Index i = R / width * width; i < R; ++i)
            if (is_above(x[i], x[best])) best = i;
        *rows = best;
        return;
    }
    if (B == 1) return max_rows<float>(x, R, B, rows);
    Index b = 0;
    for (; b + width <= B; b += width) max_columns<4>(x + b, R, B, width, rows + b);
    for (; b < B; b += vec_floats) max_columns<1>(x + b, R, B, std::min<Index>(vec_floats, B - b), rows + b);
}

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
    if (positions.size() == 0) return;
    const Index wanted = A * B >= chunk_elements ? 1 : std::clamp<Index>(R * B / chunk_elements, 1, 64);
    const Index rows = (R + wanted - 1) / wanted, parts = (R + rows - 1) / rows;               // none of them is empty
    const Index together = std::max<Index>(1, chunk_elements / std::max<Index>(1, rows * B));  // values of a, in a task
    const HostBuffer<std::int64_t> winners(parts * A * B);                                     // (parts, A, B)
    parallel_for(parts * ((A + together - 1) / together), [&](Index task) {
        const Index part = task % parts, first = task / parts * together, begin = part * rows;
        for (Index a = first; a < std::min(A, first + together); ++a) {
            std::int64_t* to = winners.data() + (part * A + a) * B;
            max_rows(x.data() + (a * R + begin) * B, std::min(rows, R - begin), B, to);
            for (Index b = 0; b < B; ++b) to[b] = (a * R + begin + to[b]) * B + b;  // the row as a position in x
        }
    });
    for (Index i = 0; i < A * B; ++i) {
        positions(i) = winners.data()[i];
        for (Index part = 1; part < parts; ++part) {
            const std::int64_t other = winners.data()[part * A * B + i];
            if (is_above(Sum<T>(x(other)), Sum<T>(x(positions(i))))) positions(i) = other;
        }
    }
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
inline void positions_along(Cpu, Vector<std::int64_t> positions, Index stride, Index extent) {
    positions_along(Reference{}, positions, stride, extent);
}

}  // namespace gradus::inline GRADUS_ABI
