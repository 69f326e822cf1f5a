// convolution/depthwise_weights_cpu.hpp   The gradient of the weights of a depthwise convolution.
//     dweight(c, u, v) = sum over pixels of dy(pixel, c) * x(pixel under tap (u, v), c)
// The sums of up to 9 taps of one vector of channels are held in registers while the pixels of a band of rows go by,
// then those of the next channels; the band stays in the second-level cache. The cells of depthwise_cells_cpu.hpp keep
// the loops free of conditions.
// Sums     At most 8 parts of consecutive bands, added up in order.
#pragma once

#include <array>
#include <utility>
#include <vector>

#include "gradus/convolution/conv2d_weights_cpu.hpp"
#include "gradus/convolution/depthwise_cells_cpu.hpp"

namespace gradus::inline GRADUS_ABI {

struct DepthwiseSteps {
    Index x_row, x_column, dy_row, dy_column;  // floats between outputs
};

// One vector of channels: sum[tap] += dy * x under the tap, over the outputs of a cell.
template <int Taps>
void depthwise_gradient(const DepthwiseCell& cell, const DepthwiseTap* taps, const DepthwiseSteps& steps,
                        const float* x, const float* dy, float* sum) {
    Vec total[Taps];
    const float* from[Taps];
    GRADUS_UNROLL for (int t = 0; t < Taps; ++t) {
        total[t] = load(sum + taps[t].weight);
        from[t] = x + taps[t].x;
    }
    for (Index i = cell.row; i < cell.row + cell.rows; ++i) {
        const float* gradient = dy + i * steps.dy_row + cell.column * steps.dy_column;
        Index at = i * steps.x_row + cell.column * steps.x_column;
        for (Index j = 0; j < cell.columns; ++j, at += steps.x_column, gradient += steps.dy_column) {
            const Vec g = load(gradient);
            GRADUS_UNROLL for (int t = 0; t < Taps; ++t) total[t] += g * load(from[t] + at);
        }
    }
    GRADUS_UNROLL for (int t = 0; t < Taps; ++t) store(sum + taps[t].weight, total[t]);
}

using DepthwiseGradient = void (*)(const DepthwiseCell&, const DepthwiseTap*, const DepthwiseSteps&, const float*,
                                   const float*, float*);
inline constexpr Index most_gradient_taps = 9;  // their sums and a vector of dy fit 16 registers, their addresses too
template <int... Tap>
constexpr std::array<DepthwiseGradient, sizeof...(Tap)> depthwise_gradients_of(std::integer_sequence<int, Tap...>) {
    return {&depthwise_gradient<Tap + 1>...};
}
inline constexpr std::array<DepthwiseGradient, most_gradient_taps> depthwise_gradients =
    depthwise_gradients_of(std::make_integer_sequence<int, most_gradient_taps>{});

// Asks for the share of `size` floats that channels [c, c + vec_floats) of all `channels` have. A pass through a band
// takes one line from each pixel, which the processor does not see coming: so every pass asks for a part of the next
// band, in the order in which it lies in memory. With few channels it sees enough by itself.
inline void ask_for(const float* next, Index size, Index c, Index channels) {
    const Index end = (c + vec_floats) * size / channels;
    for (Index i = c * size / channels; i < end; i += line_floats) __builtin_prefetch(next + i, 0, 2);
}

inline void depthwise_backward_weights(Array4<const float> x, Array4<const float> dy, const Conv2dOptions& options,
                                       Array4<float> dweight, Write mode) {
    const auto [N, H, W, C] = x.shape();
    const Index P = dy.shape()[1], Q = dy.shape()[2], KH = dweight.shape()[1], KW = dweight.shape()[2], taps = KH * KW;
    const auto [s, p, d, G] = options;
    const Index padded = round_up(C, vec_floats), size = taps * padded;
    const DepthwiseSteps steps{s * W * C, s * C, Q * C, C};
    // Bands of rows of x and dy that fill half of a 1 MB second-level cache.
    const Index most = std::max<Index>(1, 131072 / (C * (s * W + Q)));
    const Index bands = ceil_div(P, most), band_rows = ceil_div(P, bands), units = N * bands;
    const Index x_band = s * band_rows * W * C, dy_band = band_rows * Q * C;
    const Index parts = std::min(most_partial_sums, units);

    const Correlation correlation = forward_correlation(KH, KW, s, p, d, P, Q).front();
    std::vector<std::vector<DepthwiseCell>> cells;  // of each band
    for (Index band = 0; band < bands; ++band)
        cells.push_back(
            cells_of(correlation, band * band_rows, std::min(P, (band + 1) * band_rows), {nullptr, H, W, C}, padded));
    const HostBuffer<float> partial(parts * size);
    parallel_for(parts, [&, H = H, W = W, C = C](Index part) {
        float* sum = partial.data() + part * size;
        std::fill_n(sum, size, 0.0f);
        for (Index unit = part * units / parts; unit < (part + 1) * units / parts; ++unit) {
            const Index n = unit / bands, band = unit % bands;
            const float* image = x.data() + n * H * W * C;
            const float* gradient = dy.data() + n * P * Q * C;
            for (Index c = 0; c < C; c += vec_floats) {
                if (C >= 4 * vec_floats) {
                    ask_for(image + (band + 1) * x_band, x_band, c, C);
                    ask_for(gradient + (band + 1) * dy_band, dy_band, c, C);
                }
                for (const DepthwiseCell& cell : cells[static_cast<std::size_t>(band)]) {
                    const Index count = static_cast<Index>(cell.taps.size());
                    for (Index first = 0; first < count; first += most_gradient_taps) {
                        const Index some = std::min(most_gradient_taps, count - first);
                        depthwise_gradients[static_cast<std::size_t>(some - 1)](cell, cell.taps.data() + first, steps,
                                                                                image + c, gradient + c, sum + c);
                    }
                }
            }
        }
    });
    for (Index c = 0; c < C; ++c)
        for (Index t = 0; t < taps; ++t) {
            float sum = 0;
            for (Index part = 0; part < parts; ++part) sum += partial.data()[part * size + t * padded + c];
            put(dweight.data()[c * taps + t], sum, mode);
        }
}

}  // namespace gradus::inline GRADUS_ABI
