// convolution/conv2d_cuda.cuh   The CUDA twins of conv2d.hpp, and which rung of the ladder serves which shape.
// Letters and (1), (2), (3) are those of conv2d.hpp.
//     rung 1  direct         conv2d_direct_cuda.cuh         a thread a number: any type, any shape
//     rung 2  tiled          conv2d_tiled_cuda.cuh          tiles in shared memory: any type, windows whose tile fits
//                                                           (to 64 outputs, stride 1: up to 12x12, in double 9x9)
//     rung 3  im2col         conv2d_im2col_cuda.cuh         a matrix in memory, cuBLAS
//     rung 4  implicit_gemm  conv2d_implicit_gemm_cuda.cuh  the matrix only in tiles, tensor cores: Half, BFloat16
//     beside  depthwise      conv2d_depthwise_cuda.cuh      G = C = O
// The choice, from the shape and the type alone; the first line that fits:
//     depthwise              depthwise: there is no matrix product in it, memory decides
//     1x1 of stride 1        im2col: x is its own matrix, nothing is copied, and nobody multiplies matrices better than
//                            cuBLAS
//     16 bits, channels of a group in packs of 8 on both sides
//                            implicit_gemm: tensor cores have 16 times the arithmetic of float (A100: 312 against 19.5
//                            TFLOP/s); im2col would write and read KH*KW times x
//     one group, at least 16 channels on both sides
//                            im2col: KH*KW times x, written and read, is 8*KH*KW*C bytes a pixel in float, for
//                            2*KH*KW*C*O FLOP: O/4 FLOP a byte. An A100 does 12.5 in the time of a byte (19.5 TFLOP/s
//                            over 1.56 TB/s), so the copies take 50/O of the product's time: less than it from O = 50
//                            on, three times as much at O = 16. Between the two im2col is taken for (2), where the
//                            tiled kernel makes squares of 32 x 32 channels, three quarters empty at 16 x 16; forward
//                            and (1) may be faster tiled, which only a card can tell
//     else                   tiled, if its tile fits into shared memory: few channels (a first layer has 3) and narrow
//                            groups, for which matrices are too thin
//     else                   direct
// A rung that cannot count so far as a shape demands leaves it to the next line.
// It follows from these figures, not from measurements: there was no card. To choose by hand, in a scope:
//     { const Conv2dRungScope scope(Conv2dRung::tiled);  y = conv2d(x, weight);  y.backward(dy); }
// A rung that cannot compute a shape or a type says so in an Error.
#pragma once

#include "gradus/convolution/conv2d_depthwise_cuda.cuh"
#include "gradus/convolution/conv2d_direct_cuda.cuh"
#include "gradus/convolution/conv2d_im2col_cuda.cuh"
#include "gradus/convolution/conv2d_implicit_gemm_cuda.cuh"
#include "gradus/convolution/conv2d_tiled_cuda.cuh"

namespace gradus::inline GRADUS_ABI {

enum class Conv2dRung { automatic, direct, tiled, im2col, implicit_gemm, depthwise };

// Of this thread. A backward pass uses what is set when it runs.
inline Conv2dRung& current_conv2d_rung() {
    static thread_local Conv2dRung rung = Conv2dRung::automatic;
    return rung;
}
class Conv2dRungScope {
public:
    explicit Conv2dRungScope(Conv2dRung rung) : before_(current_conv2d_rung()) { current_conv2d_rung() = rung; }
    ~Conv2dRungScope() { current_conv2d_rung() = before_; }
    Conv2dRungScope(const Conv2dRungScope&) = delete;
    Conv2dRungScope& operator=(const Conv2dRungScope&) = delete;

private:
    Conv2dRung before_;
};

// The rung of the table above, the same for forward, (1) and (2).
template <class T>
Conv2dRung automatic_conv2d_rung(const Extents4& x, const Extents4& weight, const Extents4& y,
                                 const Conv2dOptions& options) {
    const auto [O, KH, KW, I] = weight;
    const Index per_group = O / options.groups;
    if (depthwise_fits<T>(weight, options)) return Conv2dRung::depthwise;
    const bool has_matrix = im2col_fits(x, weight, y, options);
    if (has_matrix && is_matrix_product(KH, KW, options)) return Conv2dRung::im2col;
    const Conv2dCorrelation forward = forward_correlation_cuda(x, weight, y, options);
    const std::vector<Conv2dCorrelation> backward = backward_correlations_cuda(y, weight, x, options);
    const bool in_packs = I % 8 == 0 && per_group % 8 == 0;
    if (has_tensor_cores<T>() && in_packs && implicit_gemm_fits(forward) &&
        std::all_of(backward.begin(), backward.end(), implicit_gemm_fits))
        return Conv2dRung::implicit_gemm;
    if (has_matrix && options.groups == 1 && I >= 16 && O >= 16) return Conv2dRung::im2col;
    if (tiled_fits<T>(forward) && std::all_of(backward.begin(), backward.end(), tiled_fits<T>))
        return Conv2dRung::tiled;
    return Conv2dRung::direct;
}

template <class T>
Conv2dRung conv2d_rung(const Extents4& x, const Extents4& weight, const Extents4& y, const Conv2dOptions& options) {
    const Conv2dRung rung = current_conv2d_rung();
    if (rung == Conv2dRung::automatic) return automatic_conv2d_rung<T>(x, weight, y, options);
    GRADUS_CHECK(rung != Conv2dRung::depthwise || depthwise_fits<T>(weight, options),
                 "conv2d: the rung 'depthwise' needs groups = channels = outputs and a tile of at most ",
                 depthwise_shared_bytes, " bytes; weight is ", Shape(weight), ", groups ", options.groups, ", stride ",
                 options.stride, ", dilation ", options.dilation);
    GRADUS_CHECK(rung != Conv2dRung::implicit_gemm || has_tensor_cores<T>(),
                 "conv2d: the rung 'implicit_gemm' needs tensor cores for ", element_name<T>(), ": ",
                 implicit_gemm_types);
    return rung;
}

template <class T>
void conv2d_forward(Cuda device, Array4<const T> x, Array4<const Sum<T>> weight, Vector<const Sum<T>> bias,
                    const Conv2dOptions& options, Array4<T> y) {
    switch (conv2d_rung<T>(x.shape(), weight.shape(), y.shape(), options)) {
        case Conv2dRung::depthwise:
            return conv2d_depthwise_forward(device, x, weight, bias, options, y);
        case Conv2dRung::tiled:
            return conv2d_tiled_forward(device, x, weight, bias, options, y);
        case Conv2dRung::im2col:
            return conv2d_im2col_forward(device, x, weight, bias, options, y);
        case Conv2dRung::implicit_gemm:
            if constexpr (is_tensor_core_element<T>)
                return conv2d_implicit_gemm_forward(device, x, weight, bias, options, y);
            [[fallthrough]];
        default:
            return conv2d_direct_forward(device, x, weight, bias, options, y);
    }
}

template <class T>  // (1)
void conv2d_backward_data(Cuda device, Array4<const T> dy, Array4<const Sum<T>> weight, const Conv2dOptions& options,
                          Array4<T> dx, Write mode) {
    switch (conv2d_rung<T>(dx.shape(), weight.shape(), dy.shape(), options)) {
        case Conv2dRung::depthwise:
            return conv2d_depthwise_backward_data(device, dy, weight, options, dx, mode);
        case Conv2dRung::tiled:
            return conv2d_tiled_backward_data(device, dy, weight, options, dx, mode);
        case Conv2dRung::im2col:
            return conv2d_im2col_backward_data(device, dy, weight, options, dx, mode);
        case Conv2dRung::implicit_gemm:
            if constexpr (is_tensor_core_element<T>)
                return conv2d_implicit_gemm_backward_data(device, dy, weight, options, dx, mode);
            [[fallthrough]];
        default:
            return conv2d_direct_backward_data(device, dy, weight, options, dx, mode);
    }
}

template <class T>  // (2)
void conv2d_backward_weights(Cuda device, Array4<const T> x, Array4<const T> dy, const Conv2dOptions& options,
                             Array4<Sum<T>> dweight, Write mode) {
    switch (conv2d_rung<T>(x.shape(), dweight.shape(), dy.shape(), options)) {
        case Conv2dRung::depthwise:
            return conv2d_depthwise_backward_weights(device, x, dy, options, dweight, mode);
        case Conv2dRung::tiled:
            return conv2d_tiled_backward_weights(device, x, dy, options, dweight, mode);
        case Conv2dRung::im2col:
            return conv2d_im2col_backward_weights(device, x, dy, options, dweight, mode);
        case Conv2dRung::implicit_gemm:
            if constexpr (is_tensor_core_element<T>)
                return conv2d_implicit_gemm_backward_weights(device, x, dy, options, dweight, mode);
            [[fallthrough]];
        default:
            return conv2d_direct_backward_weights(device, x, dy, options, dweight, mode);
    }
}

template <class T>  // (3): the column sums of dy
void conv2d_backward_bias(Cuda, Matrix<const T> dy, Vector<Sum<T>> dbias, Write mode) {
    if (dbias.size() == 0) return;
    sum_middle_cuda(dy.data(), ReductionPlan(1, dy.shape()[0], dy.shape()[1], vector_length<T>), Sum<T>(1),
                    dbias.data(), mode);
}

}  // namespace gradus::inline GRADUS_ABI
