// reduction/reduction_plan_cuda.cuh   How the threads of a grid share a reduction over one block of dimensions.
// Shapes   (A, R, B) to (A, B): for every a a matrix of R rows, of which B columns remain. Any other set of dimensions
//          is a series of such reductions, from the last block to the first, as in sum_cpu.hpp.
// Threads  A thread reduces a pack of columns over the rows lane, lane + lanes, ... A block of 256 threads is
//              groups (values of a)  x  lanes (of rows)  x  columns (packs of a row),
//          each a power of two; columns are neighbouring threads, which read neighbouring memory. Then the lanes are
//          reduced as a tree in shared memory. Few rows get few lanes, and the block takes more columns, or values of
//          a, instead.
// B = 1    The R elements of an a are a matrix whose width is one pack, of which the last row may be incomplete. So
//          packs are read here too. In the end the pack itself is reduced to one element (`folds`).
// Parts    Where that makes few blocks, the rows are cut into parts, whose results a second launch reduces. How, is a
//          matter of A, R, B and the element type alone: every card and every run gives the same bits, without atomics.
// Cost     reads (A, R, B) once, at the rate of the memory where B is 1 or whole packs. Rows of other widths are not
//          aligned; their packs are read element by element, mostly from the first-level cache.
#pragma once

#include <algorithm>
#include <vector>

#include "gradus/core/broadcast.hpp"
#include "gradus/machine/cuda/grid_stride.hpp"

namespace gradus::inline GRADUS_ABI {

inline constexpr int reduction_threads = 256;

struct ReductionPlan {
    Index A, elements;  // elements of one a, R * B
    Index width, rows;  // of its matrix
    bool folds;         // B is 1
    int pack;           // elements
    int columns = 1, lanes = 1, groups = 1;
    Index column_blocks, group_blocks;  // blocks that cover the width, and A
    Index parts, part_rows;

    ReductionPlan(Index a, Index R, Index B, int elements_of_a_pack)
        : A(a), elements(R * B), width(B), rows(R), folds(B == 1), pack(elements_of_a_pack) {
        if (folds) {
            width = pack;
            rows = (elements + pack - 1) / pack;
        }
        const Index packs = (width + pack - 1) / pack;
        while (columns < packs && columns < 32) columns *= 2;                         // a warp reads one row
        while (columns * lanes < reduction_threads && 4 * lanes < rows) lanes *= 2;   // a lane has up to 4 rows,
        while (columns * lanes < reduction_threads && columns < packs) columns *= 2;  // more only in a full block
        groups = reduction_threads / (columns * lanes);
        column_blocks = (packs + columns - 1) / columns;
        group_blocks = (A + groups - 1) / groups;
        // 512 blocks of 256 threads occupy a card. A part has at least 16 rows for every lane.
        const Index blocks = std::max<Index>(column_blocks * group_blocks, 1);
        parts = std::clamp<Index>(512 / blocks, 1, std::max<Index>(rows / (16 * lanes), 1));
        part_rows = std::max<Index>((rows + parts - 1) / parts, 1);
        parts = std::max<Index>((rows + part_rows - 1) / part_rows, 1);  // none of them is empty
    }
    // The same without parts.
    ReductionPlan undivided() const {
        ReductionPlan plan = *this;
        plan.parts = 1;
        plan.part_rows = rows;
        return plan;
    }
    // A grid has up to 2^31 - 1 blocks, and a block stands for 256 packs at least, but for the edges.
    unsigned blocks() const { return static_cast<unsigned>(parts * column_blocks * group_blocks); }
    Index results() const { return A * (folds ? 1 : width); }

    // How many elements the pack has that begins at element i of an a, in column b.
    __device__ __forceinline__ Index count(Index i, Index b) const {
        return elements - i < width - b ? elements - i : width - b;
    }
};

// A thread's share of it.
struct ReductionPlace {
    int lane;
    Index a, b, part;
    Index first, end;  // rows first, first + lanes, ... below end; none where there is no such a or b

    __device__ __forceinline__ explicit ReductionPlace(const ReductionPlan& plan) {
        const int t = static_cast<int>(threadIdx.x);
        lane = t / plan.columns % plan.lanes;
        const Index block = blockIdx.x, rest = block / plan.column_blocks;
        b = (block % plan.column_blocks * plan.columns + t % plan.columns) * plan.pack;
        a = rest % plan.group_blocks * plan.groups + t / (plan.columns * plan.lanes);
        part = rest / plan.group_blocks;
        first = part * plan.part_rows + lane;
        const Index part_end = (part + 1) * plan.part_rows;
        end = part_end < plan.rows ? part_end : plan.rows;
        if (!is_there(plan)) end = first;
    }
    __device__ __forceinline__ bool is_there(const ReductionPlan& plan) const { return a < plan.A && b < plan.width; }
};

// One step of a reduction over the groups of dimensions that are repeated.
struct ReductionStep {
    Index A = 1, R = 1, B = 1;
    bool is_last = true;  // no repeated group is left

    // Takes the last repeated group out of `groups`. Without one, R is 1: a copy.
    explicit ReductionStep(std::vector<Broadcast::Group>& groups) {
        std::size_t reduced = groups.size();
        for (std::size_t g = groups.size(); g-- > 0;) {
            if (!groups[g].repeats_x) continue;
            if (reduced < groups.size())
                is_last = false;
            else
                reduced = g;
        }
        const bool is_copy = reduced == groups.size();
        for (std::size_t g = 0; g < groups.size(); ++g) {
            Index& extent = is_copy || g > reduced ? B : g < reduced ? A : R;
            extent *= groups[g].extent;
        }
        if (!is_copy) groups.erase(groups.begin() + static_cast<std::ptrdiff_t>(reduced));
    }
};

}  // namespace gradus::inline GRADUS_ABI
