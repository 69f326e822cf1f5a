// convolution/conv2d_cpu.hpp   The fast twins of conv2d.hpp, and which algorithm serves which shape.
//     float          1x1 of stride 1: a matrix product             machine/cpu/gemm.hpp
//                    3x3 of stride 1, enough channels              conv2d_winograd_cpu.hpp and its kin,
//                                                                  .._wide_cpu.hpp and .._weights_cpu.hpp
//                    depthwise: G = C = O                          depthwise_cpu.hpp, depthwise_weights_cpu.hpp
//                    groups of 2, 4, 8 channels, as many outputs   depthwise_cpu.hpp, conv2d_groups_cpu.hpp
//                    other groups narrower than a vector           conv2d_groups_cpu.hpp, then as below
//                    everything else                               conv2d_direct_cpu.hpp, conv2d_weights_cpu.hpp
//     Half, BFloat16 converted to float, some images at a time, and back
//     double         conv2d_im2col_cpu.hpp
#pragma once

#include "gradus/convolution/conv2d_direct_cpu.hpp"
#include "gradus/convolution/conv2d_groups_cpu.hpp"
#include "gradus/convolution/conv2d_im2col_cpu.hpp"
#include "gradus/convolution/conv2d_options.hpp"
#include "gradus/convolution/conv2d_weights_cpu.hpp"
#include "gradus/convolution/conv2d_winograd_cpu.hpp"
#include "gradus/convolution/conv2d_winograd_weights_cpu.hpp"
#include "gradus/convolution/conv2d_winograd_wide_cpu.hpp"
#include "gradus/convolution/depthwise_cpu.hpp"
#include "gradus/convolution/depthwise_weights_cpu.hpp"

namespace gradus::inline GRADUS_ABI {

// Winograd needs 3x3 kernels of stride 1; it pays where the channels fill the vectors of its transforms. Weights above
// 256 KB become so large that their transform must be worth it: writing and reading one of the 36 numbers that a pair
// of channels has takes as long as about 25 multiply-adds, about 1000 in all, and each output pixel saves up to 9.
inline constexpr Index winograd_near = 65536;
inline bool use_winograd(const Array4<const float>::Extents& weight, const Conv2dOptions& options,
                         const Array4<const float>::Extents& y) {
    const auto [O, KH, KW, C] = weight;
    const auto [s, p, d, G] = options;
    if (KH != 3 || KW != 3 || s != 1 || d != 1 || G != 1 || p > 2 || C < 12 || O < 12) return false;
    const WinogradTiles tiles(y[0], y[1], y[2]);
    return C * O <= winograd_near || 9 * y[0] * y[1] * y[2] > 36 * tiles.tile_row_count() * tiles.across + 1000;
}

// A 1x1 kernel of stride 1 without border is a matrix product over all pixels.
inline bool is_matrix_product(Index KH, Index KW, const Conv2dOptions& options) {
    return KH == 1 && KW == 1 && options.stride == 1 && options.padding == 0 && options.groups == 1;
}
template <class T>
Matrix<T> pixels_of(Array4<T> x) {
    const auto [N, H, W, C] = x.shape();
    return {x.data(), {N * H * W, C}};
}

// How many narrow groups forward and backward-data take as one; 1 where depthwise_cpu.hpp does better.
inline Index groups_to_merge(const Conv2dOptions& options, Index I, Index O) {
    return is_depthwise(options.groups, I, O) ? 1 : groups_in_vector(options, I, O / options.groups);
}
// Whether the transformed weights stay near, or take the loops of conv2d_winograd_wide_cpu.hpp.
inline void winograd_convolution(Array4<const float> x, const WeightMatrix& weight, const std::vector<Tap>& taps,
                                 Index padding, const float* bias, Array4<float> y, bool add) {
    const bool near = weight.depth * weight.columns <= winograd_near;
    (near ? winograd_correlate : winograd_correlate_wide)(x, weight, taps, padding, bias, y, add);
}

inline void conv2d_forward(Cpu, Array4<const float> x, Array4<const float> weight, Vector<const float> bias,
                           const Conv2dOptions& options, Array4<float> y) {
    if (y.size() == 0) return;
    const auto [s, p, d, G] = options;
    const auto [O, KH, KW, I] = weight.shape();
    const float* first = bias.size() > 0 ? bias.data() : nullptr;
    if (is_matrix_product(KH, KW, options))
        return gemm(Cpu{}, pixels_of(x), Transpose::no, Matrix<const float>(weight.data(), {O, I}), Transpose::yes,
                    pixels_of(y), Write::overwrite, first);
    if (const Index together = groups_to_merge(options, I, O); together > 1) {
        const BlockDiagonal wide(weight.shape(), options, together);
        wide.fill(weight);
        return conv2d_forward(Cpu{}, x, wide.view(), bias, wide.options(), y);
    }
    const WeightMatrix matrix = forward_weights(weight, G);
    const std::vector<Correlation> all = forward_correlation(KH, KW, s, p, d, y.shape()[1], y.shape()[2]);
    if (use_winograd(weight.shape(), options, y.shape()))
        return winograd_convolution(x, matrix, all.front().taps, p, first, y, false);
    if (is_depthwise(G, I, O)) return depthwise_correlate(x, matrix, first, all, y, false);
    correlate(x, matrix, G, first, all, y, false);
}

inline void conv2d_backward_data(Cpu, Array4<const float> dy, Array4<const float> weight, const Conv2dOptions& options,
                                 Array4<float> dx, Write mode) {
    if (dx.size() == 0) return;
    const auto [s, p, d, G] = options;
    const auto [O, KH, KW, I] = weight.shape();
    const bool add = mode == Write::add;
    if (is_matrix_product(KH, KW, options))
        return gemm(Cpu{}, pixels_of(dy), Transpose::no, Matrix<const float>(weight.data(), {O, I}), Transpose::no,
                    pixels_of(dx), mode);
    if (const Index together = groups_to_merge(options, I, O); together > 1) {
        const BlockDiagonal wide(weight.shape(), options, together);
        wide.fill(weight);
        return conv2d_backward_data(Cpu{}, dy, wide.view(), wide.options(), dx, mode);
    }
    const WeightMatrix matrix = backward_weights(weight, G);
    const std::vector<Correlation> phases = backward_correlations(KH, KW, s, p, d, dx.shape()[1], dx.shape()[2]);
    if (use_winograd(weight.shape(), options, dy.shape()))
        return winograd_convolution(dy, matrix, phases.front().taps, 2 - p, nullptr, dx, add);
    if (is_depthwise(G, I, O)) return depthwise_correlate(dy, matrix, nullptr, phases, dx, add);
    correlate(dy, matrix, G, nullptr, phases, dx, add);
}

inline void conv2d_backward_weights(Cpu, Array4<const float> x, Array4<const float> dy, const Conv2dOptions& options,
                                    Array4<float> dweight, Write mode) {
    if (dweight.size() == 0) return;
    if (dy.size() == 0) {
        for (Index i = 0; i < dweight.size(); ++i) put(dweight.data()[i], 0.0f, mode);
        return;
    }
    const auto [O, KH, KW, I] = dweight.shape();
    if (I == 1 && O == options.groups) return depthwise_backward_weights(x, dy, options, dweight, mode);
    if (const Index together = groups_in_vector(options, I, O / options.groups); together > 1) {
        const BlockDiagonal wide(dweight.shape(), options, together);
        conv2d_backward_weights(Cpu{}, x, dy, wide.options(), wide.view(), Write::overwrite);
        return wide.collect(dweight, mode);
    }
    if (use_winograd(dweight.shape(), options, dy.shape()))
        return WinogradWeightGradient(x, dy, options.padding, dweight).compute(mode);
    DirectWeightGradient(x, dy, options, dweight).compute(mode);
}

// Column sums in at most 64 parts of consecutive rows, added up in order.
template <class T>
void conv2d_backward_bias(Cpu, Matrix<const T> dy, Vector<Sum<T>> dbias, Write mode) {
    const auto [M, O] = dy.shape();
    const Index parts = std::clamp<Index>(M / 64, 1, 64);
    const HostBuffer<Sum<T>> partial(parts * O);
    parallel_for(parts, [&, M = M, O = O](Index part) {
        Sum<T>* sum = partial.data() + part * O;
        std::fill_n(sum, O, Sum<T>(0));
        const Index end = (part + 1) * M / parts;
        for (Index m = part * M / parts; m < end; ++m) {
            const T* row = dy.data() + m * O;
            Index o = 0;
            if constexpr (std::same_as<T, float>)
                for (; o + vec_floats <= O; o += vec_floats) store(sum + o, load(sum + o) + load(row + o));
            for (; o < O; ++o) sum[o] += Sum<T>(row[o]);
        }
    });
    for (Index o = 0; o < O; ++o) {
        Sum<T> sum = 0;
        for (Index part = 0; part < parts; ++part) sum += partial.data()[part * O + o];
        put(dbias(o), sum, mode);
    }
}

// 16-bit types: as many images at a time as make about 16 MB of float, so that the copies stay small beside the
// tensors.
inline Index images_at_a_time(Index N, Index floats) {
    return std::clamp<Index>((Index{4} << 20) * N / std::max<Index>(1, floats), 1, std::max<Index>(1, N));
}
template <class T>
Array4<T> some_images(Array4<T> all, Index first, Index count) {
    const auto [N, H, W, C] = all.shape();
    return {all.data() + first * H * W * C, {std::min(count, N - first), H, W, C}};
}

template <class T>
void conv2d_forward(Cpu device, Array4<const T> x, Array4<const float> weight, Vector<const float> bias,
                    const Conv2dOptions& options, Array4<T> y) {
    const Index N = x.shape()[0], count = images_at_a_time(N, x.size() + y.size());
    for (Index n = 0; n < N; n += count) {
        const AsFloat<T, 4> float_x(some_images(x, n, count));
        const FloatResult<T, 4> result(some_images(y, n, count), Write::overwrite);
        conv2d_forward(device, float_x.view(), weight, bias, options, result.view());
        result.finish();
    }
}
template <class T>
void conv2d_backward_data(Cpu device, Array4<const T> dy, Array4<const float> weight, const Conv2dOptions& options,
                          Array4<T> dx, Write mode) {
    const Index N = dx.shape()[0], count = images_at_a_time(N, dx.size() + dy.size());
    for (Index n = 0; n < N; n += count) {
        const AsFloat<T, 4> float_dy(some_images(dy, n, count));
        const FloatResult<T, 4> result(some_images(dx, n, count), mode);
        conv2d_backward_data(device, float_dy.view(), weight, options, result.view(), mode);
        result.finish();
    }
}
template <class T>
void conv2d_backward_weights(Cpu device, Array4<const T> x, Array4<const T> dy, const Conv2dOptions& options,
                             Array4<float> dweight, Write mode) {
    const Index N = x.shape()[0], count = images_at_a_time(N, x.size() + dy.size());
    Index n = 0;
    do {  // once for an empty batch too: its gradient is 0
        const AsFloat<T, 4> float_x(some_images(x, n, count)), float_dy(some_images(dy, n, count));
        conv2d_backward_weights(device, float_x.view(), float_dy.view(), options, dweight, n == 0 ? mode : Write::add);
        n += count;
    } while (n < N);
}

}  // namespace gradus::inline GRADUS_ABI
