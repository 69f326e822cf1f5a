// machine/cpu/tile.hpp   The micro-kernel: a block of C that lives in registers while k runs.
//     C(i, j) = sum over k of A(i, k) * B(k, j)          i < Rows,  j < Vectors * vec_floats
// Matrix products, convolutions and their gradients are loops around this one function. It keeps Rows * Vectors sums in
// registers; each step of k loads `Vectors` vectors of B and broadcasts `Rows` numbers of A, for Rows * Vectors
// multiply-adds (Goto, van de Geijn 2008, "Anatomy of high-performance matrix multiplication", section 4).
// k need not be contiguous: it is a list of runs. A row of a convolution's kernel is one run of KW * C numbers, so
// im2col never has to be written to memory.
// Layout of A   by_row:    A(i, k) = a[i * a_stride + k]      pixels with their channels: forward, backward-data
//               by_column: A(i, k) = a[k * a_stride + i]      the transpose: gradients of weights, where k is the pixel
#pragma once

#include <algorithm>
#include <array>
#include <utility>

#include "gradus/machine/cpu/vector.hpp"

namespace gradus::inline GRADUS_ABI {

struct Run {
    Index a, b, length;  // offsets into A and B, and how many k follow
};

enum class ALayout { by_row, by_column };

// A(i, k) = a[i * row + k * step]: both layouts, in one function for each size of tile.
struct AStrides {
    Index row, step;
};

template <int Rows, int Vectors>
GRADUS_INLINE void accumulate(Vec (&sum)[Rows][Vectors], const float* a, AStrides stride, const float* b,
                              Index b_stride, Index length) {
    // One pointer for four rows: base + {0, 1, 2, 3} * row are addresses the processor forms by itself.
    constexpr int groups = (Rows + 3) / 4;
    const float* base[groups];
    GRADUS_UNROLL for (int g = 0; g < groups; ++g) base[g] = a + 4 * g * stride.row;
    for (Index k = 0; k < length; ++k, b += b_stride) {
        Vec row[Vectors];
        GRADUS_UNROLL for (int j = 0; j < Vectors; ++j) row[j] = load(b + j * vec_floats);
        GRADUS_UNROLL for (int i = 0; i < Rows; ++i) {
            const float x = base[i / 4][i % 4 * stride.row];
            GRADUS_UNROLL for (int j = 0; j < Vectors; ++j) sum[i][j] += x * row[j];
        }
        GRADUS_UNROLL for (int g = 0; g < groups; ++g) base[g] += stride.step;
    }
}

// Where a block of C goes.
struct TileTarget {
    float* c;
    Index stride;                 // between rows
    Index last;                   // valid columns of the last vector: vec_floats, or less at the right edge
    bool add;                     // to what is there
    const float* bias = nullptr;  // what every row's sum starts with, whole vectors; none: 0
    bool far = false;             // C is not in the first-level cache: ask for it before the work, 3% faster
};

// A block whose last vector is not whole. In a function of its own, because it is the same for every tile.
inline void write_edge(const float* block, Index rows, Index vectors, const TileTarget& target) {
    for (Index i = 0; i < rows; ++i) {
        for (Index j = 0; j < vectors; ++j, block += vec_floats) {
            float* c = target.c + i * target.stride + j * vec_floats;
            const Index lanes = j == vectors - 1 ? target.last : vec_floats;
            const Vec sum = load(block);
            store_some(c, target.add ? sum + load_some(c, lanes) : sum, lanes);
        }
    }
}

template <int Rows, int Vectors>
void tile(const float* a, AStrides a_stride, const float* b, Index b_stride, const Run* runs, Index count,
          TileTarget target) {
    if (target.far) {
        GRADUS_UNROLL for (int i = 0; i < Rows; ++i) {
            GRADUS_UNROLL for (int j = 0; j < Vectors; ++j)
                __builtin_prefetch(target.c + i * target.stride + j * vec_floats, 1);
        }
    }
    Vec sum[Rows][Vectors];
    GRADUS_UNROLL for (int j = 0; j < Vectors; ++j) {
        const Vec start = target.bias ? load(target.bias + j * vec_floats) : Vec{};
        GRADUS_UNROLL for (int i = 0; i < Rows; ++i) sum[i][j] = start;
    }
    for (Index r = 0; r < count; ++r)
        accumulate<Rows, Vectors>(sum, a + runs[r].a, a_stride, b + runs[r].b, b_stride, runs[r].length);
    if (target.last < vec_floats) {
        float block[Rows * Vectors * vec_floats];
        GRADUS_UNROLL for (int i = 0; i < Rows; ++i) {
            GRADUS_UNROLL for (int j = 0; j < Vectors; ++j) store(block + (i * Vectors + j) * vec_floats, sum[i][j]);
        }
        return write_edge(block, Rows, Vectors, target);
    }
    if (target.add) {
        GRADUS_UNROLL for (int i = 0; i < Rows; ++i) {
            GRADUS_UNROLL for (int j = 0; j < Vectors; ++j) sum[i][j] +=
                load(target.c + i * target.stride + j * vec_floats);
        }
    }
    GRADUS_UNROLL for (int i = 0; i < Rows; ++i) {
        GRADUS_UNROLL for (int j = 0; j < Vectors; ++j) store(target.c + i * target.stride + j * vec_floats, sum[i][j]);
    }
}

// The registers must hold Rows * Vectors sums, Vectors of B and one number of A.
constexpr int most_rows(int vectors) { return std::min((vec_registers - 1 - vectors) / vectors, 16); }
inline constexpr int most_vectors = 3;

using Tile = void (*)(const float*, AStrides, const float*, Index, const Run*, Index, TileTarget);

template <int Vectors, int... Row>
constexpr std::array<Tile, sizeof...(Row)> tiles_of_width(std::integer_sequence<int, Row...>) {
    return {&tile<Row + 1, Vectors>...};
}
template <int Vectors>
inline constexpr std::array<Tile, most_rows(Vectors)> tiles =
    tiles_of_width<Vectors>(std::make_integer_sequence<int, most_rows(Vectors)>{});

inline Tile tile_for(Index rows, Index vectors) {
    const std::size_t r = static_cast<std::size_t>(rows - 1);
    return vectors == 1 ? tiles<1>[r] : vectors == 2 ? tiles<2>[r] : tiles<3>[r];
}

// How many vectors wide the blocks of a matrix of `columns` columns should be: wide enough to pay for the broadcasts.
inline Index tile_vectors(Index columns) {
    const Index vectors = ceil_div(columns, vec_floats);
    return vectors == 1 ? 1 : vectors == 3 ? 3 : 2;
}
// `rows` rows in blocks of equal height, as near to the highest as possible: 32 in blocks of at most 14 are 11, 11, 10.
inline Index tile_rows(Index rows, Index vectors) {
    const Index most = most_rows(static_cast<int>(vectors));
    return rows == 0 ? 1 : ceil_div(rows, ceil_div(rows, most));
}

// A block of C of any number of rows, as tiles one below the other.
template <ALayout Layout>
void tile_column(Index rows, Index vectors, const float* a, Index a_stride, const float* b, Index b_stride,
                 const Run* runs, Index count, TileTarget target) {
    constexpr bool by_row = Layout == ALayout::by_row;
    const AStrides stride{by_row ? a_stride : 1, by_row ? 1 : a_stride};
    const Index height = tile_rows(rows, vectors);
    const Tile whole = tile_for(height, vectors);
    for (; rows > 0; rows -= height, a += height * stride.row, target.c += height * target.stride) {
        const Tile part = rows >= height ? whole : tile_for(rows, vectors);
        part(a, stride, b, b_stride, runs, count, target);
    }
}

}  // namespace gradus::inline GRADUS_ABI
