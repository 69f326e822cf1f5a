// convolution/conv2d_winograd_weights_cpu.hpp   The gradient of 3x3 weights with 4 times fewer multiplications.
//     dw = G^T [ sum over tiles of (A dy A^T) .* (B^T x B) ] G
// the transpose of conv2d_winograd_cpu.hpp, which see. At each of the 36 points this is a matrix product over the
// tiles, dU[p] (O, C) = D[p]^T (O, tiles) * V[p] (tiles, C).
// Sums     As in conv2d_weights_cpu.hpp the shape alone decides: up to 8 parts of consecutive tiles that are added up
//          in order while they fit 8 MB; else all tiles in order, and the tasks are the 36 points.
#pragma once

#include "gradus/convolution/conv2d_weights_cpu.hpp"
#include "gradus/convolution/conv2d_winograd_cpu.hpp"

namespace gradus::inline GRADUS_ABI {

// A dy: the transpose of collect_output.
GRADUS_INLINE void evaluate_gradient(const Vec (&y)[4], Vec (&m)[6]) {
    const Vec a = y[0] + y[2], b = y[1] + y[3];
    const Vec c = y[0] + 4.0f * y[2], d = 2.0f * y[1] + 8.0f * y[3];
    m[0] = y[0];
    m[1] = a + b;
    m[2] = a - b;
    m[3] = c + d;
    m[4] = c - d;
    m[5] = y[3];
}
// G^T u: the transpose of evaluate_kernel.
GRADUS_INLINE void collect_kernel(const Vec (&u)[6], Vec (&w)[3]) {
    const Vec a = (u[1] + u[2]) * (-1.0f / 6), b = u[3] + u[4];
    w[0] = u[0] * 0.25f + a + b * (1.0f / 24);
    w[1] = (u[2] - u[1]) * (1.0f / 6) + (u[3] - u[4]) * (1.0f / 12);
    w[2] = a + b * (1.0f / 6) + u[5];
}

// A dy A^T of one tile and one vector of channels.
GRADUS_NOT_INLINE void transform_gradient_tile(const float* from, Index row_stride, Index channels, float* to,
                                               Index stride) {
    Vec half[6][4];
    GRADUS_UNROLL for (int k = 0; k < 4; ++k) {
        Vec dy[4], out[6];
        GRADUS_UNROLL for (int i = 0; i < 4; ++i) dy[i] = load(from + i * row_stride + k * channels);
        evaluate_gradient(dy, out);
        GRADUS_UNROLL for (int i = 0; i < 6; ++i) half[i][k] = out[i];
    }
    GRADUS_UNROLL for (int i = 0; i < 6; ++i) {
        Vec out[6];
        evaluate_gradient(half[i], out);
        GRADUS_UNROLL for (int k = 0; k < 6; ++k) store(to + (i * 6 + k) * stride, out[k]);
    }
}

// D: transforms one row of tiles of dy, as transform_input does with x. `rows` are 4 rows of 4*across pixels.
inline void transform_gradient(const float* rows, Index across, Index channels, float* d, Index stride) {
    const Index row_stride = 4 * across * channels, padded = round_up(channels, vec_floats);
    for (Index t = 0; t < across; ++t)
        for (Index c = 0; c < channels; c += vec_floats)
            transform_gradient_tile(rows + 4 * t * channels + c, row_stride, channels, d + t * padded + c, stride);
}

class WinogradWeightGradient {
public:
    WinogradWeightGradient(Array4<const float> x, Array4<const float> dy, Index padding, Array4<float> dweight)
        : x_(x),
          dy_(dy),
          dweight_(dweight),
          padding_(padding),
          tiles_(dy.shape()[0], dy.shape()[1], dy.shape()[2]),
          C_(round_up(x.shape()[3], vec_floats)),
          O_(dy.shape()[3]),
          padded_O_(round_up(O_, vec_floats)) {}

    void compute(Write mode) const {
        const Index size = winograd_points * O_ * C_;
        const Index unit = tiles_.rows_of_unit(std::max<Index>(64, winograd_unit(C_ + padded_O_)));
        const Index units = ceil_div(tiles_.tile_row_count(), unit), parts = std::min(most_partial_sums, units);
        if (parts * size > partial_sums_floats) return compute_large(mode);
        const HostBuffer<float> partial(parts * size);
        parallel_for(parts, [&](Index part) {
            float* du = partial.data() + part * size;
            const Index begin = part * units / parts, end = (part + 1) * units / parts;
            const Scratch scratch(*this, unit);
            for (Index i = begin; i < end; ++i) {
                const Index first = i * unit, last = std::min(tiles_.tile_row_count(), first + unit);
                for (Index row = first; row < last; ++row) transform(scratch, row, row - first);
                for (Index point = 0; point < winograd_points; ++point)
                    multiply(scratch, point, (last - first) * tiles_.across, du, i > begin);
            }
        });
        // The sum of the parts takes the place of the first.
        add_partial_sums(partial.data(), parts, size, partial.data(), Write::overwrite);
        finish(partial.data(), mode);
    }

private:
    // V and D of some rows of tiles, and the copies that the transforms read.
    struct Scratch {
        Index v_stride, d_stride;
        HostBuffer<float> v, d;

        Scratch(const WinogradWeightGradient& of, Index tile_rows)
            : v_stride(point_stride(tile_rows * of.tiles_.across, of.C_)),
              d_stride(point_stride(tile_rows * of.tiles_.across, of.padded_O_)),
              v(winograd_points * v_stride),
              d(winograd_points * d_stride) {}
    };

    void transform(const Scratch& scratch, Index tile_row, Index position) const {
        const auto [N, P, Q, O] = dy_.shape();
        const HostBuffer<float> copy(tile_row_copy_size(tiles_, std::max(x_.shape()[3], O)));
        transform_tile_row(x_, tiles_, tile_row, padding_, copy.data(),
                           scratch.v.data() + position * tiles_.across * C_, scratch.v_stride);
        const Image image{dy_.data() + tile_row / tiles_.down * P * Q * O, P, Q, O};
        copy_rectangle(image, {4 * (tile_row % tiles_.down), 0, 4, 4 * tiles_.across}, copy.data(), O);
        transform_gradient(copy.data(), tiles_.across, O, scratch.d.data() + position * tiles_.across * padded_O_,
                           scratch.d_stride);
    }

    void multiply(const Scratch& scratch, Index point, Index tiles, float* du, bool add) const {
        const Panels panels(0, C_);
        const Run run{0, 0, tiles};
        for (Index p = 0; p < panels.count(); ++p) {
            const TileTarget target{du + point * O_ * C_ + panels[p].first, C_, vec_floats, add};
            tile_column<ALayout::by_column>(O_, panels[p].vectors, scratch.d.data() + point * scratch.d_stride,
                                            padded_O_, scratch.v.data() + point * scratch.v_stride + panels[p].first,
                                            C_, &run, 1, target);
        }
    }

    void compute_large(Write mode) const {
        const HostBuffer<float> du(winograd_points * O_ * C_);
        const Index unit = tiles_.rows_of_unit(128);
        const Scratch scratch(*this, unit);
        for (Index first = 0; first < tiles_.tile_row_count(); first += unit) {
            const Index count = std::min(unit, tiles_.tile_row_count() - first);
            parallel_for(count, [&](Index row) { transform(scratch, first + row, row); });
            parallel_for(winograd_points,
                         [&](Index point) { multiply(scratch, point, count * tiles_.across, du.data(), first > 0); });
        }
        finish(du.data(), mode);
    }

    // dweight from the sums dU.
    void finish(const float* du, Write mode) const {
        const Index C = x_.shape()[3], point = O_ * C_;
        parallel_for(O_, [&](Index o) {
            for (Index c = 0; c < C; c += vec_floats) {
                const float* from = du + o * C_ + c;
                const Index lanes = std::min<Index>(vec_floats, C - c);
                Vec half[3][6];
                GRADUS_UNROLL for (int k = 0; k < 6; ++k) {
                    Vec u[6], out[3];
                    GRADUS_UNROLL for (int i = 0; i < 6; ++i) u[i] = load(from + (i * 6 + k) * point);
                    collect_kernel(u, out);
                    GRADUS_UNROLL for (int i = 0; i < 3; ++i) half[i][k] = out[i];
                }
                GRADUS_UNROLL for (int i = 0; i < 3; ++i) {
                    Vec out[3];
                    collect_kernel(half[i], out);
                    GRADUS_UNROLL for (int k = 0; k < 3; ++k) {
                        float* to = dweight_.data() + ((o * 3 + i) * 3 + k) * C + c;
                        if (mode == Write::add) out[k] += load_some(to, lanes);
                        store_some(to, out[k], lanes);
                    }
                }
            }
        });
    }

    Array4<const float> x_, dy_;
    Array4<float> dweight_;
    Index padding_;
    WinogradTiles tiles_;
    Index C_, O_, padded_O_;  // C_ in whole vectors
};

}  // namespace gradus::inline GRADUS_ABI
