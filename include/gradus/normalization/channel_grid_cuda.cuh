// normalization/channel_grid_cuda.cuh   How blocks of threads share an (M, C) matrix: down the rows, channels fixed.
// Problem  Every kernel of batch norm has numbers for each channel. A thread that goes through the matrix as through a
//          vector needs other channels' numbers for each pack, and a division to find them.
// Answer   A thread keeps its channels, a run of N (run.hpp), and goes down the rows: the channels' numbers stay in
//          registers, and so do its sums. A block of 256 threads is some rows, the lanes, of `columns` runs. Where a
//          row is at most that long, what the lanes read lies in memory without a gap; else a lane reads up to 1 KB in
//          one piece. At most `columns` - 1 threads of a block have no lane.
// Parts    M is cut into parts, such that there are up to 512 blocks: with 16 bytes on the way for each thread that is
//          2 MB, as much as the fastest memories deliver in the time that one load takes (3.3 TB/s of an H100 in
//          600 ns). A part has 8 rows for each lane, so that what is done once a block does not count; where that gives
//          fewer than 128 blocks, about one for each multiprocessor, down to 4 rows. In double it has 8 always: a row
//          takes twice as many threads there, so that a warp has half as many rows to share the first one, the shift of
//          the statistics, that each warp reads.
// The grid depends on M, C and T alone, and so do the partitions of all sums: the same bits in every run and on every
// card.
#pragma once

#include <algorithm>

#include "gradus/machine/cuda/cuda_memory.hpp"
#include "gradus/machine/cuda/run.hpp"

namespace gradus::inline GRADUS_ABI {

inline constexpr int channel_block = 256;  // threads of a block
// The most columns of a block, for runs of N: at least 4 lanes where loads are wide, 2 where they are not.
constexpr int most_columns(int N) { return N > 1 ? 64 : 128; }

struct ChannelGrid {
    Index M, C;
    int columns, lanes;  // of a block: runs, and rows at a time
    Index column_blocks;
    Index parts, rows;  // of M, and the rows in each

    ChannelGrid(Index m, Index c, int N, Index most, Index least_rows) : M(m), C(c) {
        const Index runs = (C + N - 1) / N;
        column_blocks = (runs + most - 1) / most;
        columns = static_cast<int>((runs + column_blocks - 1) / column_blocks);
        lanes = channel_block / columns;
        parts = std::max(parts_for(512, 8), parts_for(128, least_rows));
        rows = (M + parts - 1) / parts;
    }
    // For T = float, double, Half, BFloat16 and C > 0.
    template <class T>
    static ChannelGrid of(Index M, Index C) {
        const int N = run_length<T>(C);
        return ChannelGrid(M, C, N, most_columns(N), sizeof(T) == 8 ? 8 : 4);
    }
    // To add up one row for each part of this grid: a single part, and so few columns that there are at least 8 lanes.
    ChannelGrid of_parts() const {
        ChannelGrid grid(parts, C, 1, 32, 4);
        grid.parts = 1;
        grid.rows = parts;
        return grid;
    }
    unsigned blocks() const { return static_cast<unsigned>(column_blocks * parts); }

    // How many rows part p has: the last ones may have fewer, or none.
    GRADUS_HOST_DEVICE Index rows_of(Index p) const {
        const Index left = M - p * rows;
        return left < 0 ? 0 : left < rows ? left : rows;
    }

private:
    Index parts_for(Index blocks, Index rows_a_lane) const {
        return std::clamp<Index>(blocks / column_blocks, 1, std::max<Index>(M / (rows_a_lane * lanes), 1));
    }
};

// A thread's channels c, ..., c + N - 1, and its rows begin, begin + step, ... below end.
template <int N>
struct ChannelShare {
    Index part, c, begin, end;
    int column, lane, step;
    bool has_channels;  // a thread without any has no rows, but goes through the barriers with the others

    __device__ explicit ChannelShare(const ChannelGrid& grid) {
        const int t = static_cast<int>(threadIdx.x);
        column = t % grid.columns;
        lane = t / grid.columns;
        step = grid.lanes;
        part = Index(blockIdx.x) / grid.column_blocks;
        c = (Index(blockIdx.x) % grid.column_blocks * grid.columns + column) * N;
        has_channels = lane < grid.lanes && c < grid.C;
        begin = part * grid.rows;
        end = begin + (has_channels ? grid.rows_of(part) : 0);
        begin += lane;
    }
};

}  // namespace gradus::inline GRADUS_ABI
