// convolution/depthwise_cpu.hpp   Depthwise convolution: every channel has its own kernel (G = C = O).
// Problem  There is no sum over channels, so no matrix product: one multiply-add for each number that is loaded. What
//          counts is that loads come from the first-level cache, and that memory is read in order, once.
// Answer   Vectors run over channels. Forward and backward-data read the image where it is: a block of up to 16
//          neighbouring outputs sits in registers while the taps go by, then the same block of the next channels. The
//          taps outside of the image are left out (depthwise_cells_cpu.hpp). Both are correlations as
//          conv2d_window_cpu.hpp has them. The gradient of the weights is in depthwise_weights_cpu.hpp.
#pragma once

#include <array>
#include <numeric>
#include <utility>
#include <vector>

#include "gradus/convolution/depthwise_cells_cpu.hpp"
#include "gradus/core/allocator.hpp"
#include "gradus/machine/cpu/thread_pool.hpp"
#include "gradus/machine/cpu/tile.hpp"

namespace gradus::inline GRADUS_ABI {

// Outputs beside or below each other that see the same taps.
struct DepthwiseLine {
    Index count, channels;
    const float* x;
    Index x_step;  // floats between the windows of two outputs
    float* y;
    Index y_step;
    // What is needed after a while, in the order in which it lies in memory. A block reads and writes memory in too
    // many places for the processor to see what comes next, so it asks for as many lines of these as it computes.
    const float* next_x;
    const float* next_y;
};

// One vector of channels, from channel c on, of outputs [j, j + Pixels).
template <int Pixels>
GRADUS_NOT_INLINE void depthwise_block(const DepthwiseLine& line, Index j, Index c, const float* weight,
                                       const std::vector<DepthwiseTap>& taps, const float* bias, bool add) {
    const Index ahead = j * line.channels + c / vec_floats * Pixels * line_floats;
    GRADUS_UNROLL for (int i = 0; i < Pixels; ++i) {
        __builtin_prefetch(line.next_x + ahead + i * line_floats, 0, 2);
        __builtin_prefetch(line.next_y + ahead + i * line_floats, 1, 2);
    }
    Vec sum[Pixels];
    const Vec start = bias ? load(bias + c) : Vec{};
    GRADUS_UNROLL for (int i = 0; i < Pixels; ++i) sum[i] = start;
    const float* x = line.x + j * line.x_step + c;
    const Index one = line.x_step, two = 2 * one, three = 3 * one;
    for (const DepthwiseTap& tap : taps) {
        const Vec w = load(weight + tap.weight + c);
        const float* from = x + tap.x;
        GRADUS_UNROLL for (int i = 0; i < Pixels; ++i) {
            if (i > 0 && i % 4 == 0) from += 4 * one;  // one pointer for four pixels, as in tile.hpp
            sum[i] += w * load(from + (i % 4 == 0 ? 0 : i % 4 == 1 ? one : i % 4 == 2 ? two : three));
        }
    }
    float* y = line.y + j * line.y_step + c;
    const Index step = line.y_step, lanes = std::min<Index>(vec_floats, line.channels - c);
    if (lanes < vec_floats) {
        float block[Pixels * vec_floats];
        GRADUS_UNROLL for (int i = 0; i < Pixels; ++i) store(block + i * vec_floats, sum[i]);
        return write_edge(block, Pixels, 1, {y, step, lanes, add});
    }
    if (add) {
        GRADUS_UNROLL for (int i = 0; i < Pixels; ++i) sum[i] += load(y + i * step);
    }
    GRADUS_UNROLL for (int i = 0; i < Pixels; ++i) store(y + i * step, sum[i]);
}

using DepthwiseBlock = void (*)(const DepthwiseLine&, Index, Index, const float*, const std::vector<DepthwiseTap>&,
                                const float*, bool);
template <int... Pixel>
constexpr std::array<DepthwiseBlock, sizeof...(Pixel)> depthwise_blocks_of(std::integer_sequence<int, Pixel...>) {
    return {&depthwise_block<Pixel + 1>...};
}
inline constexpr std::array<DepthwiseBlock, most_rows(1)> depthwise_blocks =
    depthwise_blocks_of(std::make_integer_sequence<int, most_rows(1)>{});

inline void depthwise_line(const DepthwiseLine& line, const float* weight, const std::vector<DepthwiseTap>& taps,
                           const float* bias, bool add) {
    const Index width = tile_rows(line.count, 1);
    for (Index j = 0; j < line.count; j += width) {
        const DepthwiseBlock block = depthwise_blocks[static_cast<std::size_t>(std::min(width, line.count - j) - 1)];
        for (Index c = 0; c < line.channels; c += vec_floats) block(line, j, c, weight, taps, bias, add);
    }
}

// Of 24 channels a vector of 16 would be filled by 16, then by 8. But where outputs and what they read lie side by side,
// two pixels of 24 channels are one of 48, with the same weights twice: how many pixels to see as one.
inline Index pixels_as_one(const Correlation& correlation, Index channels) {
    const bool side_by_side = correlation.step == 1 && correlation.spacing == 1;
    const bool wasteful = 8 * round_up(channels, vec_floats) > 9 * channels;
    return side_by_side && wasteful ? vec_floats / std::gcd(channels, Index{vec_floats}) : 1;
}

// x and y are images; `together` pixels are seen as one.
inline void depthwise_cell(const DepthwiseCell& cell, const Correlation& correlation, const Image& image,
                           Index together, const float* weight, const float* bias, float* y, Index y_columns,
                           bool add) {
    const Index C = image.channels, x_column = correlation.step * C, y_column = correlation.spacing * C;
    const Index x_row = x_column * image.columns, y_row = y_column * y_columns;
    const float* x = image.data + cell.row * x_row + cell.column * x_column;
    y += (correlation.first_row * y_columns + correlation.first_column) * C + cell.row * y_row + cell.column * y_column;
    if (cell.columns < 4 && cell.columns < cell.rows) {  // an edge: blocks of outputs below each other
        for (Index j = 0; j < cell.columns; ++j, x += x_column, y += y_column)
            depthwise_line({cell.rows, C, x, x_row, y, y_row, x, y}, weight, cell.taps, bias, add);
        return;
    }
    const Index groups = cell.columns / together, done = groups * together;
    for (Index i = 0; i < cell.rows; ++i, x += x_row, y += y_row) {
        const float* next_x = x + 2 * x_row;
        const float* next_y = y + 2 * y_row;
        depthwise_line({groups, together * C, x, together * x_column, y, together * y_column, next_x, next_y}, weight,
                       cell.taps, bias, add);
        depthwise_line({cell.columns - done, C, x + done * x_column, x_column, y + done * y_column, y_column,
                        next_x + done * x_column, next_y + done * y_column},
                       weight, cell.taps, bias, add);
    }
}

inline void depthwise_correlate(Array4<const float> x, Array4<const float> weight, const float* bias,
                                const std::vector<Correlation>& correlations, Array4<float> y, bool add) {
    const auto [N, H, W, C] = x.shape();
    const Index KH = weight.shape()[1], KW = weight.shape()[2], y_size = y.size() / N;
    const Index rows = correlations.front().rows, columns = correlations.front().columns;  // the first has the most
    constexpr Index task_floats = 65536;  // of x: enough to be worth a task
    const Index most_rows_of_task = std::max<Index>(1, task_floats / (correlations.front().step * columns * C));
    const Index bands = ceil_div(rows, most_rows_of_task), band_rows = ceil_div(rows, bands);

    // For each correlation its weights as (taps, together * C) in whole vectors, and the cells of each band.
    const Index together = pixels_as_one(correlations.front(), C), width = together * C;
    const Index tap_size = round_up(width, vec_floats);
    const HostBuffer<float> packed((KH * KW + 1) * tap_size);  // every tap belongs to one correlation; the bias
    float* to = packed.data();
    if (bias) {
        for (Index i = 0; i < width; ++i) to[i] = bias[i % C];
        bias = to;
    }
    to += tap_size;
    std::vector<const float*> weights;
    std::vector<std::vector<DepthwiseCell>> cells;
    for (const Correlation& correlation : correlations) {
        weights.push_back(to);
        for (const Tap& tap : correlation.taps) {
            for (Index i = 0; i < width; ++i) to[i] = weight.data()[(i % C * KH + tap.u) * KW + tap.v];
            to += tap_size;
        }
        for (Index band = 0; band < bands; ++band)
            cells.push_back(cells_of(correlation, band * band_rows, std::min(correlation.rows, (band + 1) * band_rows),
                                     {nullptr, H, W, C}, tap_size));
    }
    parallel_for(N * bands, [&, H = H, W = W, C = C](Index task) {
        const Index n = task / bands, band = task % bands;
        const Image image{x.data() + n * H * W * C, H, W, C};
        for (std::size_t k = 0; k < correlations.size(); ++k)
            for (const DepthwiseCell& cell :
                 cells[k * static_cast<std::size_t>(bands) + static_cast<std::size_t>(band)])
                depthwise_cell(cell, correlations[k], image, together, weights[k], bias, y.data() + n * y_size,
                               y.shape()[2], add);
    });
}

}  // namespace gradus::inline GRADUS_ABI
