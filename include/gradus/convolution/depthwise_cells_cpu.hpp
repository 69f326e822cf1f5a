// convolution/depthwise_cells_cpu.hpp   Depthwise convolution: where its taps fall outside of the image, and where not.
// At the border of an image an output sees fewer taps than in the middle. A cell is a rectangle of outputs that all see
// the same ones: with a 3x3 kernel and a border of 1 there are nine, four corners, four edges and the middle. Within a
// cell the loops have no conditions.
#pragma once

#include <vector>

#include "gradus/convolution/conv2d_window_cpu.hpp"

namespace gradus::inline GRADUS_ABI {

inline constexpr Index line_floats = 16;  // of a cache: 64 bytes

struct DepthwiseTap {
    Index x, weight;  // offsets in floats: from the x that an output's window starts at, from the first weight
};
struct DepthwiseCell {
    Index row, column, rows, columns;  // of outputs
    std::vector<DepthwiseTap> taps;
};

// Outputs [begin, end) along one axis, for which the taps at offsets [low, high) lie in the image.
struct Span {
    Index begin, end, low, high;
};
inline std::vector<Span> spans_of(Index begin, Index end, Index step, const std::vector<Index>& offsets, Index extent) {
    const auto below = [&](Index limit) {
        return std::count_if(offsets.begin(), offsets.end(), [&](Index offset) { return offset < limit; });
    };
    std::vector<Span> spans;
    for (Index i = begin; i < end; ++i) {
        const Index low = -step * i, high = extent - step * i;
        if (!spans.empty() && below(spans.back().low) == below(low) && below(spans.back().high) == below(high))
            spans.back().end = i + 1;
        else
            spans.push_back({i, i + 1, low, high});
    }
    return spans;
}

// The cells of output rows [begin, end). The weights of two taps lie tap_size floats apart.
inline std::vector<DepthwiseCell> cells_of(const Correlation& correlation, Index begin, Index end, const Image& image,
                                           Index tap_size) {
    std::vector<Index> row_offsets, column_offsets;
    for (const Tap& tap : correlation.taps) {
        row_offsets.push_back(tap.row);
        column_offsets.push_back(tap.column);
    }
    std::vector<DepthwiseCell> cells;
    for (const Span& row : spans_of(begin, end, correlation.step, row_offsets, image.rows)) {
        for (const Span& column : spans_of(0, correlation.columns, correlation.step, column_offsets, image.columns)) {
            DepthwiseCell cell{row.begin, column.begin, row.end - row.begin, column.end - column.begin, {}};
            for (std::size_t t = 0; t < correlation.taps.size(); ++t) {
                const Tap& tap = correlation.taps[t];
                if (tap.row < row.low || tap.row >= row.high || tap.column < column.low || tap.column >= column.high)
                    continue;
                cell.taps.push_back(
                    {(tap.row * image.columns + tap.column) * image.channels, static_cast<Index>(t) * tap_size});
            }
            cells.push_back(cell);
        }
    }
    return cells;
}

}  // namespace gradus::inline GRADUS_ABI
