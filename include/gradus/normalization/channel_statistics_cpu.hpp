// normalization/channel_statistics_cpu.hpp   Mean and variance of every channel in one pass over memory.
// Problem  sum x^2 - (sum x)^2 / M cancels where the mean is large; subtracting the mean first needs a second pass.
// Answer   A block of rows is read in chunks. Sums are taken of x - s, with s the mean of the rows before; the first
//          chunk, which has none before it, is read twice (from the cache). Chunks and blocks are merged by
//              mean    = mean_a + (mean_b - mean_a) n_b / n,                                        n = n_a + n_b
//              squares = squares_a + squares_b + (mean_b - mean_a)^2 n_a n_b / n
//          (Chan, Golub, LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample variances").
// Error    Let e be the relative error of the float sums over a chunk. A chunk b with its mean d away from s has
//          squares_b = sum (x-s)^2 - n_b d^2, with an error of e (squares_b + n_b d^2). Merging adds d^2 n_a n_b / n to
//          the squares, at least n_b d^2 / 3 as 2 n_a >= n_b. So the variance's relative error stays below 4e (and the
//          rounding of s), however large the mean is and however it drifts.
#pragma once

#include "gradus/core/view.hpp"
#include "gradus/normalization/channel_lanes_cpu.hpp"

namespace gradus::inline GRADUS_ABI {

template <class T>
struct ChannelMomentsKernel {
    const T* x;
    const Sum<T>* shift;
    Sum<T>*sum, *squares;  // by lane: sum (x - shift) and sum (x - shift)^2 are added

    template <class V, int N>
    void columns(Index offset, Index count, Index stride, Index lane) const {
        constexpr Index step = lanes_of<V>;
        V s[N], first[N], second[N];
        GRADUS_UNROLL for (int j = 0; j < N; ++j) {
            s[j] = load_lanes<V>(shift + lane + j * step);
            first[j] = load_lanes<V>(sum + lane + j * step);
            second[j] = load_lanes<V>(squares + lane + j * step);
        }
        const T* row = x + offset;
        for (Index m = 0; m < count; ++m, row += stride) {
            GRADUS_UNROLL for (int j = 0; j < N; ++j) {
                const V d = load_lanes<V>(row + j * step) - s[j];
                first[j] += d;
                second[j] += d * d;
            }
        }
        GRADUS_UNROLL for (int j = 0; j < N; ++j) {
            store_lanes(sum + lane + j * step, first[j]);
            store_lanes(squares + lane + j * step, second[j]);
        }
    }
};

// Of some values of one channel: squares = sum (x - mean)^2.
struct Moments {
    double mean = 0, squares = 0;
};
// Adds count_b values to count_a others; share_b = count_b / (count_a + count_b).
inline void merge(Moments& a, double count_a, const Moments& b, double share_b) {
    const double difference = b.mean - a.mean;
    a.squares += b.squares + difference * difference * count_a * share_b;
    a.mean += difference * share_b;
}

template <class T>
void block_moments(const ChannelPlan& plan, Index begin, Index end, const T* x, Moments* moments) {
    LaneBuffer<Sum<T>> shift(plan), sum(plan), squares(plan);
    const ChannelMomentsKernel<T> kernel{x, shift.data(), sum.data(), squares.data()};
    shift.fill(0);
    for (Index c = 0; c < plan.channels; ++c) moments[c] = Moments{};
    double seen = 0;              // rows before this chunk
    bool is_shift_known = false;  // the first time, only s is found
    while (begin < end) {
        const Index rows = plan.repeat * (seen == 0 ? channel_chunk / 2 : channel_chunk);
        const Index stop = std::min(end, begin + rows);
        sum.fill(0);
        squares.fill(0);
        walk_channels<T>(plan, begin, stop, kernel);
        sum.add_repeats();
        squares.add_repeats();
        const double count = static_cast<double>(stop - begin), share = count / (seen + count), inverse = 1 / count;
        for (Index c = 0; c < plan.channels; ++c) {
            const double first = sum.data()[c], second = squares.data()[c], s = shift.data()[c];
            if (is_shift_known) merge(moments[c], seen, {s + first * inverse, second - first * first * inverse}, share);
            shift.data()[c] = static_cast<Sum<T>>(is_shift_known ? moments[c].mean : first * inverse);
        }
        shift.spread_channels();
        if (is_shift_known) {
            seen += count;
            begin = stop;
        }
        is_shift_known = true;
    }
}

template <class T>
void batch_norm_statistics(Cpu, Matrix<const T> x, Vector<Sum<T>> mean, Vector<Sum<T>> var) {
    const ChannelPlan plan(x.shape()[0], x.shape()[1], std::is_same_v<T, float>, sizeof(T));
    HostBuffer<Moments> moments(plan.blocks * plan.channels);
    parallel_for(plan.blocks, [&](Index block) {
        const Index begin = block * plan.block_rows, end = std::min(plan.rows, begin + plan.block_rows);
        block_moments(plan, begin, end, x.data(), moments.data() + block * plan.channels);
    });
    Moments* all = moments.data();
    for (Index block = 1; block < plan.blocks; ++block) {
        const Index before = block * plan.block_rows, rows = std::min(plan.block_rows, plan.rows - before);
        const double share = static_cast<double>(rows) / static_cast<double>(before + rows);
        for (Index c = 0; c < plan.channels; ++c)
            merge(all[c], static_cast<double>(before), all[block * plan.channels + c], share);
    }
    for (Index c = 0; c < plan.channels; ++c) {
        mean(c) = static_cast<Sum<T>>(all[c].mean);
        var(c) = static_cast<Sum<T>>(std::max(0.0, all[c].squares / static_cast<double>(plan.rows)));
    }
}

}  // namespace gradus::inline GRADUS_ABI
