// convolution/conv2d_direct_cuda.cuh   Rung 1 of conv2d.hpp on Cuda: a thread for each number, Reference's loops.
// It is right for every type, shape and option, and the other rungs are measured against it.
// Cost     3x3, 64 to 64 channels, 32 images of 56x56, float: 2*9*64*64*100352 = 7.4 GFLOP. x and y are 25.7 MB each,
//          so 7.4e9 / 51.4e6 = 144 FLOP a byte of device memory would be possible, and the limit were the arithmetic.
//          What happens: a multiply-add needs two loads, one of x and one of a weight, 8 bytes for 2 FLOP from the
//          first-level cache: 0.25 FLOP a byte.
//          Forward: the threads of a warp compute neighbouring output channels of one pixel. They read the same x (one
//          sector), and each its own row of weights, KH*KW*I numbers apart: 32 sectors, of which each serves 8 channels
//          c in turn. Backward-data: neighbouring input channels, whose weights are neighbours, 4 sectors.
//          Rung 2 reads each number once for a whole block of outputs.
// (2)      A thread for each weight, over a part of the pixels; partial sums are added in order (sum_of_parts).
#pragma once

#include "gradus/convolution/conv2d_correlation_cuda.cuh"

namespace gradus::inline GRADUS_ABI {

// The letters of conv2d.hpp.
struct Conv2dExtents {
    Index N;
    int H, W, C, P, Q, O, KH, KW, I;
    int s, p, d, G;

    Conv2dExtents(const Extents4& x, const Extents4& weight, const Extents4& y, const Conv2dOptions& options)
        : N(x[0]),
          H(int_extent(x[1])),
          W(int_extent(x[2])),
          C(int_extent(x[3])),
          P(int_extent(y[1])),
          Q(int_extent(y[2])),
          O(int_extent(weight[0])),
          KH(int_extent(weight[1])),
          KW(int_extent(weight[2])),
          I(int_extent(weight[3])),
          s(int_extent(options.stride)),
          p(int_extent(options.padding)),
          d(int_extent(options.dilation)),
          G(int_extent(options.groups)) {
        static_cast<void>(int_extent(x[1] + 2 * options.padding + options.stride));
        static_cast<void>(int_extent(x[2] + 2 * options.padding + options.stride));
    }
};

template <class T>
__global__ void __launch_bounds__(stride_threads)
    conv2d_direct_forward_kernel(Conv2dExtents e, const T* x, const Sum<T>* weight, const Sum<T>* bias, T* y) {
    const Index count = e.N * e.P * e.Q * e.O;
    for (Index at = grid_thread(); at < count; at += grid_threads()) {
        const Index pixel = at / e.O, line = pixel / e.Q, n = line / e.P;
        const int o = static_cast<int>(at % e.O), j = static_cast<int>(pixel % e.Q), i = static_cast<int>(line % e.P);
        const int first = o / (e.O / e.G) * e.I;
        Sum<T> sum = bias == nullptr ? Sum<T>(0) : bias[o];
        for (int u = 0; u < e.KH; ++u)
            for (int v = 0; v < e.KW; ++v) {
                const int h = e.s * i - e.p + e.d * u, w = e.s * j - e.p + e.d * v;
                if (h < 0 || h >= e.H || w < 0 || w >= e.W) continue;
                const T* const channels = x + ((n * e.H + h) * e.W + w) * e.C + first;
                const Sum<T>* const factors = weight + ((Index(o) * e.KH + u) * e.KW + v) * e.I;
                for (int c = 0; c < e.I; ++c) sum += to_float(channels[c]) * factors[c];
            }
        y[at] = from_float<T>(sum);
    }
}
template <class T>
void conv2d_direct_forward(Cuda, Array4<const T> x, Array4<const Sum<T>> weight, Vector<const Sum<T>> bias,
                           const Conv2dOptions& options, Array4<T> y) {
    if (y.size() == 0) return;
    launch(conv2d_direct_forward_kernel<T>, stride_blocks(y.size()), stride_threads, 0, current_stream(),
           Conv2dExtents(x.shape(), weight.shape(), y.shape(), options), x.data(), weight.data(),
           bias.size() > 0 ? bias.data() : nullptr, y.data());
}

// Four blocks a multiprocessor leave 64 registers a thread; left to itself the compiler takes 40 and spills.
template <class T>  // (1)
__global__ void __launch_bounds__(stride_threads, 4)
    conv2d_direct_backward_data_kernel(Conv2dExtents e, const T* dy, const Sum<T>* weight, T* dx, Write mode) {
    const Index count = e.N * e.H * e.W * e.C;
    const int outputs = e.O / e.G;
    for (Index at = grid_thread(); at < count; at += grid_threads()) {
        const Index pixel = at / e.C, line = pixel / e.W, n = line / e.H;
        const int c = static_cast<int>(at % e.C), w = static_cast<int>(pixel % e.W), h = static_cast<int>(line % e.H);
        const int first = c / e.I * outputs;
        Sum<T> sum = 0;
        for (int u = 0; u < e.KH; ++u)
            for (int v = 0; v < e.KW; ++v) {
                const int si = h + e.p - e.d * u, sj = w + e.p - e.d * v;  // s * i and s * j
                if (si < 0 || si % e.s != 0 || si / e.s >= e.P || sj < 0 || sj % e.s != 0 || sj / e.s >= e.Q) continue;
                const T* const slopes = dy + ((n * e.P + si / e.s) * e.Q + sj / e.s) * e.O + first;
                const Sum<T>* const factors = weight + ((Index(first) * e.KH + u) * e.KW + v) * e.I + c % e.I;
                for (int o = 0; o < outputs; ++o) sum += to_float(slopes[o]) * factors[Index(o) * e.KH * e.KW * e.I];
            }
        put_element(dx[at], sum, mode);
    }
}
template <class T>
void conv2d_direct_backward_data(Cuda, Array4<const T> dy, Array4<const Sum<T>> weight, const Conv2dOptions& options,
                                 Array4<T> dx, Write mode) {
    if (dx.size() == 0) return;
    launch(conv2d_direct_backward_data_kernel<T>, stride_blocks(dx.size()), stride_threads, 0, current_stream(),
           Conv2dExtents(dx.shape(), weight.shape(), dy.shape(), options), dy.data(), weight.data(), dx.data(), mode);
}

template <class T>  // (2), over pixels [blockIdx.y * pixels, (blockIdx.y + 1) * pixels) of dy
__global__ void __launch_bounds__(stride_threads)
    conv2d_direct_backward_weights_kernel(Conv2dExtents e, const T* x, const T* dy, Index pixels, Sum<T>* dweight,
                                          Write mode) {
    const Index count = Index(e.O) * e.KH * e.KW * e.I, at = grid_thread();
    if (at >= count) return;
    const Index tap = at / e.I;
    const int c = static_cast<int>(at % e.I), v = static_cast<int>(tap % e.KW);
    const int u = static_cast<int>(tap / e.KW % e.KH), o = static_cast<int>(tap / e.KW / e.KH);
    const int channel = o / (e.O / e.G) * e.I + c;
    const Index begin = blockIdx.y * pixels, end = min(begin + pixels, e.N * e.P * e.Q);
    Index n = begin / e.Q / e.P;
    int i = static_cast<int>(begin / e.Q % e.P), j = static_cast<int>(begin % e.Q);
    Sum<T> sum = 0;
    for (Index m = begin; m < end; ++m) {
        const int h = e.s * i - e.p + e.d * u, w = e.s * j - e.p + e.d * v;
        if (h >= 0 && h < e.H && w >= 0 && w < e.W)
            sum += to_float(dy[m * e.O + o]) * to_float(x[((n * e.H + h) * e.W + w) * e.C + channel]);
        if (++j < e.Q) continue;  // the next pixel, without a division
        j = 0;
        if (++i < e.P) continue;
        i = 0;
        ++n;
    }
    put_element(dweight[blockIdx.y * count + at], sum, mode);
}
template <class T>
void conv2d_direct_backward_weights(Cuda, Array4<const T> x, Array4<const T> dy, const Conv2dOptions& options,
                                    Array4<Sum<T>> dweight, Write mode) {
    if (dweight.size() == 0) return;
    const Conv2dExtents extents(x.shape(), dweight.shape(), dy.shape(), options);
    const Index M = extents.N * extents.P * extents.Q;
    // 2^17 threads occupy a card with 64 multiprocessors or more; a thread has at least 64 pixels.
    const Index most = std::clamp<Index>(M / 64, 1, 1024);
    const Index parts = std::clamp<Index>((Index{1} << 17) / dweight.size(), 1, most);
    const Index pixels = (M + parts - 1) / parts;
    sum_of_parts(parts, dweight, mode, [&](Sum<T>* target, Write target_mode) {
        launch(conv2d_direct_backward_weights_kernel<T>,
               dim3(blocks_for(dweight.size(), stride_threads), static_cast<unsigned>(parts)), stride_threads, 0,
               current_stream(), extents, x.data(), dy.data(), pixels, target, target_mode);
    });
}

}  // namespace gradus::inline GRADUS_ABI
