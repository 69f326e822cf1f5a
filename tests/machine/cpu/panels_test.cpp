#include "gradus/machine/cpu/panels.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace gradus;

TEST_CASE("panels: every number of B is in its place, and columns that do not exist are 0") {
    for (Index depth : {1, 17, 40}) {
        for (Index columns : {1, 7, 16, 24, 33, 48, 64, 100}) {
            for (bool transposed : {false, true}) {
                const Index row_stride = transposed ? 1 : columns, column_stride = transposed ? depth : 1;
                std::vector<float> b(static_cast<std::size_t>(depth * columns + vec_floats), 99.0f);
                for (Index k = 0; k < depth; ++k)
                    for (Index j = 0; j < columns; ++j)
                        b[static_cast<std::size_t>(k * row_stride + j * column_stride)] =
                            static_cast<float>(k * 1000 + j);
                const Panels panels(depth, columns);
                std::vector<float> packed(static_cast<std::size_t>(panels.size()), -1.0f);
                Index covered = 0;
                bool good = true;
                for (Index p = 0; p < panels.count(); ++p) {
                    const Panel panel = panels[p];
                    pack_panel(panel, depth, b.data() + panel.first * column_stride, row_stride, column_stride,
                               packed.data() + panel.offset);
                    CHECK(panel.first == covered);
                    CHECK(panel.vectors <= most_vectors);
                    covered += panel.columns;
                    for (Index k = 0; k < depth; ++k)
                        for (Index j = 0; j < panel.stride(); ++j) {
                            const float got = packed[static_cast<std::size_t>(panel.offset + k * panel.stride() + j)];
                            const float want = static_cast<float>(k * 1000 + panel.first + j);
                            good = good && got == (j < panel.columns ? want : 0.0f);
                        }
                }
                CHECK(covered == columns);
                CHECK(good);
            }
        }
    }
}
