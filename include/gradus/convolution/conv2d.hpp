// convolution/conv2d.hpp   Two-dimensional convolution (cross-correlation, as every deep-learning library has it).
// Papers   LeCun et al. 1989, "Backpropagation applied to handwritten zip code recognition"; groups: Krizhevsky,
//          Sutskever, Hinton 2012; dilation: Yu & Koltun 2015, arXiv 1511.07122.
// Shapes   x (N, H, W, C), weight (O, KH, KW, C/G), bias (O), y (N, P, Q, O) with stride s, padding p, dilation d:
//          P = floor((H + 2p - d(KH-1) - 1) / s) + 1,  Q alike from W and KW
// Forward  y(n, i, j, o) = bias(o) + sum over u, v, c of
//                          x(n, s*i - p + d*u, s*j - p + d*v, first(o) + c) * weight(o, u, v, c)
//          x is 0 outside of the image. With G groups output channel o reads the C/G channels of its group, which start
//          at first(o) = floor(o / (O/G)) * C/G; G = C is a depthwise convolution.
// Backward of f = sum dy*y. Every product x * weight above contributes to one y, so
//   (1) dx(n, h, w, c)       = sum of dy(n, i, j, o) * weight(o, u, v, c')   over all that read it: s*i - p + d*u = h,
//                              s*j - p + d*v = w, first(o) + c' = c
//   (2) dweight(o, u, v, c)  = sum over n, i, j of dy(n, i, j, o) * x(n, s*i - p + d*u, s*j - p + d*v, first(o) + c)
//   (3) dbias(o)             = sum over n, i, j of dy(n, i, j, o)
// Cost     N*P*Q*O * KH*KW*C/G multiply-adds for each of forward, (1) and (2). Twins: conv2d_cpu.hpp and
//          conv2d_cuda.cuh list them.
#pragma once

#include <memory>
#include <utility>

#include "gradus/autograd/variable.hpp"
#include "gradus/convolution/conv2d_options.hpp"

namespace gradus::inline GRADUS_ABI {

template <class T>
void conv2d_forward(Reference, Array4<const T> x, Array4<const Sum<T>> weight, Vector<const Sum<T>> bias,
                    const Conv2dOptions& options, Array4<T> y) {
    const auto [N, H, W, C] = x.shape();
    const auto [O, KH, KW, I] = weight.shape();
    const auto [s, p, d, G] = options;
    const Index P = y.shape()[1], Q = y.shape()[2];
    for (Index n = 0; n < N; ++n)
        for (Index i = 0; i < P; ++i)
            for (Index j = 0; j < Q; ++j)
                for (Index o = 0; o < O; ++o) {
                    Sum<T> sum = bias.size() > 0 ? bias(o) : 0;
                    const Index first = o / (O / G) * I;
                    for (Index u = 0; u < KH; ++u)
                        for (Index v = 0; v < KW; ++v) {
                            const Index h = s * i - p + d * u, w = s * j - p + d * v;
                            if (h < 0 || h >= H || w < 0 || w >= W) continue;
                            for (Index c = 0; c < I; ++c) sum += Sum<T>(x(n, h, w, first + c)) * weight(o, u, v, c);
                        }
                    y(n, i, j, o) = T(sum);
                }
}

template <class T>  // (1)
void conv2d_backward_data(Reference, Array4<const T> dy, Array4<const Sum<T>> weight, const Conv2dOptions& options,
                          Array4<T> dx, Write mode) {
    const auto [N, H, W, C] = dx.shape();
    const auto [O, KH, KW, I] = weight.shape();
    const auto [s, p, d, G] = options;
    const Index P = dy.shape()[1], Q = dy.shape()[2];
    for (Index n = 0; n < N; ++n)
        for (Index h = 0; h < H; ++h)
            for (Index w = 0; w < W; ++w)
                for (Index c = 0; c < C; ++c) {
                    Sum<T> sum = 0;
                    const Index group = c / I;
                    for (Index u = 0; u < KH; ++u)
                        for (Index v = 0; v < KW; ++v) {
                            const Index si = h + p - d * u, sj = w + p - d * v;  // s * i and s * j
                            if (si < 0 || si % s != 0 || si / s >= P || sj < 0 || sj % s != 0 || sj / s >= Q) continue;
                            for (Index o = group * (O / G); o < (group + 1) * (O / G); ++o)
                                sum += Sum<T>(dy(n, si / s, sj / s, o)) * weight(o, u, v, c % I);
                        }
                    put(dx(n, h, w, c), sum, mode);
                }
}

template <class T>  // (2)
void conv2d_backward_weights(Reference, Array4<const T> x, Array4<const T> dy, const Conv2dOptions& options,
                             Array4<Sum<T>> dweight, Write mode) {
    const auto [N, H, W, C] = x.shape();
    const auto [O, KH, KW, I] = dweight.shape();
    const auto [s, p, d, G] = options;
    const Index P = dy.shape()[1], Q = dy.shape()[2];
    for (Index o = 0; o < O; ++o)
        for (Index u = 0; u < KH; ++u)
            for (Index v = 0; v < KW; ++v)
                for (Index c = 0; c < I; ++c) {
                    Sum<T> sum = 0;
                    const Index first = o / (O / G) * I;
                    for (Index n = 0; n < N; ++n)
                        for (Index i = 0; i < P; ++i)
                            for (Index j = 0; j < Q; ++j) {
                                const Index h = s * i - p + d * u, w = s * j - p + d * v;
                                if (h < 0 || h >= H || w < 0 || w >= W) continue;
                                sum += Sum<T>(dy(n, i, j, o)) * Sum<T>(x(n, h, w, first + c));
                            }
                    put(dweight(o, u, v, c), sum, mode);
                }
}

template <class T>  // (3), on dy as an (N*P*Q, O) matrix
void conv2d_backward_bias(Reference, Matrix<const T> dy, Vector<Sum<T>> dbias, Write mode) {
    const auto [M, O] = dy.shape();
    for (Index o = 0; o < O; ++o) {
        Sum<T> sum = 0;
        for (Index m = 0; m < M; ++m) sum += Sum<T>(dy(m, o));
        put(dbias(o), sum, mode);
    }
}

template <class T, class D>
struct Conv2dNode final : NodeOf<T, D> {
    Edge<T, D> x;
    Edge<Sum<T>, D> weight, bias;
    Saved<T, D> saved_x;
    Saved<Sum<T>, D> saved_weight;
    Conv2dOptions options;

    const char* name() const override { return "conv2d"; }
    GRADUS_GLUE void backward(const Tensor<T, D>& dy) override {
        if (bias.needs_gradient()) {
            GradientTarget<Sum<T>, D> dbias = bias.target();
            conv2d_backward_bias(D{}, dy.template read<2>(), dbias.template write<1>(), dbias.mode);
        }
        if (weight.needs_gradient()) {
            GradientTarget<Sum<T>, D> dweight = weight.target();
            conv2d_backward_weights(D{}, saved_x.get().template read<4>(), dy.template read<4>(), options,
                                    dweight.template write<4>(), dweight.mode);
        }
        saved_x = {};  // its memory may serve dx
        if (x.needs_gradient()) {
            GradientTarget<T, D> dx = x.target();
            conv2d_backward_data(D{}, dy.template read<4>(), saved_weight.get().template read<4>(), options,
                                 dx.template write<4>(), dx.mode);
        }
    }
};

// The shape of y. Errors: shapes that do not fit, an empty window.
GRADUS_COLD inline Shape conv2d_shape(const Shape& x, const Shape& weight, const Conv2dOptions& options) {
    const auto [s, p, d, G] = options;
    GRADUS_CHECK(s > 0 && p >= 0 && d > 0 && G > 0,
                 "conv2d: needs stride, dilation and groups above 0 and padding of at least 0, got stride ", s,
                 ", padding ", p, ", dilation ", d, ", groups ", G);
    GRADUS_CHECK(x.rank() == 4 && weight.rank() == 4,
                 "conv2d: x must be (N, H, W, C) and weight (O, KH, KW, C/groups), got ", x, " and ", weight);
    const Index N = x[0], H = x[1], W = x[2], C = x[3];
    const Index O = weight[0], KH = weight[1], KW = weight[2], I = weight[3];
    GRADUS_CHECK(C == I * G && O % G == 0, "conv2d: input has ", C, C == 1 ? " channel" : " channels",
                 ", weight expects ", I * G, "; x (N, H, W, C) is ", x, ", weight ", weight, ", groups ", G);
    GRADUS_CHECK(H + 2 * p > d * (KH - 1) && W + 2 * p > d * (KW - 1), "conv2d: the window of weight ", weight,
                 " with dilation ", d, " is larger than the input ", x, " with padding ", p);
    return {N, conv_extent(H, KH, s, p, d), conv_extent(W, KW, s, p, d), O};
}

// y = conv2d(x) with the shapes above. An undefined bias means none. Errors: shapes that do not fit, an empty window.
template <FloatingElement T, Device D>
GRADUS_GLUE Variable<T, D> conv2d(const Variable<T, D>& x, const Variable<Sum<T>, D>& weight,
                                  const Variable<Sum<T>, D>& bias = {}, const Conv2dOptions& options = {}) {
    const OperationScope operation("conv2d");
    Tensor<T, D> y(conv2d_shape(x.shape(), weight.shape(), options));
    if (bias.defined()) check_shape("conv2d", "bias", bias.shape(), {y.shape()[3]});
    const Vector<const Sum<T>> bias_view =
        bias.defined() ? bias.value().template read<1>() : Vector<const Sum<T>>(nullptr, {0});
    conv2d_forward(D{}, x.value().template read<4>(), weight.value().template read<4>(), bias_view, options,
                   y.template write<4>());
    if (!needs_gradient(x, weight, bias)) return Variable<T, D>(y, nullptr);
    auto node = make_node<Conv2dNode<T, D>>();
    node->x = node->input(x);
    node->weight = node->input(weight);
    if (bias.defined()) node->bias = node->input(bias);
    if (weight.requires_grad()) node->saved_x = x.value();
    if (x.requires_grad()) node->saved_weight = weight.value();
    node->options = options;
    return Variable<T, D>(y, std::move(node));
}

}  // namespace gradus::inline GRADUS_ABI

#include "gradus/convolution/conv2d_cpu.hpp"
