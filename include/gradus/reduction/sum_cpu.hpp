// reduction/sum_cpu.hpp   The fast twins of sum.hpp.
// A sum over one block of neighbouring dimensions turns (A, R, B) into (A, B). Any other set of dimensions is a series
// of such sums, from the last block to the first. One of them is cut into tasks by its extents alone: along A, and,
// where A and B are small, along R, into at most 64 partial sums that are added in order afterwards.
#pragma once

#include <algorithm>
#include <vector>

#include "gradus/core/allocator.hpp"
#include "gradus/machine/cpu/chunks.hpp"
#include "gradus/machine/cpu/vector.hpp"
#include "gradus/reduction/sum.hpp"

namespace gradus::inline GRADUS_ABI {

// sums(b) = sum over r of x(r, b), x an (R, B) block of a matrix.
template <class T>
void add_rows(const T* x, Index R, Index B, Sum<T>* sums) {
    for (Index b = 0; b < B; ++b) {
        Sum<T> sum = 0;
        for (Index r = 0; r < R; ++r) sum += Sum<T>(x[r * B + b]);
        sums[b] = sum;
    }
}
inline void add_rows(const float* x, Index R, Index B, float* sums) {
    constexpr Index lanes = vec_floats;
    if (B == 1) {  // four chains, because one addition has to wait for the one before
        Vec chain[4] = {};
        Index r = 0;
        for (; r + 4 * lanes <= R; r += 4 * lanes)
            GRADUS_UNROLL for (Index k = 0; k < 4; ++k) chain[k] += load(x + r + k * lanes);
        float sum = add_lanes((chain[0] + chain[1]) + (chain[2] + chain[3]));
        for (; r < R; ++r) sum += x[r];
        *sums = sum;
        return;
    }
    Index b = 0;
    for (; b + 4 * lanes <= B; b += 4 * lanes) {
        Vec sum[4] = {};
        for (Index r = 0; r < R; ++r)
            GRADUS_UNROLL for (Index k = 0; k < 4; ++k) sum[k] += load(x + r * B + b + k * lanes);
        GRADUS_UNROLL for (Index k = 0; k < 4; ++k) store(sums + b + k * lanes, sum[k]);
    }
    for (; b < B; b += lanes) {
        Vec sum = {};
        for (Index r = 0; r < R; ++r) sum += load(x + r * B + b);
        store_some(sums + b, sum, std::min(lanes, B - b));
    }
}

// y(a, b) = factor * sum over r of x(a, r, b).
template <class T, class U>
void sum_middle(const T* x, Index A, Index R, Index B, Sum<T> factor, U* y, Write mode) {
    const Index parts = A * B >= chunk_elements ? 1 : std::clamp<Index>(R * B / chunk_elements, 1, 64);
    const Index rows = (R + parts - 1) / parts;                                                // of x, in a part
    const Index together = std::max<Index>(1, chunk_elements / std::max<Index>(1, rows * B));  // values of a, in a task
    const HostBuffer<Sum<T>> partial(parts * A * B);                                           // (parts, A, B)
    parallel_for(parts * ((A + together - 1) / together), [&](Index task) {
        const Index part = task % parts, first = task / parts * together;
        const Index begin = std::min(R, part * rows), end = std::min(R, begin + rows);
        for (Index a = first; a < std::min(A, first + together); ++a)
            add_rows(x + (a * R + begin) * B, end - begin, B, partial.data() + (part * A + a) * B);
    });
    for (Index i = 0; i < A * B; ++i) {
        Sum<T> sum = partial.data()[i];
        for (Index part = 1; part < parts; ++part) sum += partial.data()[part * A * B + i];
        put(y[i], factor * sum, mode);
    }
}

// The blocks of dimensions in `groups`, of which the last repeated one is summed, then the one before, and so on.
template <class T, class U>
void sum_groups(const T* x, std::vector<Broadcast::Group> groups, Sum<T> factor, U* y, Write mode) {
    Index A = 1, R = 1, B = 1;
    std::size_t summed = groups.size();  // the last repeated group
    int repeated = 0;
    for (std::size_t g = groups.size(); g-- > 0;) {
        if (groups[g].repeats_x && repeated++ == 0) summed = g;
    }
    for (std::size_t g = 0; g < groups.size(); ++g) {
        Index& extent = g < summed ? A : g == summed ? R : B;
        extent *= groups[g].extent;
    }
    if (repeated <= 1) {
        sum_middle(x, A, R, B, factor, y, mode);
        return;
    }
    const HostBuffer<Sum<T>> once(A * B);
    sum_middle(x, A, R, B, Sum<T>(1), once.data(), Write::overwrite);
    groups.erase(groups.begin() + static_cast<std::ptrdiff_t>(summed));
    sum_groups(static_cast<const Sum<T>*>(once.data()), groups, factor, y, mode);
}

template <class T, class U>
void sum_forward(Cpu, const Broadcast& pairs, Vector<const T> x, Sum<T> factor, Vector<U> y, Write mode) {
    if (y.size() > 0) sum_groups(x.data(), pairs.groups(), factor, y.data(), mode);
}

// A run of elements that are next to each other both in dx and in dy, or all take one element of dy.
template <class T>
void spread(const T* dy, bool repeats, Sum<T> factor, T* dx, Index count, Write mode) {
    for (Index i = 0; i < count; ++i) put(dx[i], factor * Sum<T>(dy[repeats ? 0 : i]), mode);
}
inline void spread(const float* dy, bool repeats, float factor, float* dx, Index count, Write mode) {
    for (Index i = 0; i < count; i += vec_floats) {
        const Index lanes = std::min<Index>(vec_floats, count - i);
        Vec value = factor * (repeats ? broadcast(*dy) : load(dy + i));
        if (mode == Write::add) value += load_some(dx + i, lanes);
        store_some(dx + i, value, lanes);
    }
}
template <class T>
void sum_backward(Cpu, const Broadcast& pairs, Vector<const T> dy, Sum<T> factor, Vector<T> dx, Write mode) {
    const bool repeats = !pairs.groups().empty() && pairs.groups().back().repeats_x;
    for_broadcast_runs(pairs, [&](Index i, Index j, Index, Index count) {
        spread(dy.data() + j, repeats, factor, dx.data() + i, count, mode);
    });
}

}  // namespace gradus::inline GRADUS_ABI
