// The micro-kernel against its formula. All numbers are small integers, so that the sums are exact in any order.
#include "gradus/machine/cpu/tile.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace gradus;

namespace {

std::vector<float> integers(Index count, int seed) {
    std::vector<float> values(static_cast<std::size_t>(count + vec_floats));  // with slack
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = static_cast<float>(static_cast<int>((i * 7919 + static_cast<std::size_t>(seed)) % 11) - 5);
    return values;
}

// C (rows, columns) from two runs of k, of 5 and 3, with a gap between them in both operands.
template <ALayout Layout>
void check_tile(Index rows, Index columns, bool add, bool with_bias) {
    const Index vectors = ceil_div(columns, vec_floats), b_stride = vectors * vec_floats, a_stride = 20;
    const Index c_stride = columns + 3;
    const bool by_row = Layout == ALayout::by_row;
    const Run runs[2] = {{0, 0, 5}, {by_row ? 9 : 9 * a_stride, 7 * b_stride, 3}};
    const std::vector<float> a = integers(20 * a_stride, 1), b = integers(12 * b_stride, 2),
                             bias = integers(b_stride, 3);
    const std::vector<float> before = integers(rows * c_stride, 4);
    std::vector<float> c = before;
    const Index last = columns - (vectors - 1) * vec_floats;
    tile_column<Layout>(rows, vectors, a.data(), a_stride, b.data(), b_stride, runs, 2,
                        TileTarget{c.data(), c_stride, last, add, with_bias ? bias.data() : nullptr});

    const auto at = [](const std::vector<float>& v, Index i) { return v[static_cast<std::size_t>(i)]; };
    bool good = true;
    for (Index i = 0; i < rows; ++i) {
        for (Index j = 0; j < c_stride; ++j) {
            float want = at(before, i * c_stride + j);  // what lies beside the block stays as it is
            if (j < columns) {
                if (!add) want = 0;
                if (with_bias) want += at(bias, j);
                for (const Run& run : runs)
                    for (Index k = 0; k < run.length; ++k)
                        want += at(a, run.a + (by_row ? i * a_stride + k : k * a_stride + i)) *
                                at(b, run.b + k * b_stride + j);
            }
            good = good && at(c, i * c_stride + j) == want;
        }
    }
    INFO("rows " << rows << ", columns " << columns);
    CHECK(good);
}

}  // namespace

TEST_CASE("tile: every height and width, whole and partial vectors") {
    for (Index rows = 1; rows <= 17; ++rows) {
        for (Index columns = 1; columns <= most_vectors * vec_floats; columns += columns < 5 ? 1 : 3) {
            check_tile<ALayout::by_row>(rows, columns, rows % 2 == 0, rows % 3 == 0);
            check_tile<ALayout::by_column>(rows, columns, rows % 2 == 0, rows % 3 == 0);
        }
    }
}

TEST_CASE("tile: the largest block fits the registers") {
    for (int vectors = 1; vectors <= most_vectors; ++vectors) {
        CHECK(most_rows(vectors) >= 1);
        CHECK(most_rows(vectors) * vectors + vectors + 1 <= vec_registers);
    }
}

TEST_CASE("tile_rows: blocks of equal height that cover all rows") {
    for (Index vectors = 1; vectors <= most_vectors; ++vectors) {
        const Index most = most_rows(static_cast<int>(vectors));
        for (Index rows = 1; rows <= 100; ++rows) {
            const Index height = tile_rows(rows, vectors);
            CHECK(height <= most);
            CHECK(ceil_div(rows, height) == ceil_div(rows, most));  // no more blocks than the highest would need
        }
    }
}
