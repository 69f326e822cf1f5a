// convolution/depthwise_cpu.hpp   Depthwise convolution: every channel has its own kernel (G = C = O).
// Problem  There is no sum over channels, so no matrix product: one multiply-add for each number that is loaded. What
//          counts is that loads come from the first-level cache, and that memory is read in order, once.
// Answer   Vectors run over channels. Forward and backward-data read the image where it is: a block of up to 16
//          neighbouring outputs sits in registers while the taps go by, then the same block of the next channels. At
//          the edges the taps outside of the image are left out. Both are correlations as conv2d_window_cpu.hpp has
//          them. Backward-weights holds the sums of up to 9 taps in registers while the pixels of a band of rows go by,
//          then the same for the next channels; the band stays in the second-level cache.
// Sums     of backward-weights: at most 8 parts of consecutive rows, added up in order.
#pragma once

#include <array>
#include <utility>
#include <vector>

#include "gradus/convolution/conv2d_weights_cpu.hpp"

namespace gradus::inline GRADUS_ABI {

struct DepthwiseTap {
    Index x, weight;  // offsets in floats
};

// `Pixels` neighbouring outputs, all channels. The input pixels under one tap lie x_step floats apart. Too many streams
// run through memory here for the processor to see them coming: the same pixels `ahead` floats on, some rows below, and
// the next channels of y are asked for early. Without that images that are not in a cache take up to 1.5 times as long.
template <int Pixels>
void depthwise_block(const float* x, Index x_step, const float* weight, const std::vector<DepthwiseTap>& taps,
                     const float* bias, float* y, Index y_step, Index channels, bool add, Index ahead) {
    for (Index c = 0; c < channels; c += vec_floats) {
        const Index lanes = std::min<Index>(vec_floats, channels - c);
        GRADUS_UNROLL for (int i = 0; i < Pixels; ++i) {
            __builtin_prefetch(x + ahead + c + i * x_step);
            __builtin_prefetch(y + c + vec_floats + i * y_step, 1);
        }
        Vec sum[Pixels];
        const Vec start = bias ? load(bias + c) : Vec{};
        GRADUS_UNROLL for (int i = 0; i < Pixels; ++i) sum[i] = start;
        for (const DepthwiseTap& tap : taps) {
            const Vec w = load(weight + tap.weight + c);
            const float* from = x + tap.x + c;
            GRADUS_UNROLL for (int i = 0; i < Pixels; ++i) sum[i] += w * load(from + i * x_step);
        }
        float* to = y + c;
        if (add) {
            GRADUS_UNROLL for (int i = 0; i < Pixels; ++i) sum[i] += load_some(to + i * y_step, lanes);
        }
        GRADUS_UNROLL for (int i = 0; i < Pixels; ++i) store_some(to + i * y_step, sum[i], lanes);
    }
}

using DepthwiseBlock = void (*)(const float*, Index, const float*, const std::vector<DepthwiseTap>&, const float*,
                                float*, Index, Index, bool, Index);
template <int... Pixel>
constexpr std::array<DepthwiseBlock, sizeof...(Pixel)> depthwise_blocks_of(std::integer_sequence<int, Pixel...>) {
    return {&depthwise_block<Pixel + 1>...};
}
inline constexpr std::array<DepthwiseBlock, most_rows(1)> depthwise_blocks =
    depthwise_blocks_of(std::make_integer_sequence<int, most_rows(1)>{});

// Outputs [begin, end) of one row, all with the same taps. x and y point to what output 0 reads and is.
inline void depthwise_pixels(Index begin, Index end, const float* x, Index x_step, const float* weight,
                             const std::vector<DepthwiseTap>& taps, const float* bias, float* y, Index y_step,
                             Index channels, bool add, Index ahead) {
    const Index width = tile_rows(end - begin, 1);
    for (Index j = begin; j < end; j += width)
        depthwise_blocks[static_cast<std::size_t>(std::min(width, end - j) - 1)](
            x + j * x_step, x_step, weight, taps, bias, y + j * y_step, y_step, channels, add, ahead);
}

// One row of outputs of one image. packed holds the weights as (taps, channels), whole vectors.
inline void depthwise_row(const Correlation& correlation, Index i, const Image& image, const float* packed,
                          const float* bias, float* y, Index y_columns, bool add) {
    const Index C = image.channels, W = image.columns, step = correlation.step;
    // Taps that fall into the image in this row, and the outputs for which none of them sticks out at the sides.
    std::vector<DepthwiseTap> taps, edge_taps;
    Index begin = 0, end = correlation.columns;
    const auto offset_of = [&](const Tap& tap) { return (tap.row * W + tap.column) * C; };
    const auto in_rows = [&](const Tap& tap) { return step * i + tap.row >= 0 && step * i + tap.row < image.rows; };
    for (std::size_t t = 0; t < correlation.taps.size(); ++t) {
        const Tap& tap = correlation.taps[t];
        if (!in_rows(tap)) continue;
        taps.push_back({offset_of(tap), static_cast<Index>(t) * round_up(C, vec_floats)});
        begin = std::max(begin, ceil_div(-tap.column, step));
        end = std::min(end, tap.column >= W ? 0 : (W - 1 - tap.column) / step + 1);
    }
    begin = std::min(begin, correlation.columns);
    end = std::max(begin, end);

    const float* x = image.data + step * i * W * C;
    const Index row = correlation.first_row + correlation.spacing * i, y_step = correlation.spacing * C;
    const Index ahead = 2 * W * C;
    float* to = y + (row * y_columns + correlation.first_column) * C;
    depthwise_pixels(begin, end, x, step * C, packed, taps, bias, to, y_step, C, add, ahead);
    for (Index j = 0; j < correlation.columns; ++j) {
        if (j == begin) j = end;
        if (j == correlation.columns) break;
        edge_taps.clear();
        for (std::size_t t = 0; t < correlation.taps.size(); ++t) {
            const Tap& tap = correlation.taps[t];
            const Index column = step * j + tap.column;
            if (!in_rows(tap) || column < 0 || column >= W) continue;
            edge_taps.push_back({offset_of(tap), static_cast<Index>(t) * round_up(C, vec_floats)});
        }
        depthwise_pixels(j, j + 1, x, step * C, packed, edge_taps, bias, to, y_step, C, add, ahead);
    }
}

inline void depthwise_correlate(Array4<const float> x, Array4<const float> weight, const float* bias,
                                const std::vector<Correlation>& correlations, Array4<float> y, bool add) {
    const auto [N, H, W, C] = x.shape();
    const Index KH = weight.shape()[1], KW = weight.shape()[2], padded = round_up(C, vec_floats);
    std::vector<const float*> packed;
    const HostBuffer<float> all(KH * KW * padded);  // every tap belongs to one correlation
    float* to = all.data();
    for (const Correlation& correlation : correlations) {
        packed.push_back(to);
        for (const Tap& tap : correlation.taps) {
            for (Index c = 0; c < C; ++c) to[c] = weight.data()[(c * KH + tap.u) * KW + tap.v];
            to += padded;
        }
    }
    const Index rows = correlations.front().rows, columns = correlations.front().columns;
    const Index y_size = y.size() / std::max<Index>(1, N);
    constexpr Index task_floats = 65536;  // of x: enough to be worth a task
    const Index most_rows_of_task = std::max<Index>(1, task_floats / (correlations.front().step * columns * C));
    const Index bands = ceil_div(rows, most_rows_of_task), band_rows = ceil_div(rows, bands);
    parallel_for(N * bands, [&, H = H, W = W, C = C](Index task) {
        const Index n = task / bands, begin = task % bands * band_rows, end = std::min(rows, begin + band_rows);
        const Image image{x.data() + n * H * W * C, H, W, C};
        for (Index i = begin; i < end; ++i)
            for (std::size_t k = 0; k < correlations.size(); ++k)
                if (i < correlations[k].rows)
                    depthwise_row(correlations[k], i, image, packed[k], bias, y.data() + n * y_size, y.shape()[2], add);
    });
}

// Outputs [begin, end) along one axis that see the same kernel elements [first, last): in the middle all of them.
struct Span {
    Index begin, end, first, last;
};
inline std::vector<Span> spans_of(Index begin, Index end, Index extent, Index kernel, const Conv2dOptions& options) {
    const auto [s, p, d, G] = options;
    std::vector<Span> spans;
    for (Index i = begin; i < end; ++i) {
        const Index start = s * i - p;  // of the window
        const Index first = start >= 0 ? 0 : std::min(kernel, ceil_div(-start, d));
        const Index last = start >= extent ? first : std::clamp((extent - 1 - start) / d + 1, first, kernel);
        if (!spans.empty() && spans.back().first == first && spans.back().last == last)
            spans.back().end = i + 1;
        else
            spans.push_back({i, i + 1, first, last});
    }
    return spans;
}

// A rectangle of outputs that all see the same taps, as offsets in floats from the first x, dy and sum of an image.
struct DepthwiseCell {
    Index rows, columns, x, dy;
    std::vector<DepthwiseTap> taps;
};

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
        from[t] = x + cell.x + taps[t].x;
    }
    for (Index i = 0; i < cell.rows; ++i) {
        const float* gradient = dy + cell.dy + i * steps.dy_row;
        Index at = i * steps.x_row;
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
    const Index parts = std::min(most_partial_sums, units);

    std::vector<std::vector<DepthwiseCell>> cells(static_cast<std::size_t>(bands));  // of each band
    for (Index band = 0; band < bands; ++band) {
        for (const Span& row : spans_of(band * band_rows, std::min(P, (band + 1) * band_rows), H, KH, options)) {
            for (const Span& column : spans_of(0, Q, W, KW, options)) {
                DepthwiseCell cell{row.end - row.begin,
                                   column.end - column.begin,
                                   ((s * row.begin - p) * W + s * column.begin - p) * C,
                                   (row.begin * Q + column.begin) * C,
                                   {}};
                for (Index u = row.first; u < row.last; ++u)
                    for (Index v = column.first; v < column.last; ++v)
                        cell.taps.push_back({d * (u * W + v) * C, (u * KW + v) * padded});
                cells[static_cast<std::size_t>(band)].push_back(cell);
            }
        }
    }
    const HostBuffer<float> partial(parts * size);
    parallel_for(parts, [&, H = H, W = W, C = C](Index part) {
        float* sum = partial.data() + part * size;
        std::fill_n(sum, size, 0.0f);
        for (Index unit = part * units / parts; unit < (part + 1) * units / parts; ++unit) {
            const float* image = x.data() + unit / bands * H * W * C;
            const float* gradient = dy.data() + unit / bands * P * Q * C;
            for (Index c = 0; c < C; c += vec_floats) {
                for (const DepthwiseCell& cell : cells[static_cast<std::size_t>(unit % bands)]) {
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
