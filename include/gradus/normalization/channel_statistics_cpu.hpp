// normalization/channel_statistics_cpu.hpp   Mean and variance of every channel in little more than one pass.
// Problem  sum x^2 - (sum x)^2 / M cancels where the mean is large; subtracting the mean first needs a second pass.
// Answer   In a block of n rows, sums are taken of x - s, with s the mean of its first eighth, which is read twice
//          (from the cache): mean = s + sum (x - s) / n, squares = sum (x - s)^2 - (sum (x - s))^2 / n. Blocks are
//          merged by
//              mean    = mean_a + (mean_b - mean_a) n_b / n,                                        n = n_a + n_b
//              squares = squares_a + squares_b + (mean_b - mean_a)^2 n_a n_b / n
//          (Chan, Golub, LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample variances").
// Error    Let e be the relative error of a sum of a block, and d = mean - s. squares has an error of at most
//          e sum (x - s)^2 = e (squares + n d^2). The first n/8 rows lie d from the mean on average, so the other 7n/8
//          lie d/7 on its other side, and squares >= n/8 d^2 + 7n/8 (d/7)^2 = n d^2 / 7. So the variance's relative
//          error stays below 8e (and the rounding of s), however large the mean is and however it drifts; likewise the
//          error of the mean, e sum |x - s| / n, below 3e standard deviations.
#pragma once

#include "gradus/core/view.hpp"
#include "gradus/normalization/channel_lanes_cpu.hpp"

namespace gradus::inline GRADUS_ABI {

template <class T>
struct ChannelMomentsKernel {
    static constexpr Index streams = 4;
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
    LaneBuffer<Sum<T>> shift(plan);
    ChannelSums<T> sums(plan);
    const ChannelMomentsKernel<T> kernel{x, shift.data(), sums.recent_first(), sums.recent_second()};
    const Index eighth = std::min(end - begin, round_up(ceil_div(end - begin, 8), plan.repeat));
    shift.fill(0);
    sums.run(begin, begin + eighth, kernel);
    for (Index c = 0; c < plan.channels; ++c)
        shift.data()[c] = static_cast<Sum<T>>(sums.first(c) / static_cast<double>(eighth));
    shift.spread_channels();

    sums.run(begin, end, kernel);
    const double count = static_cast<double>(end - begin), inverse = 1 / count;
    for (Index c = 0; c < plan.channels; ++c) {
        const double difference = sums.first(c) * inverse;  // mean - s
        moments[c] = {shift.data()[c] + difference, sums.second(c) - difference * difference * count};
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
