// convolution/conv2d_winograd_cpu.hpp   3x3 convolutions of stride 1 with 4 times fewer multiplications.
// Paper    Lavin & Gray 2016, "Fast algorithms for convolutional neural networks", arXiv 1509.09308, section 4:
//          F(4x4, 3x3), after Winograd 1980, "Arithmetic complexity of computations".
// Idea     The product of polynomials y, of 4 coefficients, and w, of 3, has 6 coefficients, so its values at 6 points
//          determine it. Evaluate both at 0, 1, -1, 2, -2 and infinity (A y and G w), multiply point by point,
//          interpolate (B):
//              y * w = B [ (A y) .* (G w) ] = M y,    M = B diag(G w) A, a matrix of 6 rows and 4 columns
//          That spreads 4 numbers over 6. A correlation collects 4 outputs from 6 inputs: it is the transpose,
//              M^T x = A^T [ (G w) .* (B^T x) ]
//          For a tile of 4x4 outputs, which reads 6x6 inputs, along both axes:
//              Y = A^T [ (G w G^T) .* (B^T x B) ] A         36 products instead of 16 * 9 = 144
// Channels The sum over input channels stays inside the brackets, so each of the 36 points is a matrix product
//          M[p] (tiles, O) = V[p] (tiles, C) * U[p] (C, O), which the micro-kernel of machine/cpu/tile.hpp computes.
// Gradients  Backward-data is the same function with the kernel turned by 180 degrees. Backward-weights is the
//            transpose,
//              dw = G^T [ sum over tiles of (B^T x B) .* (A dy A^T) ] G            conv2d_winograd_weights_cpu.hpp
// Error    The transforms add and subtract numbers up to 8 times as large as their result, so rounding errors are a few
//          times those of the direct sum, and relative to the largest numbers of a tile, not of one window: an output
//          of tiny inputs beside huge ones is less accurate than with the direct kernel. The test bounds the difference
//          from the exact result by 32 eps times the largest sum |x||w|.
// Cost     C*O*36/16 multiply-adds an output pixel instead of C*O*9, and the transforms: about 25 vector operations a
//          pixel and 16 channels. Edge tiles are computed whole.
#pragma once

#include <vector>

#include "gradus/convolution/conv2d_direct_cpu.hpp"

namespace gradus::inline GRADUS_ABI {

inline constexpr int winograd_points = 36;

// B^T x of a column of a 6x6 input tile, the rows of points 0, 1, -1 and those of 2, -2, infinity. B interpolates: row
// p of B^T holds the coefficients of the product of (t - q) over all other finite points q, up to a factor that G
// contains.
GRADUS_INLINE void collect_input_low(const Vec (&x)[6], Vec (&t)[3]) {
    const Vec a = x[4] - 4.0f * x[2], b = x[3] - 4.0f * x[1];
    t[0] = 4.0f * x[0] + (x[4] - 5.0f * x[2]);
    t[1] = a + b;
    t[2] = a - b;
}
GRADUS_INLINE void collect_input_high(const Vec (&x)[6], Vec (&t)[3]) {
    const Vec c = x[4] - x[2], d = 2.0f * (x[3] - x[1]);
    t[0] = c + d;
    t[1] = c - d;
    t[2] = 4.0f * x[1] + (x[5] - 5.0f * x[3]);
}
// A^T m. A evaluates 4 coefficients at the points: row i of A^T holds their i-th powers.
GRADUS_INLINE void collect_output(const Vec (&m)[6], Vec (&y)[4]) {
    const Vec a = m[1] + m[2], b = m[1] - m[2];
    const Vec c = m[3] + m[4], d = m[3] - m[4];
    y[0] = m[0] + a + c;
    y[1] = b + 2.0f * d;
    y[2] = a + 4.0f * c;
    y[3] = b + 8.0f * d + m[5];
}
// G w: the 3 numbers of a kernel row, evaluated. The scale of the points is the one that makes B and A integers.
GRADUS_INLINE void evaluate_kernel(const Vec (&w)[3], Vec (&t)[6]) {
    const Vec a = (w[0] + w[2]) * (-1.0f / 6), b = w[1] * (-1.0f / 6);
    const Vec c = w[0] * (1.0f / 24) + w[2] * (1.0f / 6), d = w[1] * (1.0f / 12);
    t[0] = w[0] * 0.25f;
    t[1] = a + b;
    t[2] = a - b;
    t[3] = c + d;
    t[4] = c - d;
    t[5] = w[2];
}

// The tiles of a batch of images, in rows: row r is row r % down of image r / down. A unit of work is some rows.
struct WinogradTiles {
    Index images, rows, columns;  // of the outputs
    Index down, across;           // tiles of an image

    WinogradTiles(Index images_, Index rows_, Index columns_)
        : images(images_), rows(rows_), columns(columns_), down(ceil_div(rows, 4)), across(ceil_div(columns, 4)) {}
    Index tile_row_count() const { return images * down; }
    // As many rows of tiles as have about `tiles` tiles, of equal size.
    Index rows_of_unit(Index tiles) const {
        const Index most = std::clamp<Index>(tiles / across, 1, tile_row_count());
        return ceil_div(tile_row_count(), ceil_div(tile_row_count(), most));
    }
};

// Distance of the matrices of two points; one line more, so that they do not compete for the same cache lines.
constexpr Index point_stride(Index tiles, Index channels) { return tiles * channels + 16; }

// Three of the six rows of B^T x B, low or high. Six rows at once would not fit the registers.
template <bool High>
GRADUS_NOT_INLINE void transform_half_tile(const float* from, Index row_stride, Index channels, float* to,
                                           Index stride) {
    Vec half[3][6];
    GRADUS_UNROLL for (int k = 0; k < 6; ++k) {
        Vec x[6], out[3];
        GRADUS_UNROLL for (int i = 0; i < 6; ++i) x[i] = load(from + i * row_stride + k * channels);
        if constexpr (High)
            collect_input_high(x, out);
        else
            collect_input_low(x, out);
        GRADUS_UNROLL for (int i = 0; i < 3; ++i) half[i][k] = out[i];
    }
    GRADUS_UNROLL for (int i = 0; i < 3; ++i) {
        Vec low[3], high[3];
        collect_input_low(half[i], low);
        collect_input_high(half[i], high);
        GRADUS_UNROLL for (int k = 0; k < 3; ++k) {
            store(to + (i * 6 + k) * stride, low[k]);
            store(to + (i * 6 + 3 + k) * stride, high[k]);
        }
    }
}

// V: transforms one row of tiles. `rows` are its 6 input rows with the border, 4*across + 2 pixels wide; tile t of the
// row and point p go to v[p * stride + t * padded], where padded is the number of channels in whole vectors.
inline void transform_input(const float* rows, Index across, Index channels, float* v, Index stride) {
    const Index row_stride = (4 * across + 2) * channels, padded = round_up(channels, vec_floats);
    for (Index t = 0; t < across; ++t) {
        for (Index c = 0; c < channels; c += vec_floats) {
            const float* from = rows + 4 * t * channels + c;
            float* to = v + t * padded + c;
            transform_half_tile<false>(from, row_stride, channels, to, stride);
            transform_half_tile<true>(from, row_stride, channels, to + 18 * stride, stride);
        }
    }
}

// Copies the 6 rows of the images under a row of tiles, with the border, and transforms them.
inline void transform_tile_row(Array4<const float> x, const WinogradTiles& tiles, Index tile_row, Index padding,
                               float* copy, float* v, Index stride) {
    const auto [N, H, W, C] = x.shape();
    const Image image{x.data() + tile_row / tiles.down * H * W * C, H, W, C};
    copy_rectangle(image, {4 * (tile_row % tiles.down) - padding, -padding, 6, 4 * tiles.across + 2}, copy, C);
    transform_input(copy, tiles.across, C, v, stride);
}
inline Index tile_row_copy_size(const WinogradTiles& tiles, Index channels) {
    return 6 * (4 * tiles.across + 2) * channels;
}

// bias + A^T M A of one tile and one vector of channels, written or added to 4x4 pixels.
GRADUS_NOT_INLINE void transform_output_tile(const float* m, Index stride, const float* bias, float* y,
                                             Index row_stride, Index channels, bool add) {
    const Vec start = bias ? load(bias) : Vec{};
    Vec half[4][6];
    GRADUS_UNROLL for (int k = 0; k < 6; ++k) {
        Vec point[6], out[4];
        GRADUS_UNROLL for (int i = 0; i < 6; ++i) point[i] = load(m + (i * 6 + k) * stride);
        collect_output(point, out);
        GRADUS_UNROLL for (int i = 0; i < 4; ++i) half[i][k] = out[i];
    }
    GRADUS_UNROLL for (int i = 0; i < 4; ++i) {
        Vec out[4];
        collect_output(half[i], out);
        float* row = y + i * row_stride;
        GRADUS_UNROLL for (int k = 0; k < 4; ++k) out[k] += start;
        if (add) {
            GRADUS_UNROLL for (int k = 0; k < 4; ++k) out[k] += load(row + k * channels);
        }
        GRADUS_UNROLL for (int k = 0; k < 4; ++k) store(row + k * channels, out[k]);
    }
}

// One row of tiles of y, `count` of its channels from `first` on. Tiles may stick out of the image, and vectors out of
// the channels: such a tile goes to a block of its own first.
inline void transform_output(const float* m, Index stride, const WinogradTiles& tiles, Index tile_row,
                             const float* bias, Array4<float> y, Index first, Index count, bool add) {
    const Index channels = y.shape()[3], padded = round_up(count, vec_floats), top = 4 * (tile_row % tiles.down);
    const Index row_stride = tiles.columns * channels, rows = std::min<Index>(4, tiles.rows - top);
    float* start_of_row = y.data() + (tile_row / tiles.down * tiles.rows + top) * row_stride + first;
    for (Index t = 0; t < tiles.across; ++t) {
        const Index columns = std::min<Index>(4, tiles.columns - 4 * t);
        for (Index c = 0; c < count; c += vec_floats) {
            const float* from = m + t * padded + c;
            float* to = start_of_row + 4 * t * channels + c;
            const Index lanes = std::min<Index>(vec_floats, count - c);
            const float* start = bias ? bias + first + c : nullptr;
            if (rows == 4 && columns == 4 && lanes == vec_floats) {
                transform_output_tile(from, stride, start, to, row_stride, channels, add);
                continue;
            }
            float block[4 * 4 * vec_floats];
            transform_output_tile(from, stride, start, block, 4 * vec_floats, vec_floats, false);
            for (Index i = 0; i < rows; ++i) {
                for (Index k = 0; k < columns; ++k) {
                    const Vec value = load(block + (i * 4 + k) * vec_floats);
                    float* pixel = to + i * row_stride + k * channels;
                    store_some(pixel, add ? value + load_some(pixel, lanes) : value, lanes);
                }
            }
        }
    }
}

// U of one panel of columns and some rows of it: 36 matrices, point_size floats apart, from 9 taps in the order in
// which they touch the input. Taps and result are panel.stride() wide.
inline constexpr Index winograd_depth = 32;  // rows at a time: with 32 columns 9 taps are 36 KB
inline void transform_weight_rows(const WeightMatrix& weight, const std::vector<Tap>& taps, const Panel& panel,
                                  Index first, float* u, Index point_size) {
    const Index rows = std::min(winograd_depth, weight.depth - first), size = rows * panel.stride();
    const HostBuffer<float> packed(9 * size);
    for (std::size_t t = 0; t < 9; ++t)
        pack_panel(panel, rows,
                   weight.at(0, taps[t]) + first * weight.depth_stride + panel.first * weight.column_stride,
                   weight.depth_stride, weight.column_stride, packed.data() + static_cast<Index>(t) * size);
    for (Index i = 0; i < size; i += vec_floats) {
        const float* from = packed.data() + i;
        float* to = u + first * panel.stride() + i;
        Vec half[6][3];
        GRADUS_UNROLL for (int v = 0; v < 3; ++v) {
            const Vec w[3] = {load(from + v * size), load(from + (3 + v) * size), load(from + (6 + v) * size)};
            Vec out[6];
            evaluate_kernel(w, out);
            GRADUS_UNROLL for (int k = 0; k < 6; ++k) half[k][v] = out[k];
        }
        GRADUS_UNROLL for (int k = 0; k < 6; ++k) {
            Vec out[6];
            evaluate_kernel(half[k], out);
            GRADUS_UNROLL for (int l = 0; l < 6; ++l) store(to + (k * 6 + l) * point_size, out[l]);
        }
    }
}
// U: 36 matrices (depth, columns) in panels.
inline void transform_weights(const WeightMatrix& weight, const std::vector<Tap>& taps, float* u) {
    const Panels panels(weight.depth, weight.columns);
    const Index parts = ceil_div(weight.depth, winograd_depth);
    parallel_for(panels.count() * parts, [&](Index task) {
        const Panel panel = panels[task / parts];
        transform_weight_rows(weight, taps, panel, task % parts * winograd_depth, u + panel.offset, panels.size());
    });
}

// Tiles of a unit: V and M of a unit fill about 400 KB of the second-level cache, but a tile of the micro-kernel is
// filled.
inline Index winograd_unit(Index channels) {
    return std::max<Index>(most_rows(2), 100000 / (winograd_points * channels));
}

// A 3x3 correlation of step 1 whose first tap lies `padding` pixels above and left of the output.
inline void winograd_correlate(Array4<const float> x, const WeightMatrix& weight, const std::vector<Tap>& taps,
                               Index padding, const float* bias, Array4<float> y, bool add) {
    const WinogradTiles tiles(x.shape()[0], y.shape()[1], y.shape()[2]);
    const Index C = round_up(weight.depth, vec_floats), O = round_up(weight.columns, vec_floats);
    const Panels panels(weight.depth, weight.columns);
    const HostBuffer<float> u(winograd_points * panels.size());
    transform_weights(weight, taps, u.data());

    const Index unit = tiles.rows_of_unit(winograd_unit(C + O)), most_tiles = unit * tiles.across;
    const Index v_stride = point_stride(most_tiles, C), m_stride = point_stride(most_tiles, O);
    parallel_for(ceil_div(tiles.tile_row_count(), unit), [&](Index task) {
        const Index first = task * unit, last = std::min(tiles.tile_row_count(), first + unit);
        const Index count = (last - first) * tiles.across;
        const HostBuffer<float> v(winograd_points * v_stride), m(winograd_points * m_stride);
        const HostBuffer<float> copy(tile_row_copy_size(tiles, weight.depth));
        for (Index row = first; row < last; ++row)
            transform_tile_row(x, tiles, row, padding, copy.data(), v.data() + (row - first) * tiles.across * C,
                               v_stride);
        const Run run{0, 0, weight.depth};
        for (Index point = 0; point < winograd_points; ++point) {
            for (Index p = 0; p < panels.count(); ++p) {
                const TileTarget target{m.data() + point * m_stride + panels[p].first, O, vec_floats, false};
                tile_column<ALayout::by_row>(count, panels[p].vectors, v.data() + point * v_stride, C,
                                             u.data() + point * panels.size() + panels[p].offset, panels[p].stride(),
                                             &run, 1, target);
            }
        }
        for (Index row = first; row < last; ++row)
            transform_output(m.data() + (row - first) * tiles.across * O, m_stride, tiles, row, bias, y, 0,
                             weight.columns, add);
    });
}

}  // namespace gradus::inline GRADUS_ABI
