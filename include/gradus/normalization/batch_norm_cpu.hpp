// normalization/batch_norm_cpu.hpp   The fast twin of batch_norm.hpp: bound by memory, so every pass does all it can.
// Passes   Statistics: x, an eighth of it twice. Forward: x and the shortcut in, y out. Backward: x and dy (and y with
//          both ReLU and shortcut) for the two sums; then the same in, dx and dshortcut out. The second pass of each
//          pair takes the rows in the opposite order, because the last ones are still in the cache.
// How vectors and threads are used is in channel_lanes_cpu.hpp, the statistics in channel_statistics_cpu.hpp.
#pragma once

#include <limits>

#include "gradus/normalization/batch_norm.hpp"
#include "gradus/normalization/channel_statistics_cpu.hpp"

namespace gradus::inline GRADUS_ABI {

// gamma*xhat + beta. Backward finds the mask of a ReLU with the same function: the same bits.
template <class V, class T>
GRADUS_INLINE V batch_norm_value_lanes(const T* x, V mean, V scale, V beta) {
    return (load_lanes<V>(x) - mean) * scale + beta;
}

// The numbers of BatchNormChannels by lane, with scale = gamma * rstd.
template <class S>
struct BatchNormLanes {
    BatchNormLanes(const ChannelPlan& plan, const BatchNormChannels<S>& by) : mean(plan), scale(plan), beta(plan) {
        for (Index c = 0; c < plan.channels; ++c) {
            mean.data()[c] = by.mean(c);
            scale.data()[c] = by.gamma(c) * by.rstd(c);
            beta.data()[c] = by.beta(c);
        }
        mean.spread_channels();
        scale.spread_channels();
        beta.spread_channels();
    }
    LaneBuffer<S> mean, scale, beta;
};

template <class T>
struct BatchNormForwardKernel {
    static constexpr Index streams = 2;
    const T *x, *shortcut;
    const Sum<T>*mean, *scale, *beta;  // by lane
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
                V value = batch_norm_value_lanes(x + offset + j * step, mu[j], a[j], b[j]);
                if (shortcut) value += load_lanes<V>(shortcut + offset + j * step);
                store_lanes<V>(y + offset + j * step, value < floor ? floor : value);
            }
        }
    }
};

template <class T>
void batch_norm_forward(Cpu, Matrix<const T> x, Matrix<const T> shortcut, const BatchNormChannels<Sum<T>>& by,
                        bool relu, Matrix<T> y) {
    const ChannelPlan plan(x.shape()[0], x.shape()[1], std::is_same_v<T, float>, sizeof(T));
    const BatchNormLanes<Sum<T>> lanes(plan, by);
    const Sum<T> least = relu ? Sum<T>(0) : -std::numeric_limits<Sum<T>>::infinity();
    const BatchNormForwardKernel<T> kernel{x.data(),          shortcut.data(), lanes.mean.data(), lanes.scale.data(),
                                           lanes.beta.data(), least,           y.data()};
    // The last rows first: the statistics have just been read in ascending order, so those are still in the cache.
    parallel_for(plan.blocks, [&](Index task) {
        const Index begin = (plan.blocks - 1 - task) * plan.block_rows;
        walk_channels<T>(plan, begin, std::min(plan.rows, begin + plan.block_rows), kernel);
    });
}

// Term (0) of the derivation, for lanes whose value without a shortcut is known.
template <class V, class T>
GRADUS_INLINE V batch_norm_masked_lanes(bool relu, const T* y, V value_without_shortcut, V dy, Index at) {
    const V zero{};
    if (!relu) return dy;
    return (y ? load_lanes<V>(y + at) : value_without_shortcut) > zero ? dy : zero;
}

template <class T>
struct BatchNormSumsKernel {
    static constexpr Index streams = 2;
    const T *x, *y, *dy;
    bool relu;
    const Sum<T>*mean, *scale, *beta;  // by lane
    Sum<T>*sum, *product;              // by lane: sum g and sum g*(x - mean) are added

    template <class V, int N>
    void columns(Index offset, Index count, Index stride, Index lane) const {
        constexpr Index step = lanes_of<V>;
        V mu[N], a[N], b[N], first[N], second[N];
        GRADUS_UNROLL for (int j = 0; j < N; ++j) {
            mu[j] = load_lanes<V>(mean + lane + j * step);
            a[j] = load_lanes<V>(scale + lane + j * step);
            b[j] = load_lanes<V>(beta + lane + j * step);
            first[j] = load_lanes<V>(sum + lane + j * step);
            second[j] = load_lanes<V>(product + lane + j * step);
        }
        for (Index m = 0; m < count; ++m, offset += stride) {
            GRADUS_UNROLL for (int j = 0; j < N; ++j) {
                const Index at = offset + j * step;
                const V value = batch_norm_value_lanes(x + at, mu[j], a[j], b[j]);
                const V g = batch_norm_masked_lanes(relu, y, value, load_lanes<V>(dy + at), at);
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
void batch_norm_backward_sums(Cpu, const BatchNormSaved<T>& saved, Matrix<const T> dy, Vector<Sum<T>> dgamma,
                              Vector<Sum<T>> dbeta) {
    const ChannelPlan plan(dy.shape()[0], dy.shape()[1], std::is_same_v<T, float>, sizeof(T));
    const BatchNormLanes<Sum<T>> lanes(plan, saved.by);
    const Index C = plan.channels;
    HostBuffer<double> sums(plan.blocks * 2 * C);  // of each block: sum g, then sum g*(x - mean)
    parallel_for(plan.blocks, [&](Index block) {
        ChannelSums<T> both(plan);
        const BatchNormSumsKernel<T> kernel{saved.x.data(),    saved.y.data(),      dy.data(),
                                            saved.relu,        lanes.mean.data(),   lanes.scale.data(),
                                            lanes.beta.data(), both.recent_first(), both.recent_second()};
        both.run(block * plan.block_rows, std::min(plan.rows, (block + 1) * plan.block_rows), kernel);
        for (Index c = 0; c < C; ++c) {
            sums.data()[block * 2 * C + c] = both.first(c);
            sums.data()[block * 2 * C + C + c] = both.second(c);
        }
    });
    for (Index block = 1; block < plan.blocks; ++block)
        for (Index i = 0; i < 2 * C; ++i) sums.data()[i] += sums.data()[block * 2 * C + i];
    for (Index c = 0; c < C; ++c) {
        dbeta(c) = plan.blocks > 0 ? static_cast<Sum<T>>(sums.data()[c]) : Sum<T>(0);
        dgamma(c) = plan.blocks > 0 ? static_cast<Sum<T>>(sums.data()[C + c] * saved.by.rstd(c)) : Sum<T>(0);
    }
}

// Equation (7) with what is constant in a channel taken together: dx = scale*g - b - k*(x - mean).
template <class T>
struct BatchNormBackwardKernel {
    static constexpr Index streams = 2;
    const T *x, *y, *dy;
    bool relu;
    const Sum<T>*mean, *scale, *beta, *b, *k;  // by lane
    T *dx, *dshortcut;
    bool add_dx, add_dshortcut;

    template <class V, int N>
    void columns(Index offset, Index count, Index stride, Index lane) const {
        constexpr Index step = lanes_of<V>;
        V mu[N], an[N], beta_n[N], bn[N], kn[N];
        GRADUS_UNROLL for (int j = 0; j < N; ++j) {
            mu[j] = load_lanes<V>(mean + lane + j * step);
            an[j] = load_lanes<V>(scale + lane + j * step);
            beta_n[j] = load_lanes<V>(beta + lane + j * step);
            bn[j] = load_lanes<V>(b + lane + j * step);
            kn[j] = load_lanes<V>(k + lane + j * step);
        }
        for (Index m = 0; m < count; ++m, offset += stride) {
            GRADUS_UNROLL for (int j = 0; j < N; ++j) {
                const Index at = offset + j * step;
                const V value = batch_norm_value_lanes(x + at, mu[j], an[j], beta_n[j]);
                const V g = batch_norm_masked_lanes(relu, y, value, load_lanes<V>(dy + at), at);
                if (dx) {
                    V result = an[j] * g - bn[j] - kn[j] * (load_lanes<V>(x + at) - mu[j]);
                    if (add_dx) result += load_lanes<V>(dx + at);
                    store_lanes<V>(dx + at, result);
                }
                if (dshortcut) store_lanes<V>(dshortcut + at, add_dshortcut ? g + load_lanes<V>(dshortcut + at) : g);
            }
        }
    }
};

template <class T>
void batch_norm_backward(Cpu, const BatchNormSaved<T>& saved, Matrix<const T> dy, Vector<const Sum<T>> dgamma,
                         Vector<const Sum<T>> dbeta, Sum<T> row_weight, Matrix<T> dx, Write dx_mode,
                         Matrix<T> dshortcut, Write dshortcut_mode) {
    const ChannelPlan plan(dy.shape()[0], dy.shape()[1], std::is_same_v<T, float>, sizeof(T));
    const BatchNormLanes<Sum<T>> lanes(plan, saved.by);
    LaneBuffer<Sum<T>> b(plan), k(plan);
    for (Index c = 0; c < plan.channels; ++c) {
        b.data()[c] = lanes.scale.data()[c] * row_weight * dbeta(c);
        k.data()[c] = lanes.scale.data()[c] * row_weight * dgamma(c) * saved.by.rstd(c);
    }
    b.spread_channels();
    k.spread_channels();
    const BatchNormBackwardKernel<T> kernel{saved.x.data(),
                                            saved.y.data(),
                                            dy.data(),
                                            saved.relu,
                                            lanes.mean.data(),
                                            lanes.scale.data(),
                                            lanes.beta.data(),
                                            b.data(),
                                            k.data(),
                                            dx.data(),
                                            dshortcut.data(),
                                            dx_mode == Write::add,
                                            dshortcut_mode == Write::add};
    parallel_for(plan.blocks, [&](Index task) {  // the last rows first, as in the forward pass
        const Index begin = (plan.blocks - 1 - task) * plan.block_rows;
        walk_channels<T>(plan, begin, std::min(plan.rows, begin + plan.block_rows), kernel);
    });
}

}  // namespace gradus::inline GRADUS_ABI
