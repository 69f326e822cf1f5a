// convolution/conv2d_correlation_cuda.cuh   What forward and backward-data have in common, as an argument of kernels.
//     out(n, k, l, o) = sum over taps t, r and channels c of in(n, row, column, c) * weight(o, u, v, c),
//                       row and u from k and t, column and v from l and r
// Forward is one such correlation: row = s*k + d*t - p, u = t. Backward-data (1) of conv2d.hpp reads row
// (h + p - d*u) / s of dy, where the division leaves no rest. All h with the same rest a = h mod s use the same taps:
// u0, u0 + g, u0 + 2g, ..., g = s / gcd(d, s). With h = a + s*k and u = u0 + g*t the row is
//     k - (d*g/s)*t + (a + p - d*u0)/s.
// So backward-data is s*s correlations of step 1 (conv2d_window_cpu.hpp), no kernel divides by the stride, and no
// product with a zero is computed. The weights are the same memory with other strides: o and c change places.
// Widths   Extents of one axis, with padding, are below 2^31 and kept in int; offsets in memory are Index, 64 bits.
#pragma once

#include <limits>
#include <numeric>
#include <vector>

#include "gradus/convolution/conv2d.hpp"
#include "gradus/machine/cuda/stride_map.hpp"
#include "gradus/reduction/sum_cuda.cuh"

namespace gradus::inline GRADUS_ABI {

inline int int_extent(Index extent) {
    GRADUS_CHECK(extent >= 0 && extent <= std::numeric_limits<int>::max(), "conv2d: an extent of ", extent,
                 " is too large for the kernels of Cuda, which count pixels of an axis in 31 bits");
    return static_cast<int>(extent);
}

// Rows or columns. Output k is pixel out_first + out_step*k of out_extent.
struct CorrelationAxis {
    int outputs, out_first, out_step, out_extent;
    int taps, kernel_first, kernel_step;    // tap t is kernel row kernel_first + kernel_step*t
    int step, tap_step, offset, in_extent;  // and reads pixel step*k + tap_step*t + offset

    __device__ __forceinline__ int source(int k, int t) const { return step * k + tap_step * t + offset; }
    // Outside of the image is zero. A negative pixel is a large unsigned one.
    __device__ __forceinline__ bool inside(int pixel) const {
        return static_cast<unsigned>(pixel) < static_cast<unsigned>(in_extent);
    }
    __device__ __forceinline__ int out_pixel(int k) const { return out_first + out_step * k; }
    __device__ __forceinline__ int kernel(int t) const { return kernel_first + kernel_step * t; }
};

// Of a tile of outputs: how many pixels there are from the first to the last that the windows reach. (A far dilation
// makes it large.)
inline int tile_extent(const CorrelationAxis& axis, int outputs) {
    const Index reach = Index(outputs - 1) * axis.step + Index(std::max(axis.taps, 1) - 1) * std::abs(axis.tap_step);
    return static_cast<int>(std::min<Index>(reach + 1, 1 << 15));
}
// The first pixel that the windows of output k reach, and where tap t lies from there.
__device__ __forceinline__ int tile_origin(const CorrelationAxis& axis, int k) {
    return axis.source(k, axis.tap_step < 0 && axis.taps > 0 ? axis.taps - 1 : 0);
}
__device__ __forceinline__ int tile_tap(const CorrelationAxis& axis, int t) {
    return axis.tap_step < 0 ? -axis.tap_step * (axis.taps - 1 - t) : axis.tap_step * t;
}

inline CorrelationAxis forward_axis(Index in, Index out, Index kernel, const Conv2dOptions& options) {
    static_cast<void>(int_extent(in + 2 * options.padding + options.stride));  // the furthest pixel that a tap names
    const int P = int_extent(out);
    return {P,
            0,
            1,
            P,
            int_extent(kernel),
            0,
            1,
            int_extent(options.stride),
            int_extent(options.dilation),
            -int_extent(options.padding),
            int_extent(in)};
}

// The pixels a, a + s, a + 2s, ... of dx, an extent of `in`, from dy, an extent of `out`.
inline CorrelationAxis backward_axis(Index in, Index out, Index kernel, const Conv2dOptions& options, Index a) {
    const Index s = options.stride, p = options.padding, d = options.dilation, g = s / std::gcd(s, d);
    static_cast<void>(int_extent(in + 2 * p + s));
    Index first = 0;
    while (first < kernel && (a + p - d * first) % s != 0) ++first;
    const Index taps = first < kernel ? (kernel - first - 1) / g + 1 : 0;
    return {int_extent((in - a - 1) / s + 1),
            static_cast<int>(a),
            int_extent(s),
            int_extent(in),
            static_cast<int>(taps),
            static_cast<int>(first),
            static_cast<int>(g),
            1,
            -static_cast<int>(d * g / s),
            static_cast<int>(taps > 0 ? (a + p - d * first) / s : 0),
            int_extent(out)};
}

template <class Integer>
struct CorrelationPixel {
    Integer image;
    int row, column;  // k and l
};

struct Conv2dCorrelation {
    Index images;
    CorrelationAxis rows, columns;
    int groups, in, out;                                                   // channels of one group
    Index weight_group, weight_out, weight_in, weight_row, weight_column;  // strides

    GRADUS_HOST_DEVICE Index pixels() const { return images * rows.outputs * columns.outputs; }

    // Output pixel number m. Integer is int where pixels() is: a division of 64 bits costs about a hundred
    // instructions.
    template <class Integer>
    __device__ __forceinline__ CorrelationPixel<Integer> pixel(Integer m) const {
        const Integer line = m / columns.outputs;
        return {line / rows.outputs, static_cast<int>(line % rows.outputs), static_cast<int>(m % columns.outputs)};
    }
    // The first channel of a pixel of the input, and of an output.
    __device__ __forceinline__ Index in_offset(Index image, int h, int w) const {
        return ((image * rows.in_extent + h) * columns.in_extent + w) * (Index(groups) * in);
    }
    template <class Integer>
    __device__ __forceinline__ Index out_offset(const CorrelationPixel<Integer>& at) const {
        return ((Index(at.image) * rows.out_extent + rows.out_pixel(at.row)) * columns.out_extent +
                columns.out_pixel(at.column)) *
               (Index(groups) * out);
    }
    // The tap (t, r) of the first input and output channel of group 0.
    __device__ __forceinline__ Index weight_offset(int t, int r) const {
        return rows.kernel(t) * weight_row + columns.kernel(r) * weight_column;
    }
};

using Extents4 = Array4<const float>::Extents;  // of every element type

inline Conv2dCorrelation forward_correlation_cuda(const Extents4& x, const Extents4& weight, const Extents4& y,
                                                  const Conv2dOptions& options) {
    const auto [O, KH, KW, I] = weight;
    const Index per_group = O / options.groups;
    return {x[0],
            forward_axis(x[1], y[1], KH, options),
            forward_axis(x[2], y[2], KW, options),
            int_extent(options.groups),
            int_extent(I),
            int_extent(per_group),
            per_group * KH * KW * I,
            KH * KW * I,
            1,
            KW * I,
            I};
}

// One for each pair of rests; a pair without taps stands for pixels that no output has read, whose gradient is 0.
inline std::vector<Conv2dCorrelation> backward_correlations_cuda(const Extents4& dy, const Extents4& weight,
                                                                 const Extents4& dx, const Conv2dOptions& options) {
    const auto [O, KH, KW, I] = weight;
    const Index per_group = O / options.groups;
    std::vector<Conv2dCorrelation> phases;
    for (Index a = 0; a < std::min(options.stride, dx[1]); ++a)
        for (Index b = 0; b < std::min(options.stride, dx[2]); ++b)
            phases.push_back({dx[0], backward_axis(dx[1], dy[1], KH, options, a),
                              backward_axis(dx[2], dy[2], KW, options, b), int_extent(options.groups),
                              int_extent(per_group), int_extent(I), per_group * KH * KW * I, 1, KH * KW * I, KW * I,
                              I});
    return phases;
}

// A sum over pixels that is cut into parts, so that a small weight gradient occupies the whole card: `launch_into` is
// called once with where the parts go, (parts, weights), and how. Several parts are added in order by a second launch.
template <class S, class LaunchInto>
void sum_of_parts(Index parts, Array4<S> dweight, Write mode, const LaunchInto& launch_into) {
    if (parts == 1) {
        launch_into(dweight.data(), mode);
        return;
    }
    const CudaBuffer<S> partial(parts * dweight.size());
    launch_into(partial.data(), Write::overwrite);
    sum_middle_cuda(static_cast<const S*>(partial.data()), ReductionPlan(1, parts, dweight.size(), vector_length<S>),
                    S(1), dweight.data(), mode);
}

}  // namespace gradus::inline GRADUS_ABI
