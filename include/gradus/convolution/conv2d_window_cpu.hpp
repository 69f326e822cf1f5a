// convolution/conv2d_window_cpu.hpp   What forward and backward-data have in common: a window slides over an image.
//     y(i, j) = sum over the taps t of x(step*i + t.row, step*j + t.column) * weight(t.u, t.v)
// Forward is one such correlation: step = stride, and tap (u, v) reads row s*i - p + d*u. Backward-data (1) of
// conv2d.hpp reads row (h + p - d*u) / s of dy, where the division leaves no rest. All h with the same rest a = h mod s
// use the same taps, so the pixels (a + s*i, b + s*j) of dx form one correlation of step 1 for each of the s*s pairs
// (a, b): no product with a zero is ever computed (the sub-pixel view of a transposed convolution, Shi et al. 2016,
// arXiv 1609.07009).
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "gradus/core/view.hpp"

namespace gradus::inline GRADUS_ABI {

struct Tap {
    Index row, column;  // of the input, relative to step * output pixel
    Index u, v;         // of the kernel
};

struct Correlation {
    std::vector<Tap> taps;
    Index step;           // input pixels between the windows of neighbouring outputs
    Index rows, columns;  // of outputs
    // Output (i, j) is pixel (first_row + spacing*i, first_column + spacing*j) of the image that is written.
    Index first_row, first_column, spacing;
};

inline std::vector<Correlation> forward_correlation(Index KH, Index KW, Index stride, Index padding, Index dilation,
                                                    Index P, Index Q) {
    Correlation all{{}, stride, P, Q, 0, 0, 1};
    for (Index u = 0; u < KH; ++u)
        for (Index v = 0; v < KW; ++v) all.taps.push_back({dilation * u - padding, dilation * v - padding, u, v});
    return {all};
}

// The kernel rows that reach image rows h = a mod stride, from the last to the first: the rows of dy then ascend.
inline std::vector<Tap> taps_of_phase(Index K, Index stride, Index padding, Index dilation, Index a) {
    std::vector<Tap> taps;
    for (Index u = K - 1; u >= 0; --u) {
        const Index numerator = a + padding - dilation * u;
        if (numerator % stride == 0) taps.push_back({numerator / stride, 0, u, 0});
    }
    return taps;
}

inline std::vector<Correlation> backward_correlations(Index KH, Index KW, Index stride, Index padding, Index dilation,
                                                      Index H, Index W) {
    std::vector<Correlation> phases;
    for (Index a = 0; a < std::min(stride, H); ++a) {
        for (Index b = 0; b < std::min(stride, W); ++b) {
            Correlation phase{{}, 1, (H - a - 1) / stride + 1, (W - b - 1) / stride + 1, a, b, stride};
            for (const Tap& row : taps_of_phase(KH, stride, padding, dilation, a))
                for (const Tap& column : taps_of_phase(KW, stride, padding, dilation, b))
                    phase.taps.push_back({row.row, column.row, row.u, column.u});
            phases.push_back(phase);
        }
    }
    return phases;
}

// The input rows and columns that all taps of all correlations reach, relative to step * output pixel.
struct Reach {
    Index top, bottom, left, right;
};
inline Reach reach_of(const std::vector<Correlation>& correlations) {
    const Tap& any = correlations.front().taps.empty() ? Tap{0, 0, 0, 0} : correlations.front().taps.front();
    Reach reach{any.row, any.row, any.column, any.column};
    for (const Correlation& correlation : correlations) {
        for (const Tap& tap : correlation.taps) {
            reach.top = std::min(reach.top, tap.row);
            reach.bottom = std::max(reach.bottom, tap.row);
            reach.left = std::min(reach.left, tap.column);
            reach.right = std::max(reach.right, tap.column);
        }
    }
    return reach;
}

// One image of a batch, and a rectangle of it that may stick out.
struct Image {
    const float* data;
    Index rows, columns, channels;
};
struct Rectangle {
    Index top, left, rows, columns;
    bool inside(const Image& image) const {
        return top >= 0 && left >= 0 && top + rows <= image.rows && left + columns <= image.columns;
    }
};

// Copies the rectangle, with zeros where the image ends. Pixels of the copy lie pixel_stride floats apart.
inline void copy_rectangle(const Image& image, const Rectangle& from, float* to, Index pixel_stride) {
    const Index C = image.channels;
    const Index left = std::clamp<Index>(-from.left, 0, from.columns);  // columns of zeros on the left
    const Index right = std::clamp<Index>(from.left + from.columns - image.columns, 0, from.columns - left);
    const Index valid = from.columns - left - right;
    const auto bytes = [](Index floats) { return static_cast<std::size_t>(floats) * sizeof(float); };
    for (Index r = 0; r < from.rows; ++r, to += from.columns * pixel_stride) {
        const Index row = from.top + r;
        if (row < 0 || row >= image.rows || valid == 0) {
            std::memset(to, 0, bytes(from.columns * pixel_stride));
            continue;
        }
        const float* source = image.data + (row * image.columns + from.left + left) * C;
        float* target = to + left * pixel_stride;
        std::memset(to, 0, bytes(left * pixel_stride));
        if (pixel_stride == C) {
            std::memcpy(target, source, bytes(valid * C));
        } else {
            for (Index j = 0; j < valid; ++j) std::memcpy(target + j * pixel_stride, source + j * C, bytes(C));
        }
        std::memset(target + valid * pixel_stride, 0, bytes(right * pixel_stride));
    }
}

// Pixels a multiple of 2048 bytes apart would share 16 lines of a 32 KB first-level cache (8 ways, sets that repeat
// every 4096 bytes); a copy moves them one line further apart.
inline Index spread(Index pixel_stride, Index step) {
    return step * pixel_stride % 512 == 0 ? pixel_stride + 16 : pixel_stride;
}

}  // namespace gradus::inline GRADUS_ABI
