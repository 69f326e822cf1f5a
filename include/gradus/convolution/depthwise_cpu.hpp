// convolution/depthwise_cpu.hpp   Depthwise convolution, where every channel has its own kernel (G = C = O), and groups
//                                 of 2, 4 or 8 channels with as many outputs.
// Problem  There is no sum over channels, or a short one, so no matrix product: one multiply-add, or some, for each
//          number that is loaded. What counts is that loads come from the first-level cache, and that memory is read in
//          order, once.
// Answer   Vectors run over channels. Forward and backward-data read the image where it is: a block of up to 12
//          neighbouring outputs sits in registers while the taps go by, then the same block of the next channels. The
//          taps outside of the image are left out (depthwise_cells_cpu.hpp). Both are correlations as
//          conv2d_window_cpu.hpp has them. The gradient of the weights is in depthwise_weights_cpu.hpp.
// Groups   A group's channels are neighbouring lanes. The sum over them is one over distances: lane l multiplies what
//          it sees itself, then what lane l^1 sees, l^2, l^3, ... (^ is the exclusive or); such an exchange of lanes is
//          one instruction, and no lane is wasted.
#pragma once

#include <array>
#include <numeric>
#include <utility>
#include <vector>

#include "gradus/convolution/conv2d_direct_cpu.hpp"
#include "gradus/convolution/depthwise_cells_cpu.hpp"

namespace gradus::inline GRADUS_ABI {

// Outputs beside or below each other that see the same taps.
struct DepthwiseLine {
    Index count, channels;
    const float* x;
    Index x_step;  // floats between the windows of two outputs
    float* y;
    Index y_step;
    // What is needed after a while, in the order in which it lies in memory. A block reads and writes memory in too
    // many places for the processor to see what comes next, so it asks for as many lines of these as it computes, and
    // of x for x_share times as many: with stride 2 an output stands for four pixels.
    const float* next_x;
    const float* next_y;
    Index x_share;
};

// The weights of one correlation: for each tap and each distance a number for every channel.
struct DepthwiseWeights {
    Index width;  // channels of a group
    Index step;   // floats between two distances; two taps lie width * step apart
    const float* data;
    const float* bias;  // or none
};

template <int Distance, int... Lane>
GRADUS_INLINE Vec exchanged(Vec v, std::integer_sequence<int, Lane...>) {
#if defined(__CUDACC__)  // whose front end loses the dots on the way to g++
    return Vec{v[Lane ^ Distance]...};
#else
    return __builtin_shufflevector(v, v, (Lane ^ Distance)...);
#endif
}
// sum += weight * x of the lanes at distances 0 to Distance; the weights of two distances lie `step` floats apart.
template <int Distance, int Pixels>
GRADUS_INLINE void add_products(Vec (&sum)[Pixels], const Vec (&x)[Pixels], const float* weight, Index step) {
    if constexpr (Distance > 0) add_products<Distance - 1>(sum, x, weight, step);
    const Vec w = load(weight + Distance * step);
    GRADUS_UNROLL for (int i = 0; i < Pixels; ++i) sum[i] +=
        w * exchanged<Distance>(x[i], std::make_integer_sequence<int, vec_floats>{});
}

// Five taps side by side, the row of a 5x5 kernel, of outputs side by side: what an output sees through one tap, its
// neighbour sees through the tap before. So an x is loaded once for all outputs that see it, not five times.
inline bool are_side_by_side(const DepthwiseTap* five_taps, Index x_step) {
    for (int k = 1; k < 5; ++k)
        if (five_taps[k].x != five_taps[0].x + k * x_step) return false;
    return true;
}
template <int Pixels>
GRADUS_INLINE void add_five_taps(Vec (&sum)[Pixels], const float* x, Index step, const Vec (&w)[5]) {
    GRADUS_UNROLL for (int p = 0; p < Pixels + 4; ++p) {
        const Vec v = load(x + p * step);
        GRADUS_UNROLL for (int k = 0; k < 5; ++k) {
            const int i = p - k;
            if (0 <= i && i < Pixels) sum[i] += w[k] * v;
        }
    }
}

// One vector of channels, from channel c on, of outputs [j, j + Pixels); groups of `Width` channels.
template <int Width, int Pixels>
GRADUS_NOT_INLINE void depthwise_block(const DepthwiseLine& line, Index j, Index c, const DepthwiseWeights& weights,
                                       const std::vector<DepthwiseTap>& taps, bool add) {
    const Index ahead = j * line.channels + c / vec_floats * Pixels * line_floats;
    GRADUS_UNROLL for (int i = 0; i < Pixels; ++i) __builtin_prefetch(line.next_y + ahead + i * line_floats, 1, 2);
    for (Index k = 0; k < line.x_share; ++k) {
        const float* next = line.next_x + line.x_share * ahead + k * Pixels * line_floats;
        GRADUS_UNROLL for (int i = 0; i < Pixels; ++i) __builtin_prefetch(next + i * line_floats, 0, 2);
    }
    Vec sum[Pixels];
    const Vec start = weights.bias ? load(weights.bias + c) : Vec{};
    GRADUS_UNROLL for (int i = 0; i < Pixels; ++i) sum[i] = start;
    const DepthwiseTap* const end = taps.data() + taps.size();
    for (const DepthwiseTap* tap = taps.data(); tap != end; ++tap) {
        const float* from = line.x + j * line.x_step + c + tap->x;
        const float* weight = weights.data + tap->weight + c;
        if constexpr (Width == 1) {
            if (end - tap > 4 && are_side_by_side(tap, line.x_step)) {
                Vec w[5];
                GRADUS_UNROLL for (int k = 0; k < 5; ++k) w[k] = load(weights.data + tap[k].weight + c);
                add_five_taps(sum, from, line.x_step, w);
                tap += 4;
                continue;
            }
            const Vec w = load(weight);
            GRADUS_UNROLL for (int i = 0; i < Pixels; ++i) sum[i] += w * load(from + i * line.x_step);
        } else {
            Vec x[Pixels];
            GRADUS_UNROLL for (int i = 0; i < Pixels; ++i) x[i] = load(from + i * line.x_step);
            add_products<Width - 1>(sum, x, weight, weights.step);
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

using DepthwiseBlock = void (*)(const DepthwiseLine&, Index, Index, const DepthwiseWeights&,
                                const std::vector<DepthwiseTap>&, bool);
// In registers a pixel takes its sum, and with more than one channel in a group also what it sees, and that exchanged.
// 16 and 9 pixels would fit 32 registers and be up to a third faster, with 5x5 kernels and in groups; but every number
// of pixels is a function of its own, and these cost a second of the 25 that examples/train.cpp may take to compile.
constexpr int most_pixels(Index width) { return width == 1 ? 12 : 4; }
template <int Width, int... Pixel>
constexpr std::array<DepthwiseBlock, sizeof...(Pixel)> depthwise_blocks_of(std::integer_sequence<int, Pixel...>) {
    return {&depthwise_block<Width, Pixel + 1>...};
}
template <int Width>
inline constexpr std::array<DepthwiseBlock, most_pixels(Width)> depthwise_blocks =
    depthwise_blocks_of<Width>(std::make_integer_sequence<int, most_pixels(Width)>{});

inline DepthwiseBlock depthwise_block_for(Index width, Index pixels) {
    const std::size_t p = static_cast<std::size_t>(pixels - 1);
    return width == 1   ? depthwise_blocks<1>[p]
           : width == 2 ? depthwise_blocks<2>[p]
           : width == 4 ? depthwise_blocks<4>[p]
                        : depthwise_blocks<8>[p];
}

inline void depthwise_line(const DepthwiseLine& line, const DepthwiseWeights& weights,
                           const std::vector<DepthwiseTap>& taps, bool add) {
    if (line.count == 0) return;
    const Index pixels = ceil_div(line.count, ceil_div(line.count, most_pixels(weights.width)));
    for (Index j = 0; j < line.count; j += pixels) {
        const DepthwiseBlock block = depthwise_block_for(weights.width, std::min(pixels, line.count - j));
        for (Index c = 0; c < line.channels; c += vec_floats) block(line, j, c, weights, taps, add);
    }
}

// Of 24 channels a vector of 16 would be filled by 16, then by 8. But where outputs and what they read lie side by
// side, two pixels of 24 channels are one of 48, with the same weights twice: how many pixels to see as one.
inline Index pixels_as_one(const Correlation& correlation, Index channels) {
    const bool side_by_side = correlation.step == 1 && correlation.spacing == 1;
    const bool wasteful = 8 * round_up(channels, vec_floats) > 9 * channels;
    return side_by_side && wasteful ? vec_floats / std::gcd(channels, Index{vec_floats}) : 1;
}

// Of one image x the outputs of a cell in one image y; `together` pixels are seen as one.
inline void depthwise_cell(const DepthwiseCell& cell, const Correlation& correlation, const Image& image,
                           Index together, const DepthwiseWeights& weights, float* y, Index y_columns, bool add) {
    const Index C = image.channels, x_column = correlation.step * C, y_column = correlation.spacing * C;
    const Index x_row = x_column * image.columns, y_row = y_column * y_columns;
    const float* x = image.data + cell.row * x_row + cell.column * x_column;
    y += (correlation.first_row * y_columns + correlation.first_column) * C + cell.row * y_row + cell.column * y_column;
    if (cell.columns < 4 && cell.columns < cell.rows) {  // an edge: blocks of outputs below each other
        for (Index j = 0; j < cell.columns; ++j, x += x_column, y += y_column)
            depthwise_line({cell.rows, C, x, x_row, y, y_row, x, y, 1}, weights, cell.taps, add);
        return;
    }
    const Index groups = cell.columns / together, done = groups * together;
    const Index x_share = correlation.step * correlation.step;
    for (Index i = 0; i < cell.rows; ++i, x += x_row, y += y_row) {
        const float* next_x = x + 2 * x_row;
        const float* next_y = y + 2 * y_row;
        depthwise_line({groups, together * C, x, together * x_column, y, together * y_column, next_x, next_y, x_share},
                       weights, cell.taps, add);
        depthwise_line({cell.columns - done, C, x + done * x_column, x_column, y + done * y_column, y_column,
                        next_x + done * x_column, next_y + done * y_column, x_share},
                       weights, cell.taps, add);
    }
}

// As many outputs as inputs in each group, at most a vector of them.
inline bool is_depthwise(Index groups, Index inputs, Index outputs) {
    const bool fits = inputs == 1 || inputs == 2 || inputs == 4 || inputs == 8;
    return fits && inputs <= vec_floats && outputs == groups * inputs;
}

inline void depthwise_correlate(Array4<const float> x, const WeightMatrix& weight, const float* bias,
                                const std::vector<Correlation>& correlations, Array4<float> y, bool add) {
    const auto [N, H, W, C] = x.shape();
    const Index y_size = y.size() / N, width = weight.depth;
    const Index rows = correlations.front().rows, columns = correlations.front().columns;  // the first has the most
    constexpr Index task_floats = 65536;  // of x: enough to be worth a task
    const Index most_rows_of_task = std::max<Index>(1, task_floats / (correlations.front().step * columns * C));
    const Index bands = ceil_div(rows, most_rows_of_task), band_rows = ceil_div(rows, bands);

    // For each correlation its weights in whole vectors of together * C, and the cells of each band.
    const Index together = pixels_as_one(correlations.front(), C), step = round_up(together * C, vec_floats);
    Index taps = 0;
    for (const Correlation& correlation : correlations) taps += static_cast<Index>(correlation.taps.size());
    const HostBuffer<float> packed((1 + taps * width) * step);
    float* to = packed.data();
    for (Index i = 0; bias && i < together * C; ++i) to[i] = bias[i % C];
    bias = bias ? to : nullptr;
    to += step;
    std::vector<DepthwiseWeights> weights;
    std::vector<std::vector<DepthwiseCell>> cells;
    for (const Correlation& correlation : correlations) {
        weights.push_back({width, step, to, bias});
        for (const Tap& tap : correlation.taps) {
            for (Index distance = 0; distance < width; ++distance, to += step) {
                for (Index i = 0; i < together * C; ++i) {
                    const Index channel = i % C, k = (channel ^ distance) % width;
                    to[i] = weight.at(channel / width,
                                      tap)[k * weight.depth_stride + channel % width * weight.column_stride];
                }
            }
        }
        for (Index band = 0; band < bands; ++band)
            cells.push_back(cells_of(correlation, band * band_rows, std::min(correlation.rows, (band + 1) * band_rows),
                                     {nullptr, H, W, C}, width * step));
    }
    parallel_for(N * bands, [&, H = H, W = W, C = C](Index task) {
        const Index n = task / bands, band = task % bands;
        const Image image{x.data() + n * H * W * C, H, W, C};
        for (std::size_t k = 0; k < correlations.size(); ++k)
            for (const DepthwiseCell& cell :
                 cells[k * static_cast<std::size_t>(bands) + static_cast<std::size_t>(band)])
                depthwise_cell(cell, correlations[k], image, together, weights[k], y.data() + n * y_size, y.shape()[2],
                               add);
    });
}

}  // namespace gradus::inline GRADUS_ABI
