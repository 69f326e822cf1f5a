// convolution/conv2d_winograd_wide_cpu.hpp   Winograd's 3x3 convolution for weights that no cache holds.
// Problem  Transformed, the weights of 512 to 512 channels are 38 MB: 36 matrices of 1 MB. conv2d_winograd_cpu.hpp
//          would read all of them for every unit of tiles.
// Answer   The loops the other way around. The tiles of a group of images are transformed first; then a task is some
//          output channels, one panel: it transforms their weights, multiplies all tiles of the group at all points,
//          and writes its channels of the outputs. Each transformed weight is used while it is near, and never stored.
// Cost     as conv2d_winograd_cpu.hpp, and the transform of the weights once for every 128 tiles: about a fifth of
//          them.
#pragma once

#include <vector>

#include "gradus/convolution/conv2d_winograd_cpu.hpp"

namespace gradus::inline GRADUS_ABI {

inline void winograd_correlate_wide(Array4<const float> x, const WeightMatrix& weight, const std::vector<Tap>& taps,
                                    Index padding, const float* bias, Array4<float> y, bool add) {
    const WinogradTiles tiles(x.shape()[0], y.shape()[1], y.shape()[2]);
    const Index C = round_up(weight.depth, vec_floats), rows = tiles.rows_of_unit(128);
    const Index v_stride = point_stride(rows * tiles.across, C);
    const Panels panels(weight.depth, weight.columns);
    const HostBuffer<float> v(winograd_points * v_stride);
    for (Index first = 0; first < tiles.tile_row_count(); first += rows) {
        const Index some = std::min(rows, tiles.tile_row_count() - first), count = some * tiles.across;
        parallel_for(some, [&](Index row) {
            const HostBuffer<float> copy(tile_row_copy_size(tiles, weight.depth));
            transform_tile_row(x, tiles, first + row, padding, copy.data(), v.data() + row * tiles.across * C,
                               v_stride);
        });
        parallel_for(panels.count(), [&](Index p) {
            const Panel panel = panels[p];
            const Index u_size = weight.depth * panel.stride(), m_stride = point_stride(count, panel.stride());
            const HostBuffer<float> u(winograd_points * u_size), m(winograd_points * m_stride);
            for (Index k = 0; k < weight.depth; k += winograd_depth)
                transform_weight_rows(weight, taps, panel, k, u.data(), u_size);
            const Run run{0, 0, weight.depth};
            for (Index point = 0; point < winograd_points; ++point) {
                const TileTarget target{m.data() + point * m_stride, panel.stride(), vec_floats, false};
                tile_column<ALayout::by_row>(count, panel.vectors, v.data() + point * v_stride, C,
                                             u.data() + point * u_size, panel.stride(), &run, 1, target);
            }
            for (Index row = 0; row < some; ++row)
                transform_output(m.data() + row * tiles.across * panel.stride(), m_stride, tiles, first + row, bias, y,
                                 panel.first, panel.columns, add);
        });
    }
}

}  // namespace gradus::inline GRADUS_ABI
