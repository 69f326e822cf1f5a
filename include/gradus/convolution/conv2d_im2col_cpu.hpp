// convolution/conv2d_im2col_cpu.hpp   Convolution in double, the classic way: im2col and a matrix product.
// Method   Chellapilla, Puri, Simard 2006, "High performance convolutional neural networks for document processing", 4.
//          Row (i, j) of the matrix cols (P*Q, KH*KW*I) holds the numbers under the window of output pixel (i, j).
//          Then, with the weights of a group as W (O/G, KH*KW*I):
//              forward  y = cols * W^T        (1)  dcols = dy * W, each number added back to its pixel (col2im)
//                                             (2)  dweight = dy^T * cols
// Double serves checks of gradients, so this is one image and one group at a time; the kernels for float avoid the
// copies.
#pragma once

#include "gradus/convolution/conv2d_options.hpp"
#include "gradus/machine/cpu/gemm.hpp"

namespace gradus::inline GRADUS_ABI {

// The geometry of one group of one image.
struct Im2col {
    Index H, W, C, P, Q, KH, KW, I;
    Conv2dOptions options;

    Im2col(const Array4<const double>::Extents& x, const Array4<const double>::Extents& y, Index kernel_rows,
           Index kernel_columns, const Conv2dOptions& options_)
        : H(x[1]),
          W(x[2]),
          C(x[3]),
          P(y[1]),
          Q(y[2]),
          KH(kernel_rows),
          KW(kernel_columns),
          I(C / options_.groups),
          options(options_) {}

    // Calls visit(offset of x(h, w, first channel), offset in cols) for every tap of every output that lies in the
    // image.
    template <class Visit>
    void for_each_tap(const Visit& visit) const {
        const auto [s, p, d, G] = options;
        for (Index i = 0; i < P; ++i)
            for (Index j = 0; j < Q; ++j)
                for (Index u = 0; u < KH; ++u)
                    for (Index v = 0; v < KW; ++v) {
                        const Index h = s * i - p + d * u, w = s * j - p + d * v;
                        if (h < 0 || h >= H || w < 0 || w >= W) continue;
                        visit((h * W + w) * C, (((i * Q + j) * KH + u) * KW + v) * I);
                    }
    }
    Index column_size() const { return P * Q * KH * KW * I; }
    void gather(const double* x, double* cols) const {
        std::fill_n(cols, column_size(), 0.0);
        for_each_tap([&](Index pixel, Index row) { std::copy_n(x + pixel, I, cols + row); });
    }
    void scatter_add(const double* cols, double* x) const {
        for_each_tap([&](Index pixel, Index row) {
            for (Index c = 0; c < I; ++c) x[pixel + c] += cols[row + c];
        });
    }
};

// The channels of one group of one image of y or dy, as a dense matrix (P*Q, O/G) and back.
inline void gather_group(const double* image, Index pixels, Index O, Index first, Index count, double* to) {
    for (Index m = 0; m < pixels; ++m) std::copy_n(image + m * O + first, count, to + m * count);
}

inline void conv2d_forward(Cpu device, Array4<const double> x, Array4<const double> weight, Vector<const double> bias,
                           const Conv2dOptions& options, Array4<double> y) {
    const auto [O, KH, KW, I] = weight.shape();
    const Im2col im2col(x.shape(), y.shape(), KH, KW, options);
    const Index pixels = im2col.P * im2col.Q, K = KH * KW * I, per_group = O / options.groups;
    const HostBuffer<double> cols(im2col.column_size()), result(pixels * per_group);
    for (Index n = 0; n < x.shape()[0]; ++n)
        for (Index g = 0; g < options.groups; ++g) {
            im2col.gather(x.data() + n * im2col.H * im2col.W * im2col.C + g * I, cols.data());
            gemm(device, Matrix<const double>(cols.data(), {pixels, K}), Transpose::no,
                 Matrix<const double>(weight.data() + g * per_group * K, {per_group, K}), Transpose::yes,
                 Matrix<double>(result.data(), {pixels, per_group}), Write::overwrite);
            for (Index m = 0; m < pixels; ++m)
                for (Index o = 0; o < per_group; ++o) {
                    const Index channel = g * per_group + o;
                    y.data()[(n * pixels + m) * O + channel] =
                        result.data()[m * per_group + o] + (bias.size() > 0 ? bias(channel) : 0.0);
                }
        }
}

inline void conv2d_backward_data(Cpu device, Array4<const double> dy, Array4<const double> weight,
                                 const Conv2dOptions& options, Array4<double> dx, Write mode) {
    const auto [O, KH, KW, I] = weight.shape();
    const Im2col im2col(dx.shape(), dy.shape(), KH, KW, options);
    const Index pixels = im2col.P * im2col.Q, K = KH * KW * I, per_group = O / options.groups;
    const HostBuffer<double> dcols(im2col.column_size()), group(pixels * per_group);
    if (mode == Write::overwrite) std::fill_n(dx.data(), dx.size(), 0.0);
    for (Index n = 0; n < dy.shape()[0]; ++n)
        for (Index g = 0; g < options.groups; ++g) {
            gather_group(dy.data() + n * pixels * O, pixels, O, g * per_group, per_group, group.data());
            gemm(device, Matrix<const double>(group.data(), {pixels, per_group}), Transpose::no,
                 Matrix<const double>(weight.data() + g * per_group * K, {per_group, K}), Transpose::no,
                 Matrix<double>(dcols.data(), {pixels, K}), Write::overwrite);
            im2col.scatter_add(dcols.data(), dx.data() + n * im2col.H * im2col.W * im2col.C + g * I);
        }
}

inline void conv2d_backward_weights(Cpu device, Array4<const double> x, Array4<const double> dy,
                                    const Conv2dOptions& options, Array4<double> dweight, Write mode) {
    const auto [O, KH, KW, I] = dweight.shape();
    const Im2col im2col(x.shape(), dy.shape(), KH, KW, options);
    const Index pixels = im2col.P * im2col.Q, K = KH * KW * I, per_group = O / options.groups;
    const HostBuffer<double> cols(im2col.column_size()), group(pixels * per_group);
    if (mode == Write::overwrite) std::fill_n(dweight.data(), dweight.size(), 0.0);
    for (Index n = 0; n < x.shape()[0]; ++n)
        for (Index g = 0; g < options.groups; ++g) {
            im2col.gather(x.data() + n * im2col.H * im2col.W * im2col.C + g * I, cols.data());
            gather_group(dy.data() + n * pixels * O, pixels, O, g * per_group, per_group, group.data());
            gemm(device, Matrix<const double>(group.data(), {pixels, per_group}), Transpose::yes,
                 Matrix<const double>(cols.data(), {pixels, K}), Transpose::no,
                 Matrix<double>(dweight.data() + g * per_group * K, {per_group, K}), Write::add);
        }
}

}  // namespace gradus::inline GRADUS_ABI
