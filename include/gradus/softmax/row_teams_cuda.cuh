// softmax/row_teams_cuda.cuh   Teams of threads, one for each row: what softmax and cross entropy share on the card.
// Problem  A row needs its maximum before the first exponential, and the sum of the exponentials before the first
//          result. Reading it three times would cost three times the memory's time.
// Answer   A team of threads holds a tile of the row in registers: 16 elements a thread, in words of up to 16 bytes
//          (with_run_length in run.hpp). Rows of up to 512 elements are for a part of a warp, 1, 2, 4, ... 32 threads,
//          so that a warp with short rows has several of them; longer rows are for a block. Neighbouring threads hold
//          neighbouring runs: loads are coalesced.
//          A row of one tile, up to 4,096 elements, is read once. A longer one is read twice: tile by tile, first for
//          the sums, then in the opposite order for the results, because the last tile is still in registers.
//          In rows of odd length every element is a word of its own, a load with an address register of its own: then a
//          thread has 8 elements, and the two limits are 256 and 2,048.
// Sums     in one pass over the tiles (Milakov, Gimelshein 2018, arXiv 1805.02867): where a tile has a larger maximum
//          m' than those before, s = s exp(m - m'), after which all terms of s are relative to m'.
// Lanes are added in pairs that exchange their values (a butterfly), warps one after the other: every thread of a team
// gets the same bits, whatever the order in which threads run.
#pragma once

#include <limits>

#include "gradus/elementwise/math.hpp"
#include "gradus/machine/cuda/cuda_memory.hpp"
#include "gradus/machine/cuda/run.hpp"

namespace gradus::inline GRADUS_ABI {

inline constexpr int team_block = 256;  // threads of a block
inline constexpr int team_warps = team_block / 32;
// How many elements a thread holds, in runs of N. A backward pass holds two such parts.
constexpr int team_elements(int N) { return N > 1 ? 16 : 8; }

// How the threads of a grid share the rows of an (M, K) matrix in runs of N. Blocks are numbered up to 2^31, so a
// matrix of more rows of above 256 elements, 1 TB, is an error of the launch.
struct RowTeams {
    Index M, K;
    int threads;   // of a team
    int elements;  // of a thread

    RowTeams(Index m, Index k, int N) : M(m), K(k), threads(1), elements(team_elements(N)) {
        const Index runs = (K + N - 1) / N;
        while (threads < 32 && threads < runs) threads *= 2;
        if (K > 32 * elements) threads = team_block;
    }
    GRADUS_HOST_DEVICE int rows_of_block() const { return team_block / threads; }
    unsigned blocks() const { return blocks_for(M, static_cast<unsigned>(rows_of_block())); }

    // Which elements of a row a team holds at a time: those from 0 on, or from tile() on, ... or from last_tile() on.
    GRADUS_HOST_DEVICE Index tile() const { return Index{threads} * elements; }
    GRADUS_HOST_DEVICE Index last_tile() const { return (K - 1) / tile() * tile(); }
};

// What a thread has to do with its team's row.
template <class T, int N>
struct RowShare {
    static constexpr int runs = team_elements(N) / N;
    using Tile = Sum<T>[runs][N];

    RowTeams teams;
    int number;  // of the row in the block
    Index row;
    int rank;  // in the team

    __device__ explicit RowShare(const RowTeams& by)
        : teams(by),
          number(static_cast<int>(threadIdx.x) / by.threads),
          row(Index(blockIdx.x) * by.rows_of_block() + number),
          rank(static_cast<int>(threadIdx.x) % by.threads) {}

    // Threads of the last block may have no row, and threads of a team no element. They go through all reductions with
    // the others, but read nothing.
    __device__ __forceinline__ bool has_part() const { return row < teams.M && rank * N < teams.K; }
    // How many elements of the row the tile has, and where in the tile run r of the thread begins. Tiles are small, so
    // 32 bits are enough.
    __device__ __forceinline__ int size_of(Index tile) const {
        const Index left = row < teams.M ? teams.K - tile : 0;
        return static_cast<int>(left < teams.tile() ? left : teams.tile());
    }
    __device__ __forceinline__ int at(int r) const { return (r * teams.threads + rank) * N; }

    // Of the matrix x, which with_run_length has seen, or (load_row) of a row of numbers anywhere.
    __device__ __forceinline__ void load(const T* x, Index tile, Sum<T> behind_the_row, Tile& v) const {
        const T* const from = x + row * teams.K + tile;
        const int size = size_of(tile);
        for (int r = 0; r < runs; ++r) {
            if (at(r) < size)
                load_words(from + at(r), v[r]);
            else
                for (int i = 0; i < N; ++i) v[r][i] = behind_the_row;
        }
    }
    __device__ __forceinline__ void load_row(const Sum<T>* numbers, Index tile, Sum<T> behind_the_row, Tile& v) const {
        const int size = size_of(tile);
        for (int r = 0; r < runs; ++r) {
            if (at(r) < size)
                load_run(numbers + tile + at(r), v[r]);
            else
                for (int i = 0; i < N; ++i) v[r][i] = behind_the_row;
        }
    }
    __device__ __forceinline__ void put(T* y, Index tile, const Tile& v, Write mode) const {
        T* const to = y + row * teams.K + tile;
        const int size = size_of(tile);
        for (int r = 0; r < runs; ++r)
            if (at(r) < size) put_words(to + at(r), v[r], mode);
    }
};

// What there is one of for each row, a label or a sum, is read and written by neighbouring threads for neighbouring
// rows, and goes to the teams, and back, through shared memory: else every team would move 32 bytes, a sector, for it.
struct RowOfThread {
    int number;  // in the block
    Index row;
    bool is_there;

    __device__ explicit RowOfThread(const RowTeams& teams)
        : number(static_cast<int>(threadIdx.x)),
          row(Index(blockIdx.x) * teams.rows_of_block() + number),
          is_there(number < teams.rows_of_block() && row < teams.M) {}
};

struct AddTwo {
    template <class S>
    __device__ __forceinline__ S operator()(S a, S b) const {
        return a + b;
    }
};
struct LargerOfTwo {
    template <class S>
    __device__ __forceinline__ S operator()(S a, S b) const {
        return b > a ? b : a;
    }
};

// For __launch_bounds__: the blocks that a multiprocessor must have room for. Left to itself the compiler likes four in
// float, 64 registers a thread, and on some cards spills; three leave 80. In double one leaves 255. Few blocks are
// enough: 256 threads with 16 elements each are 8 to 32 KB on the way, and the memory of an A100 delivers 8.6 KB to a
// multiprocessor (1555 GB/s, 108 of them) in the 600 ns of a load.
template <class T>
inline constexpr int team_blocks = sizeof(Sum<T>) == 4 ? 3 : 1;

// The values of a team's threads, combined; in every one of them. `shared` has room for one value of every warp.
template <class S, class Combine>
__device__ __forceinline__ S team_reduce(S value, int threads, S* shared, const Combine& combine) {
    for (int step = (threads < 32 ? threads : 32) / 2; step > 0; step /= 2)
        value = combine(value, __shfl_xor_sync(0xFFFFFFFFu, value, step));
    if (threads > 32) {   // the team is the block
        __syncthreads();  // the values of the reduction before have been read
        if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = value;
        __syncthreads();
        value = shared[0];
        for (int warp = 1; warp < team_warps; ++warp) value = combine(value, shared[warp]);
    }
    return value;
}

// A constant: device code may not call what <limits> has.
template <class S>
inline constexpr S minus_infinity = -std::numeric_limits<S>::infinity();

template <class S>
struct SoftmaxSums {
    S m, s;  // the maximum of a row, and the sum of exp(x - m)
};

// Of the team's row. The last tile is left in v, with -infinity behind the row.
template <class T, int N>
__device__ __forceinline__ SoftmaxSums<Sum<T>> softmax_sums(const RowShare<T, N>& mine, const T* x,
                                                            typename RowShare<T, N>::Tile& v, Sum<T>* shared) {
    constexpr Sum<T> lowest = minus_infinity<Sum<T>>;
    Sum<T> m = lowest, s = 0;
    for (Index tile = 0; tile < mine.teams.K; tile += mine.teams.tile()) {
        mine.load(x, tile, lowest, v);
        Sum<T> larger = m;  // a NaN is never larger: it shows in s
        for (int r = 0; r < mine.runs; ++r)
            for (int i = 0; i < N; ++i) larger = v[r][i] > larger ? v[r][i] : larger;
        larger = team_reduce(larger, mine.teams.threads, shared, LargerOfTwo{});
        if (larger > m) s *= Math::exp(m - larger);
        m = larger;
        for (int r = 0; r < mine.runs; ++r)
            for (int i = 0; i < N; ++i)
                if (v[r][i] != lowest) s += Math::exp(v[r][i] - m);  // exp(-infinity - m) is 0, as long as m is finite
    }
    s = team_reduce(s, mine.teams.threads, shared, AddTwo{});
    // Of nothing but -infinity there is no softmax: NaN.
    return {m, m == lowest ? m - m : s};
}

}  // namespace gradus::inline GRADUS_ABI
