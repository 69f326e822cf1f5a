// machine/cpu/panels.hpp   How a matrix B (depth, columns) is laid out for the micro-kernel: in panels one tile wide.
//     panel 0: row 0, row 1, ... of columns 0 to 31; then panel 1: row 0, row 1, ... of columns 32 to 63; ...
// A tile walks down one panel, so what it reads is contiguous, whatever the width of B, and rows never lie a multiple
// of 4096 bytes apart, where they would compete for the same few lines of the first-level cache. The last panel may be
// narrower; columns are padded with zeros to whole vectors.
#pragma once

#include <algorithm>

#include "gradus/machine/cpu/tile.hpp"

namespace gradus::inline GRADUS_ABI {

struct Panel {
    Index first;    // column of B
    Index columns;  // valid ones
    Index vectors;  // of a row
    Index offset;   // of its first row in the panels
    Index stride() const { return vectors * vec_floats; }
    Index last() const { return columns - (vectors - 1) * vec_floats; }  // valid columns of the last vector
};

struct Panels {
    Index depth, columns, vectors;

    Panels(Index depth_, Index columns_) : depth(depth_), columns(columns_), vectors(tile_vectors(columns_)) {}
    Index count() const { return ceil_div(columns, vectors * vec_floats); }
    Index size() const { return depth * round_up(columns, vec_floats); }
    Panel operator[](Index p) const {
        const Index first = p * vectors * vec_floats;
        const Index valid = std::min(columns - first, vectors * vec_floats);
        return {first, valid, ceil_div(valid, vec_floats), first * depth};
    }
};

// Rows of a panel: to(k, j) = from[k * row_stride + j * column_stride], j < panel.columns.
inline void pack_panel(const Panel& panel, Index rows, const float* from, Index row_stride, Index column_stride,
                       float* to) {
    const Index width = panel.stride();
    if (column_stride == 1) {
        for (Index k = 0; k < rows; ++k) {
            const float* row = from + k * row_stride;
            for (Index v = 0; v < panel.vectors - 1; ++v)
                store(to + k * width + v * vec_floats, load(row + v * vec_floats));
            const Index edge = (panel.vectors - 1) * vec_floats;
            store(to + k * width + edge, load_some(row + edge, panel.last()));
        }
        return;
    }
    // A transposition: blocks of few rows, so that the lines it writes stay in the first-level cache.
    constexpr Index block = 16;
    for (Index k0 = 0; k0 < rows; k0 += block) {
        const Index k1 = std::min(rows, k0 + block);
        for (Index j = 0; j < panel.columns; ++j)
            for (Index k = k0; k < k1; ++k) to[k * width + j] = from[k * row_stride + j * column_stride];
        for (Index j = panel.columns; j < width; ++j)
            for (Index k = k0; k < k1; ++k) to[k * width + j] = 0;
    }
}

}  // namespace gradus::inline GRADUS_ABI
