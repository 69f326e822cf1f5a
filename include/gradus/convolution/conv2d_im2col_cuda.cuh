// convolution/conv2d_im2col_cuda.cuh   Rung 3 of conv2d.hpp on Cuda: im2col and matrix products by cuBLAS.
//     conv2d_im2col_forward, conv2d_im2col_backward_data, conv2d_im2col_backward_weights
// Method   Chellapilla, Puri, Simard 2006, "High performance convolutional neural networks for document processing", 4.
//          A row of the matrix cols holds the numbers under the window of one output pixel m = (n, i, j), group by
//          group. Group g is KH*KW*I columns of it. With W_g (O/G, KH*KW*I), y_g and dy_g (N*P*Q, O/G) of the group:
//              forward  y_g = cols_g W_g^T     (1)  dcols_g = dy_g W_g, then each number back to its pixel (col2im)
//                                              (2)  dweight_g = dy_g^T cols_g
//          All groups are one batch of products: the distance from group to group is the same for all three matrices.
//          col2im gathers: a thread makes an element of dx, from all windows that saw it. So no two threads add to one
//          number, and no atomics are needed.
//          A 1x1 convolution of stride 1 without padding has x itself for cols: nothing is copied.
// Cost     cols is KH*KW times as large as x, for a stride of 1. It is written once and read once or more, in pieces of
//          whole images with up to 2^24 numbers, so that scratch memory stays at 32 to 128 MB, but for an image that
//          has more. For 64 channels, 3x3 on 32x32, that are 28 images or 28,672 rows: twice as many tiles of 128 rows
//          as an A100 has multiprocessors. dcols is in Sum<T>, so that dx is rounded once.
//          The rungs that never write cols read less; depthwise groups, products of one column each, are better off
//          with a kernel of their own.
// Roofline 3x3, 64 to 64 channels, 32 images of 56x56: 7.4 GFLOP on 51 MB of x and y, 144 FLOP a byte, bound by the
//          arithmetic: 380 us on an A100. cols has 231 MB; to write it and read it takes 300 us more.
// Index    The numbers of one piece are counted in 32 bits, because a thread divides by six extents, and 64-bit
//          divisions cost it several times as much. Offsets in memory are 64 bits.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "gradus/convolution/conv2d.hpp"
#include "gradus/machine/cuda/cublas.hpp"
#include "gradus/machine/cuda/parameters.hpp"

namespace gradus::inline GRADUS_ABI {

// The extents of conv2d.hpp, as a kernel's argument.
struct Im2colExtents {
    int H, W, C, P, Q, KH, KW, I, G;
    int s, p, d;
};

// An index taken apart: next(extent) is the index along the last of the extents that are left.
struct Digits {
    unsigned rest;

    __device__ __forceinline__ int next(int extent) {
        const unsigned divisor = static_cast<unsigned>(extent), digit = rest % divisor;
        rest /= divisor;
        return static_cast<int>(digit);
    }
};

// Thread by thread V neighbouring channels of cols (n, i, j, g, u, v, c).
template <class T, int V>
__global__ void __launch_bounds__(stride_threads) im2col_kernel(Im2colExtents e, const T* x, T* cols, unsigned items) {
    using Word = Packed<T, V>;
    for (unsigned item = static_cast<unsigned>(grid_thread()); item < items;
         item += static_cast<unsigned>(grid_threads())) {
        Digits digits{item};
        const int c = digits.next(e.I / V) * V, v = digits.next(e.KW), u = digits.next(e.KH), g = digits.next(e.G);
        const int j = digits.next(e.Q), i = digits.next(e.P);
        const Index n = digits.rest;
        const int h = e.s * i - e.p + e.d * u, w = e.s * j - e.p + e.d * v;
        Word word{};
        if (h >= 0 && h < e.H && w >= 0 && w < e.W)
            word = *reinterpret_cast<const Word*>(x + ((n * e.H + h) * e.W + w) * e.C + g * e.I + c);
        *reinterpret_cast<Word*>(cols + Index(item) * V) = word;
    }
}

// dx(n, h, w, c) = sum over u, v of dcols(n, i, j, g, u, v, c'), where s*i - p + d*u = h and s*j - p + d*v = w.
// Four blocks a multiprocessor leave 64 registers a thread: it needs more than the 32 of full occupancy.
template <class T, int V>
__global__ void __launch_bounds__(stride_threads, 4)
    col2im_kernel(Im2colExtents e, const Sum<T>* dcols, T* dx, unsigned items, Write mode) {
    using Word = Packed<Sum<T>, V>;
    using Target = Packed<T, V>;
    for (unsigned item = static_cast<unsigned>(grid_thread()); item < items;
         item += static_cast<unsigned>(grid_threads())) {
        Digits digits{item};
        const int channel = digits.next(e.C / V) * V, w = digits.next(e.W), h = digits.next(e.H);
        const int g = channel / e.I, c = channel % e.I;
        const Index n = digits.rest;
        Sum<T> sum[V] = {};
        for (int u = 0; u < e.KH; ++u) {
            const int si = h + e.p - e.d * u, i = si / e.s;
            if (si < 0 || si % e.s != 0 || i >= e.P) continue;
            for (int v = 0; v < e.KW; ++v) {
                const int sj = w + e.p - e.d * v, j = sj / e.s;
                if (sj < 0 || sj % e.s != 0 || j >= e.Q) continue;
                const Index row = ((n * e.P + i) * e.Q + j) * e.G + g;
                const Word term = *reinterpret_cast<const Word*>(dcols + ((row * e.KH + u) * e.KW + v) * e.I + c);
                for (int k = 0; k < V; ++k) sum[k] += term[k];
            }
        }
        Target& target = *reinterpret_cast<Target*>(dx + Index(item) * V);
        Target result{};
        if (mode == Write::add) result = target;
        for (int k = 0; k < V; ++k)
            result[k] = from_float<T>(mode == Write::add ? to_float(result[k]) + sum[k] : sum[k]);
        target = result;
    }
}

// Whether the numbers of one image, those under its windows and its own, can be counted in int.
inline bool im2col_fits(const Array4<const float>::Extents& x, const Array4<const float>::Extents& weight,
                        const Array4<const float>::Extents& y, const Conv2dOptions& options) {
    const Index largest = std::numeric_limits<int>::max();
    const Index numbers = y[1] * y[2] * options.groups * weight[1] * weight[2] * weight[3];
    return numbers <= largest && x[1] * x[2] * x[3] <= largest && x[1] + 2 * options.padding <= largest &&
           x[2] + 2 * options.padding <= largest && options.stride <= largest;
}

// How a convolution becomes matrix products.
class Im2colPlan {
public:
    Im2colPlan(const Array4<const float>::Extents& x, const Array4<const float>::Extents& weight,
               const Array4<const float>::Extents& y, const Conv2dOptions& options)
        : N_(x[0]),
          pixels_(y[1] * y[2]),
          in_numbers_(x[1] * x[2] * x[3]),
          O_(y[3]),
          K_(weight[1] * weight[2] * weight[3]),
          G_(options.groups),
          is_matrix_(weight[1] == 1 && weight[2] == 1 && options.stride == 1 && options.padding == 0) {
        const Index numbers = pixels_ * row_length();
        GRADUS_CHECK(im2col_fits(x, weight, y, options), "conv2d by im2col: an image with ", numbers,
                     " numbers under its windows is too large; x is ", Shape(x), ", weight ", Shape(weight));
        extents_ = {int(x[1]),
                    int(x[2]),
                    int(x[3]),
                    int(y[1]),
                    int(y[2]),
                    int(weight[1]),
                    int(weight[2]),
                    int(weight[3]),
                    int(G_),
                    int(options.stride),
                    int(options.padding),
                    int(options.dilation)};
        constexpr Index piece = Index{1} << 24;
        images_ = is_matrix_ ? N_ : std::clamp<Index>(piece / std::max<Index>({numbers, in_numbers_, 1}), 1, N_ + 1);
    }

    // Calls work(first image, images) for each piece of the batch.
    template <class Work>
    void for_each_piece(const Work& work) const {
        for (Index n = 0; n < N_; n += images_) work(n, std::min(images_, N_ - n));
    }
    // Whether x is its own cols: a 1x1 convolution that skips no pixel and adds no border.
    bool is_matrix() const { return is_matrix_; }
    // What a buffer for cols needs.
    Index column_numbers() const { return is_matrix_ ? 0 : std::min(images_, N_) * pixels_ * row_length(); }

    // The groups' matrices, for the pixels of `images` images.
    template <class V>
    MatrixBatch<V> columns(V* cols, Index images) const {
        return {cols, images * pixels_, K_, row_length(), K_, G_};
    }
    template <class V>
    MatrixBatch<V> outputs(V* y, Index first, Index images) const {
        return {y + first * pixels_ * O_, images * pixels_, O_ / G_, O_, O_ / G_, G_};
    }
    template <class V>
    MatrixBatch<V> weights(V* weight) const {
        return {weight, O_ / G_, K_, K_, O_ / G_ * K_, G_};
    }

    // cols of some images: x itself, or in the buffer.
    template <class T>
    const T* gather(const T* x, Index first, Index images, T* cols) const {
        const T* const from = x + first * in_numbers_;
        if (is_matrix_) return from;
        const Index numbers = images * pixels_ * row_length();
        if (numbers == 0) return cols;
        constexpr int V = vector_length<T>;
        const bool in_packs = extents_.I % V == 0 && reinterpret_cast<std::uintptr_t>(from) % 16 == 0;
        const Index items = in_packs ? numbers / V : numbers;
        launch(in_packs ? im2col_kernel<T, V> : im2col_kernel<T, 1>, stride_blocks(items), stride_threads, 0,
               current_stream(), extents_, from, cols, static_cast<unsigned>(items));
        return cols;
    }
    template <class T>
    void add_back(const Sum<T>* dcols, T* dx, Index first, Index images, Write mode) const {
        T* const to = dx + first * in_numbers_;
        const Index numbers = images * in_numbers_;
        if (numbers == 0) return;
        constexpr int V = vector_length<Sum<T>>;
        const bool in_packs = extents_.I % V == 0 && reinterpret_cast<std::uintptr_t>(to) % 16 == 0;
        const Index items = in_packs ? numbers / V : numbers;
        launch(in_packs ? col2im_kernel<T, V> : col2im_kernel<T, 1>, stride_blocks(items), stride_threads, 0,
               current_stream(), extents_, dcols, to, static_cast<unsigned>(items), mode);
    }

private:
    Index row_length() const { return G_ * K_; }  // of cols

    Index N_, pixels_, in_numbers_, O_, K_, G_;  // pixels and numbers of one image
    bool is_matrix_;
    Im2colExtents extents_;
    Index images_;  // of a piece
};

template <class T>
void conv2d_im2col_forward(Cuda, Array4<const T> x, Array4<const Sum<T>> weight, Vector<const Sum<T>> bias,
                           const Conv2dOptions& options, Array4<T> y) {
    if (y.size() == 0) return;
    const Im2colPlan plan(x.shape(), weight.shape(), y.shape(), options);
    const ParametersAs<T> rounded(weight.data(), weight.size());
    const CudaBuffer<T> buffer(plan.column_numbers());
    fill_rows_cuda<T>(bias, y.data(), y.size() / y.shape()[3]);
    plan.for_each_piece([&](Index first, Index images) {
        const T* const cols = plan.gather(x.data(), first, images, buffer.data());
        cuda_gemm(plan.columns(cols, images), Transpose::no, plan.weights(rounded.data()), Transpose::yes,
                  plan.outputs(y.data(), first, images), bias.size() > 0 ? Write::add : Write::overwrite);
    });
}

template <class T>  // (1)
void conv2d_im2col_backward_data(Cuda, Array4<const T> dy, Array4<const Sum<T>> weight, const Conv2dOptions& options,
                                 Array4<T> dx, Write mode) {
    if (dx.size() == 0) return;
    const Im2colPlan plan(dx.shape(), weight.shape(), dy.shape(), options);
    const ParametersAs<T> rounded(weight.data(), weight.size());
    const CudaBuffer<Sum<T>> dcols(plan.column_numbers());
    const MatrixBatch<const T> weights = plan.weights(rounded.data());
    plan.for_each_piece([&](Index first, Index images) {
        const MatrixBatch<const T> dy_groups = plan.outputs(dy.data(), first, images);
        if (plan.is_matrix()) {
            cuda_gemm(dy_groups, Transpose::no, weights, Transpose::no, plan.columns(dx.data(), images), mode);
        } else {
            cuda_gemm(dy_groups, Transpose::no, weights, Transpose::no, plan.columns(dcols.data(), images),
                      Write::overwrite);
            plan.add_back(dcols.data(), dx.data(), first, images, mode);
        }
    });
}

template <class T>  // (2)
void conv2d_im2col_backward_weights(Cuda, Array4<const T> x, Array4<const T> dy, const Conv2dOptions& options,
                                    Array4<Sum<T>> dweight, Write mode) {
    if (dweight.size() == 0) return;
    const Im2colPlan plan(x.shape(), dweight.shape(), dy.shape(), options);
    const CudaBuffer<T> buffer(plan.column_numbers());
    if (x.shape()[0] == 0 && mode == Write::overwrite)
        zero_bytes(Cuda{}, dweight.data(), static_cast<std::size_t>(dweight.size()) * sizeof(Sum<T>));
    plan.for_each_piece([&](Index first, Index images) {
        const T* const cols = plan.gather(x.data(), first, images, buffer.data());
        cuda_gemm(plan.outputs(dy.data(), first, images), Transpose::yes, plan.columns(cols, images), Transpose::no,
                  plan.weights(dweight.data()), first == 0 ? mode : Write::add);
    });
}

}  // namespace gradus::inline GRADUS_ABI
