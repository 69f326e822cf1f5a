// machine/cpu/gemm.hpp   Matrix product: C = A * B or C += A * B, each of A and B as it is stored or transposed.
//     gemm(Cpu{}, a, Transpose::no, b, Transpose::yes, c, Write::overwrite);  c(i, j) = sum over k of a(i, k) * b(j, k)
//     In float a last argument `bias` of one number a column is what each sum starts with.
// Method   Goto, van de Geijn 2008, "Anatomy of high-performance matrix multiplication". B is cut into blocks of 512
//          rows and copied to panels one tile wide; a task multiplies some rows of A with some panels.
// Sums     Over k in order, in blocks of 512 that are added to C one after the other. k is never shared out to threads,
//          so the bits of C depend on the shapes alone.
// Types    float here; Half and BFloat16 are converted to float first; double is in gemm_double.hpp.
#pragma once

#include <algorithm>
#include <cstring>

#include "gradus/core/allocator.hpp"
#include "gradus/core/view.hpp"
#include "gradus/machine/cpu/convert.hpp"
#include "gradus/machine/cpu/gemm_double.hpp"
#include "gradus/machine/cpu/panels.hpp"
#include "gradus/machine/cpu/thread_pool.hpp"

namespace gradus::inline GRADUS_ABI {

inline constexpr Index gemm_depth =
    512;  // a panel of B, 512 * 32 floats, is 64 KB: it streams from the second-level cache
inline constexpr Index gemm_columns = 1024;  // the block of B is then 2 MB, in the third-level cache
inline constexpr Index gemm_rows = 112;      // with 512 columns of A 224 KB: it stays in the second-level cache
inline constexpr Index gemm_tasks = 8;       // at least, so that threads end at about the same time
inline constexpr Index gemm_near = 6144;     // numbers of B that stay in a first-level cache of 32 KB beside A
inline constexpr Index gemm_small = 65536;   // multiply-adds that are not worth waking a thread: some microseconds

// Where the block of C, the rows of A and the panels of B lie that one parallel region multiplies.
struct GemmBlock {
    const float* a;
    Index a_stride;
    ALayout layout;
    const float* packed;
    Panels panels;
    float* c;
    Index c_stride;
    bool add;
    const float* bias;  // of the first column, or none
};

// A copy of rows x depth numbers of A whose rows do not compete for the same cache lines. Returns its stride.
inline Index copy_a(const GemmBlock& block, Index first, Index rows, float* to) {
    const Index depth = block.panels.depth;
    const bool by_row = block.layout == ALayout::by_row;
    const float* from = block.a + first * (by_row ? block.a_stride : 1);
    const Index lines = by_row ? rows : depth, length = by_row ? depth : rows;
    const Index stride = round_up(length, 16) + 16;
    for (Index line = 0; line < lines; ++line)
        std::memcpy(to + line * stride, from + line * block.a_stride, static_cast<std::size_t>(length) * sizeof(float));
    return stride;
}

inline void multiply_block(const GemmBlock& block, Index first, Index rows, Index panel_begin, Index panel_end) {
    const Index depth = block.panels.depth;
    const bool by_row = block.layout == ALayout::by_row;
    // A small B: one tile of rows after the other with all panels, so that A is read and C is written in order, once.
    const bool near = depth * block.panels.columns <= gemm_near;
    const Index step = near ? tile_rows(rows, block.panels.vectors) : rows;
    // Reading A where it is pays when it is read only a few times and its rows do not collide.
    const bool copied = (!near && panel_end - panel_begin > 4) || block.a_stride % 512 == 0;
    const Index longest = by_row ? rows * (round_up(depth, 16) + 16) : depth * (round_up(rows, 16) + 16);
    const HostBuffer<float> copy(copied ? longest : 0);
    const float* a = copied ? copy.data() : block.a + first * (by_row ? block.a_stride : 1);
    const Index a_stride = copied ? copy_a(block, first, rows, copy.data()) : block.a_stride;
    const Index a_step = by_row ? step * a_stride : step;
    const Run run{0, 0, depth};
    for (Index row = 0; row < rows; row += step, a += a_step) {
        const Index some = std::min(step, rows - row);
        // The rows of a tile are too many short streams for the processor to see what comes next.
        if (near && by_row && a_stride == depth)
            for (Index i = 0; i < a_step; i += 16) __builtin_prefetch(a + a_step + i, 0, 2);
        for (Index p = panel_begin; p < panel_end; ++p) {
            const Panel panel = block.panels[p];
            const float* b = block.packed + panel.offset;
            const TileTarget target{block.c + (first + row) * block.c_stride + panel.first,
                                    block.c_stride,
                                    panel.last(),
                                    block.add,
                                    block.bias ? block.bias + panel.first : nullptr,
                                    true};
            if (by_row)
                tile_column<ALayout::by_row>(some, panel.vectors, a, a_stride, b, panel.stride(), &run, 1, target);
            else
                tile_column<ALayout::by_column>(some, panel.vectors, a, a_stride, b, panel.stride(), &run, 1, target);
        }
    }
}

inline void gemm(Cpu, Matrix<const float> a, Transpose transpose_a, Matrix<const float> b, Transpose transpose_b,
                 Matrix<float> c, Write mode, const float* bias = nullptr) {
    const Index M = c.shape()[0], N = c.shape()[1];
    const bool by_row = transpose_a == Transpose::no;
    const Index K = a.shape()[by_row ? 1 : 0], a_stride = a.shape()[1], b_stride = b.shape()[1];
    if (c.size() == 0) return;
    if (K == 0) {
        for (Index i = 0; i < M; ++i)
            for (Index j = 0; j < N; ++j) put(c(i, j), bias ? bias[j] : 0.0f, mode);
        return;
    }
    const Index depths = ceil_div(K, gemm_depth), depth = ceil_div(K, depths);
    const HostBuffer<float> packed(depth * round_up(std::min(N, gemm_columns), vec_floats));
    for (Index j = 0; j < N; j += gemm_columns) {
        for (Index k = 0; k < K; k += depth) {
            const Panels panels(std::min(depth, K - k), std::min(gemm_columns, N - j));
            const bool small = M * panels.depth * panels.columns < gemm_small;
            const Index row_step = transpose_b == Transpose::no ? b_stride : 1;
            const Index column_step = transpose_b == Transpose::no ? 1 : b_stride;
            const auto pack = [&](Index p) {
                pack_panel(panels[p], panels.depth, b.data() + k * row_step + (j + panels[p].first) * column_step,
                           row_step, column_step, packed.data() + panels[p].offset);
            };
            const GemmBlock block{a.data() + (by_row ? k : k * a_stride),
                                  a_stride,
                                  by_row ? ALayout::by_row : ALayout::by_column,
                                  packed.data(),
                                  panels,
                                  c.data() + j,
                                  N,
                                  mode == Write::add || k > 0,
                                  bias && k == 0 ? bias + j : nullptr};
            if (small) {
                for (Index p = 0; p < panels.count(); ++p) pack(p);
                multiply_block(block, 0, M, 0, panels.count());
                continue;
            }
            parallel_for(panels.count(), pack);
            const Index row_blocks = ceil_div(M, gemm_rows), rows = ceil_div(M, row_blocks);
            const Index groups = std::min(panels.count(), ceil_div(gemm_tasks, row_blocks));
            parallel_for(row_blocks * groups, [&](Index task) {
                const Index first = task / groups * rows, group = task % groups;
                if (first >= M) return;
                multiply_block(block, first, std::min(rows, M - first), group * panels.count() / groups,
                               (group + 1) * panels.count() / groups);
            });
        }
    }
}

// Operands and result of any 16-bit or float type.
template <class A, class B, class C>
void gemm(Cpu device, Matrix<const A> a, Transpose transpose_a, Matrix<const B> b, Transpose transpose_b, Matrix<C> c,
          Write mode) {
    const AsFloat<A, 2> float_a(a);
    const AsFloat<B, 2> float_b(b);
    const FloatResult<C, 2> result(c, mode);
    gemm(device, float_a.view(), transpose_a, float_b.view(), transpose_b, result.view(), mode);
    result.finish();
}

}  // namespace gradus::inline GRADUS_ABI
