// normalization/batch_norm_cpu.hpp   The fast twin of batch_norm.hpp: bound by memory, so every pass does all it can.
// Passes   statistics: x. Forward: x and the shortcut in, y out. Backward: x, dy, y for the two sums; then the same in,
//          dx and dshortcut out. The second pass of each pair takes the rows in the opposite order, because the last
//          ones are still in the cache.
// How vectors and threads are used is in channel_lanes_cpu.hpp, the statistics in channel_statistics_cpu.hpp.
#pragma once

#include <limits>

#include "gradus/normalization/batch_norm.hpp"
#include "gradus/normalization/channel_statistics_cpu.hpp"

namespace gradus::inline GRADUS_ABI {

template <class T>
struct BatchNormForwardKernel {
    const T *x, *shortcut;
    const Sum<T>*mean, *scale, *beta;  // by lane; scale = gamma * rstd
    Sum<T> least;                      // the smallest y: 0 with a ReLU, -infinity without
    T* y;

    template <class V, int N>
    void columns(Index offset, Index count, Index stride, Index lane) const {
        constexpr Index step = lanes_of<V>;
        const V floor = V{} + least;
        V mu[N], a[N], b[N];
        GRADUS_UNROLL for (int j = 0; j < N; ++j) {
            mu[j] = load_lanes<V>(mean + lane + j * step);
            a[j] = load_lanes<V>(scale + lane + j * step);
            b[j] = load_lanes<V>(beta + lane + j * step);
        }
        for (Index m = 0; m < count; ++m, offset += stride) {
            GRADUS_UNROLL for (int j = 0; j < N; ++j) {
                V value = (load_lanes<V>(x + offset + j * step) - mu[j]) * a[j] + b[j];
                if (shortcut) value += load_lanes<V>(shortcut + offset + j * step);
                store_lanes<V>(y + offset + j * step, value < floor ? floor : value);
            }
        }
    }
};

template <class T>
void batch_norm_forward(Cpu, Matrix<const T> x, Matrix<const T> shortcut, Vector<const Sum<T>> gamma,
                        Vector<const Sum<T>> beta, Vector<const Sum<T>> mean, Vector<const Sum<T>> rstd, bool relu,
                        Matrix<T> y) {
    const ChannelPlan plan(x.shape()[0], x.shape()[1], std::is_same_v<T, float>, sizeof(T));
    LaneBuffer<Sum<T>> mu(plan), scale(plan), offset(plan);
    for (Index c = 0; c < plan.channels; ++c) {
        mu.data()[c] = mean(c);
        scale.data()[c] = gamma(c) * rstd(c);
        offset.data()[c] = beta(c);
    }
    mu.spread_channels();
    scale.spread_channels();
    offset.spread_channels();
    const Sum<T> least = relu ? Sum<T>(0) : -std::numeric_limits<Sum<T>>::infinity();
    const BatchNormForwardKernel<T> kernel{x.data(),      shortcut.data(), mu.data(), scale.data(),
                                           offset.data(), least,           y.data()};
    // The last rows first: the statistics have just been read in ascending order, so those are still in the cache.
    parallel_for(plan.blocks, [&](Index task) {
        const Index begin = (plan.blocks - 1 - task) * plan.block_rows;
        walk_channels<T>(plan, begin, std::min(plan.rows, begin + plan.block_rows), kernel);
    });
}

// Term (0) of the derivation.
template <class V, class T>
GRADUS_INLINE V batch_norm_masked_lanes(const T* y, const T* dy) {
    const V g = load_lanes<V>(dy), zero{};
    if (!y) return g;
    return load_lanes<V>(y) > zero ? g : zero;
}

template <class T>
struct BatchNormSumsKernel {
    const T *x, *y, *dy;
    const Sum<T>* mean;
    Sum<T>*sum, *product;  // by lane: sum g and sum g*(x - mean) are added

    template <class V, int N>
    void columns(Index offset, Index count, Index stride, Index lane) const {
        constexpr Index step = lanes_of<V>;
        V mu[N], first[N], second[N];
        GRADUS_UNROLL for (int j = 0; j < N; ++j) {
            mu[j] = load_lanes<V>(mean + lane + j * step);
            first[j] = load_lanes<V>(sum + lane + j * step);
            second[j] = load_lanes<V>(product + lane + j * step);
        }
        for (Index m = 0; m < count; ++m, offset += stride) {
            GRADUS_UNROLL for (int j = 0; j < N; ++j) {
                const Index at = offset + j * step;
                const V g = batch_norm_masked_lanes<V>(y ? y + at : nullptr, dy + at);
                first[j] += g;
                second[j] += g * (load_lanes<V>(x + at) - mu[j]);
            }
        }
        GRADUS_UNROLL for (int j = 0; j < N; ++j) {
            store_lanes(sum + lane + j * step, first[j]);
            store_lanes(product + lane + j * step, second[j]);
        }
    }
};

template <class T>
void batch_norm_backward_sums(Cpu, Matrix<const T> x, Matrix<const T> y, Matrix<const T> dy, Vector<const Sum<T>> mean,
                              Vector<const Sum<T>> rstd, Vector<Sum<T>> dgamma, Vector<Sum<T>> dbeta) {
    const ChannelPlan plan(x.shape()[0], x.shape()[1], std::is_same_v<T, float>, sizeof(T));
    LaneBuffer<Sum<T>> mu(plan);
    std::copy_n(mean.data(), plan.channels, mu.data());
    mu.spread_channels();
    const Index C = plan.channels;
    HostBuffer<double> sums(plan.blocks * 2 * C);  // of each block: sum g, then sum g*(x - mean)
    parallel_for(plan.blocks, [&](Index block) {
        double* block_sums = sums.data() + block * 2 * C;
        std::fill(block_sums, block_sums + 2 * C, 0.0);
        LaneBuffer<Sum<T>> sum(plan), product(plan);
        const BatchNormSumsKernel<T> kernel{x.data(), y.data(), dy.data(), mu.data(), sum.data(), product.data()};
        const Index end = std::min(plan.rows, (block + 1) * plan.block_rows), chunk = plan.repeat * channel_chunk;
        for (Index begin = block * plan.block_rows; begin < end; begin += chunk) {
            sum.fill(0);
            product.fill(0);
            walk_channels<T>(plan, begin, std::min(end, begin + chunk), kernel);
            sum.add_repeats();
            product.add_repeats();
            for (Index c = 0; c < C; ++c) {
                block_sums[c] += sum.data()[c];
                block_sums[C + c] += product.data()[c];
            }
        }
    });
    for (Index c = 0; c < C; ++c) {
        double first = 0, second = 0;
        for (Index block = 0; block < plan.blocks; ++block) {
            first += sums.data()[block * 2 * C + c];
            second += sums.data()[block * 2 * C + C + c];
        }
        dbeta(c) = static_cast<Sum<T>>(first);
        dgamma(c) = static_cast<Sum<T>>(second * rstd(c));
    }
}

// Equation (7) with what is constant in a channel taken together: dx = a*g - b - k*(x - mean).
template <class T>
struct BatchNormBackwardKernel {
    const T *x, *y, *dy;
    const Sum<T>*mean, *a, *b, *k;  // by lane
    T *dx, *dshortcut;
    bool add_dx, add_dshortcut;

    template <class V, int N>
    void columns(Index offset, Index count, Index stride, Index lane) const {
        constexpr Index step = lanes_of<V>;
        V mu[N], an[N], bn[N], kn[N];
        GRADUS_UNROLL for (int j = 0; j < N; ++j) {
            mu[j] = load_lanes<V>(mean + lane + j * step);
            an[j] = load_lanes<V>(a + lane + j * step);
            bn[j] = load_lanes<V>(b + lane + j * step);
            kn[j] = load_lanes<V>(k + lane + j * step);
        }
        for (Index m = 0; m < count; ++m, offset += stride) {
            GRADUS_UNROLL for (int j = 0; j < N; ++j) {
                const Index at = offset + j * step;
                const V g = batch_norm_masked_lanes<V>(y ? y + at : nullptr, dy + at);
                if (dx) {
                    V value = an[j] * g - bn[j] - kn[j] * (load_lanes<V>(x + at) - mu[j]);
                    if (add_dx) value += load_lanes<V>(dx + at);
                    store_lanes<V>(dx + at, value);
                }
                if (dshortcut) store_lanes<V>(dshortcut + at, add_dshortcut ? g + load_lanes<V>(dshortcut + at) : g);
            }
        }
    }
};

template <class T>
void batch_norm_backward(Cpu, Matrix<const T> x, Matrix<const T> y, Matrix<const T> dy, Vector<const Sum<T>> gamma,
                         Vector<const Sum<T>> mean, Vector<const Sum<T>> rstd, Vector<const Sum<T>> dgamma,
                         Vector<const Sum<T>> dbeta, Sum<T> row_weight, Matrix<T> dx, Write dx_mode,
                         Matrix<T> dshortcut, Write dshortcut_mode) {
    const ChannelPlan plan(x.shape()[0], x.shape()[1], std::is_same_v<T, float>, sizeof(T));
    LaneBuffer<Sum<T>> mu(plan), a(plan), b(plan), k(plan);
    for (Index c = 0; c < plan.channels; ++c) {
        mu.data()[c] = mean(c);
        a.data()[c] = gamma(c) * rstd(c);
        b.data()[c] = a.data()[c] * row_weight * dbeta(c);
        k.data()[c] = a.data()[c] * row_weight * dgamma(c) * rstd(c);
    }
    mu.spread_channels();
    a.spread_channels();
    b.spread_channels();
    k.spread_channels();
    const BatchNormBackwardKernel<T> kernel{x.data(),
                                            y.data(),
                                            dy.data(),
                                            mu.data(),
                                            a.data(),
                                            b.data(),
                                            k.data(),
                                            dx.data(),
                                            dshortcut.data(),
                                            dx_mode == Write::add,
                                            dshortcut_mode == Write::add};
    parallel_for(plan.blocks, [&](Index task) {
        const Index begin = (plan.blocks - 1 - task) * plan.block_rows;
        walk_channels<T>(plan, begin, std::min(plan.rows, begin + plan.block_rows), kernel);
    });
}

}  // namespace gradus::inline GRADUS_ABI
