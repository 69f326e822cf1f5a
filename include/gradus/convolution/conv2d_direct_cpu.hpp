// convolution/conv2d_direct_cpu.hpp   Convolution as loops around the micro-kernel of machine/cpu/tile.hpp.
// Problem  im2col + matrix product writes every pixel KH*KW times to memory and reads it back.
// Answer   A tile computes a few neighbouring pixels of y, all channels of a panel, in registers. The k of its matrix
//          product runs over (u, v, c), and for fixed u the numbers x(u, v, c) lie side by side in NHWC: one run of
//          KW*C. So the image itself is the matrix, one run per kernel row (Georganas et al. 2018, arXiv 1808.05567,
//          have the same idea for a blocked layout). Only a band of rows with its zero border is copied, and it stays
//          in the second-level cache.
// Cost     the multiply-adds of the definition, N*P*Q*O*KH*KW*C/G, with O rounded up to whole vectors per group.
#pragma once

#include <vector>

#include "gradus/convolution/conv2d_window_cpu.hpp"
#include "gradus/core/allocator.hpp"
#include "gradus/machine/cpu/panels.hpp"
#include "gradus/machine/cpu/thread_pool.hpp"

namespace gradus::inline GRADUS_ABI {

// The weights (O, KH, KW, I) as the matrix (k, column) of one tap and one group: k are the channels that are summed
// over.
struct WeightMatrix {
    const float* data;
    Index KW, I;
    Index group_stride, depth_stride, column_stride;
    Index depth, columns;

    const float* at(Index group, const Tap& tap) const {
        return data + group * group_stride + (tap.u * KW + tap.v) * I;
    }
};
// Forward sums over input channels, backward-data over output channels.
inline WeightMatrix forward_weights(Array4<const float> weight, Index groups) {
    const auto [O, KH, KW, I] = weight.shape();
    return {weight.data(), KW, I, O / groups * KH * KW * I, 1, KH * KW * I, I, O / groups};
}
inline WeightMatrix backward_weights(Array4<const float> weight, Index groups) {
    const auto [O, KH, KW, I] = weight.shape();
    return {weight.data(), KW, I, O / groups * KH * KW * I, KH * KW * I, 1, O / groups, I};
}

// All taps of a correlation below each other: a (taps * depth, columns) matrix for each group, in panels.
inline void pack_weights(const WeightMatrix& weight, Index groups, const std::vector<Tap>& taps, float* packed) {
    const Index T = static_cast<Index>(taps.size());
    const Panels panels(T * weight.depth, weight.columns);
    parallel_for(groups * panels.count() * T, [&](Index task) {
        const Index t = task % T, group = task / T / panels.count();
        const Panel panel = panels[task / T % panels.count()];
        const float* from = weight.at(group, taps[static_cast<std::size_t>(t)]) + panel.first * weight.column_stride;
        float* to = packed + group * panels.size() + panel.offset + t * weight.depth * panel.stride();
        pack_panel(panel, weight.depth, from, weight.depth_stride, weight.column_stride, to);
    });
}

// The part of the input that one task works on: in place, or a copy with its zero border.
struct Band {
    const float* data;
    Index row_stride, pixel_stride;
    Index first_row;  // of the outputs
};

// The runs of k of one correlation. Taps that follow each other in memory become one run.
inline std::vector<Run> runs_of(const Correlation& correlation, const Reach& reach, const Band& band, Index depth,
                                Index b_stride) {
    std::vector<Run> runs;
    Index b = 0;
    for (const Tap& tap : correlation.taps) {
        const Index a = (tap.row - reach.top) * band.row_stride + (tap.column - reach.left) * band.pixel_stride;
        if (!runs.empty() && runs.back().a + runs.back().length == a)
            runs.back().length += depth;
        else
            runs.push_back({a, b, depth});
        b += depth * b_stride;
    }
    return runs;
}

// Output rows [begin, end) of one correlation of one image.
inline void correlate_band(const Correlation& correlation, const Reach& reach, const Band& band, Index end,
                           const WeightMatrix& weight, Index groups, const float* packed, const float* bias, float* y,
                           Index y_columns, bool add) {
    const Index y_channels = groups * weight.columns, pixels = correlation.spacing * y_channels;
    const Index begin = band.first_row, step = correlation.step;
    end = std::min(end, correlation.rows);
    const Panels panels(static_cast<Index>(correlation.taps.size()) * weight.depth, weight.columns);
    for (Index task = 0; task < groups * panels.count(); ++task) {
        const Index group = task / panels.count();
        const Panel panel = panels[task % panels.count()];
        const Index channel = group * weight.columns + panel.first;
        const std::vector<Run> runs = runs_of(correlation, reach, band, weight.depth, panel.stride());
        const float* a = band.data + group * weight.depth;
        const float* b = packed + group * panels.size() + panel.offset;
        for (Index i = begin; i < end; ++i) {
            const Index row = correlation.first_row + correlation.spacing * i;
            TileTarget target{y + (row * y_columns + correlation.first_column) * y_channels + channel,
                              pixels,
                              panel.last(),
                              add,
                              bias ? bias + channel : nullptr,
                              true};
            tile_column<ALayout::by_row>(correlation.columns, panel.vectors, a + step * (i - begin) * band.row_stride,
                                         step * band.pixel_stride, b, panel.stride(), runs.data(),
                                         static_cast<Index>(runs.size()), target);
        }
    }
}

// All correlations read x and write y. They all have the same step.
inline void correlate(Array4<const float> x, const WeightMatrix& weight, Index groups, const float* bias,
                      const std::vector<Correlation>& correlations, Array4<float> y, bool add) {
    const auto [N, H, W, C] = x.shape();
    const Reach reach = reach_of(correlations);
    const Index step = correlations.front().step;
    const Index rows = correlations.front().rows, columns = correlations.front().columns;  // the first has the most
    const Index image_size = H * W * C, y_size = y.size() / std::max<Index>(1, N);

    std::vector<Index> offsets;
    Index packed_size = 0;
    for (const Correlation& correlation : correlations) {
        offsets.push_back(packed_size);
        packed_size +=
            groups * Panels(static_cast<Index>(correlation.taps.size()) * weight.depth, weight.columns).size();
    }
    const HostBuffer<float> packed(packed_size);
    for (std::size_t i = 0; i < correlations.size(); ++i)
        pack_weights(weight, groups, correlations[i].taps, packed.data() + offsets[i]);

    // Bands of rows, each about a quarter of a 1 MB second-level cache.
    constexpr Index band_floats = 65536;
    const Index window_columns = step * (columns - 1) + reach.right - reach.left + 1;
    const Index most_rows = std::max<Index>(1, band_floats / (step * window_columns * C));
    const Index bands = ceil_div(rows, most_rows), band_rows = ceil_div(rows, bands);

    parallel_for(N * bands, [&, H = H, W = W, C = C](Index task) {
        const Index n = task / bands, begin = task % bands * band_rows, end = std::min(rows, begin + band_rows);
        if (begin >= end) return;
        const Image image{x.data() + n * image_size, H, W, C};
        const Rectangle window{step * begin + reach.top, reach.left,
                               step * (end - begin - 1) + reach.bottom - reach.top + 1, window_columns};
        const bool in_place = window.inside(image);
        const Index pixel_stride = in_place ? C : spread(C, step);
        const HostBuffer<float> copy(in_place ? 0 : window.rows * window.columns * pixel_stride);
        if (!in_place) copy_rectangle(image, window, copy.data(), pixel_stride);
        const Band band = in_place ? Band{image.data + (window.top * W + window.left) * C, W * C, C, begin}
                                   : Band{copy.data(), window.columns * pixel_stride, pixel_stride, begin};
        for (std::size_t i = 0; i < correlations.size(); ++i)
            correlate_band(correlations[i], reach, band, end, weight, groups, packed.data() + offsets[i], bias,
                           y.data() + n * y_size, y.shape()[2], add);
    });
}

}  // namespace gradus::inline GRADUS_ABI
