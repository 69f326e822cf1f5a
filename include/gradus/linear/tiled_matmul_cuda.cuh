// linear/tiled_matmul_cuda.cuh   Two matrix products to read: what a library like cuBLAS does inside.
//     tiled_matmul(Cuda{}, ...)             rung 1: tiles in shared memory
//     register_blocked_matmul(Cuda{}, ...)  rung 2: and a block of sums in the registers of every thread
// Both take what matmul(Cuda{}, ...) of matmul_cuda.cuh takes.
// Problem  c (M, N) = A (M, K) B (K, N) is 2MNK operations on MK + KN + MN numbers, but a thread that makes one sum
//          reads 2K numbers for 2K operations. An A100 makes 50 operations (19.5 TFLOP/s) in the time in which its
//          memory delivers one float (1.56 TB/s). So every number that is read must be used many times.
// Rung 1   Kirk, Hwu 2010, "Programming Massively Parallel Processors", chapter on tiling. A block of 32 x 32 threads
//          makes 32 x 32 sums. It walks along k in steps of 32: each thread brings one number of A and one of B to
//          shared memory, then everybody multiplies a row of one tile by a column of the other. A number that was read
//          from memory once is used 32 times. Every multiply-add still reads two numbers of shared memory: that is now
//          the bound, because shared memory delivers one number for every lane in a cycle, and the units could do a
//          multiply-add for each in that time.
// Rung 2   Volkov, Demmel 2008, "Benchmarking GPUs to tune dense linear algebra". 256 threads make 64 x 64 sums, every
//          thread 4 x 4 of them, in registers. For each k it reads 4 numbers of A and 4 of B, 16 bytes at once, and
//          makes 16 multiply-adds: a quarter of the reads of rung 1. A number from memory is used 64 times.
// Rung 3   is conv2d_implicit_gemm_cuda.cuh: tensor cores, and tiles that arrive while the last ones are multiplied.
// Memory   A tile is read along its rows as they lie in memory: neighbouring threads read neighbouring words, whether
//          the operand is stored transposed or not. It is laid down so that the threads of a warp meet different banks
//          (columns are padded where rows are written across), and so that what is read most is read without conflict.
//          tests/linear/tiled_matmul_counts_cuda_test.cpp counts both.
// Cost     2MNK FLOP. Ideal are MK + KN + MN numbers; rung 1 asks for A N/32 times and for B M/32 times, rung 2 for
//          half of that, mostly from the second-level cache.
// Roofline (512, 2048) by (2048, 2048): 4.3 GFLOP on 25 MB, 171 FLOP a byte, bound by the arithmetic: 220 us on an
//          A100, whose memory takes 16 us.
// Sums     over k in order, in Sum<T>. Elements that stick out of the matrix count as 0.
#pragma once

#include "gradus/linear/matmul.hpp"
#include "gradus/machine/cuda/cuda_memory.hpp"
#include "gradus/machine/cuda/grid_stride.hpp"
#include "gradus/machine/cuda/half_device.hpp"

namespace gradus::inline GRADUS_ABI {

// An operand as a kernel sees it: element (i, j) of A or B, stored as it is or transposed.
template <class T>
struct StoredMatrix {
    const T* data;
    Index rows, columns;  // as it is stored
    bool is_transposed;
};

// Rung 1

inline constexpr int matmul_tile = 32;
inline constexpr int matmul_threads = matmul_tile * matmul_tile;

// tile[r][c] = element (first_row + r, first_column + c) of the operand. Thread (tx, ty) reads the element of the
// stored row ty and column tx; if the operand is stored transposed that is the tile's column ty and row tx.
template <class T>
__device__ __forceinline__ void load_tile(Sum<T> (&tile)[matmul_tile][matmul_tile + 1], const StoredMatrix<T>& x,
                                          Index first_row, Index first_column) {
    const int tx = static_cast<int>(threadIdx.x), ty = static_cast<int>(threadIdx.y);
    const Index row = (x.is_transposed ? first_column : first_row) + ty;
    const Index column = (x.is_transposed ? first_row : first_column) + tx;
    const bool is_there = row < x.rows && column < x.columns;
    const Sum<T> value = is_there ? to_float(x.data[row * x.columns + column]) : Sum<T>(0);
    if (x.is_transposed)
        tile[tx][ty] = value;  // the lanes of a warp write a column: 33 words apart, so into 32 different banks
    else
        tile[ty][tx] = value;
}

template <class T>
__global__ void __launch_bounds__(matmul_threads)
    tiled_matmul_kernel(StoredMatrix<T> a, StoredMatrix<T> b, T* c, Index M, Index N, Index K, Write mode) {
    GRADUS_SHARED(Sum<T>, a_tile, [matmul_tile][matmul_tile + 1]);
    GRADUS_SHARED(Sum<T>, b_tile, [matmul_tile][matmul_tile + 1]);
    const int tx = static_cast<int>(threadIdx.x), ty = static_cast<int>(threadIdx.y);
    const Index first_row = Index(blockIdx.x) * matmul_tile, first_column = Index(blockIdx.y) * matmul_tile;
    Sum<T> sum = 0;
    for (Index k = 0; k < K; k += matmul_tile) {
        load_tile(a_tile, a, first_row, k);
        load_tile(b_tile, b, k, first_column);
        __syncthreads();  // the tiles are complete
        for (int l = 0; l < matmul_tile; ++l) sum += a_tile[ty][l] * b_tile[l][tx];
        __syncthreads();  // and may be replaced
    }
    const Index row = first_row + ty, column = first_column + tx;
    if (row < M && column < N) {
        T& target = c[row * N + column];
        target = from_float<T>(mode == Write::add ? to_float(target) + sum : sum);
    }
}

template <class T>
void tiled_matmul(Cuda, Matrix<const T> a, bool transpose_a, Matrix<const T> b, bool transpose_b, Matrix<T> c,
                  Write mode) {
    const Index M = c.shape()[0], N = c.shape()[1], K = a.shape()[transpose_a ? 0 : 1];
    if (c.size() == 0) return;
    // Rows of blocks along x, where a grid may be long.
    launch(tiled_matmul_kernel<T>, dim3(blocks_for(M, matmul_tile), blocks_for(N, matmul_tile)),
           dim3(matmul_tile, matmul_tile), 0, current_stream(),
           StoredMatrix<T>{a.data(), a.shape()[0], a.shape()[1], transpose_a},
           StoredMatrix<T>{b.data(), b.shape()[0], b.shape()[1], transpose_b}, c.data(), M, N, K, mode);
}

// Rung 2

inline constexpr int register_tile = 64;                  // sums of a block, along each side
inline constexpr int register_pitch = register_tile + 4;  // of a row in shared memory: a multiple of 16 bytes
inline constexpr int register_threads = 256;              // 16 x 16, with 4 x 4 sums each
template <class T>
inline constexpr int register_depth = 32 / static_cast<int>(sizeof(T));  // of k: 32 bytes, the sector that memory gives

// tile[l][i] for 64 rows i of A (or columns of B) and the depth's k = first_k + l, so that neighbouring i can be read
// as one word. 128 threads bring 16 bytes each; t is the number among them. What k_is_row says is how the operand lies
// in memory: with one k in a row (A transposed, or B), or with one i in a row (A, or B transposed).
template <class T>
__device__ __forceinline__ void load_operand(Sum<T> (&tile)[register_depth<T>][register_pitch], const T* x,
                                             bool k_is_row, Index extent, Index K, Index first, Index first_k, int t) {
    constexpr int N = vector_length<T>, V = vector_length<Sum<T>>;
    if (k_is_row) {  // a row of the tile is 64 neighbours: 64 / N threads
        const int l = t / (register_tile / N), i = t % (register_tile / N) * N;
        const Index count = first_k + l < K ? extent - first - i : 0;
        const Pack<T> in = load_pack(x + (first_k + l) * extent + first + i, count);
        for (int part = 0; part < N; part += V) {
            Packed<Sum<T>, V> out;
            for (int e = 0; e < V; ++e) out[e] = to_float(in[part + e]);
            *reinterpret_cast<Packed<Sum<T>, V>*>(&tile[l][i + part]) = out;
        }
    } else {  // a row of memory holds 32 bytes of k: two threads. They write across, into rows of the tile
        const int i = t / 2, l = t % 2 * N;
        const Index count = first + i < extent ? K - first_k - l : 0;
        const Pack<T> in = load_pack(x + (first + i) * K + first_k + l, count);
        for (int e = 0; e < N; ++e) tile[l + e][i] = to_float(in[e]);
    }
}

// V neighbours of a row of c, of which the first `count` are there, as one word where they are aligned.
template <class T, int V>
__device__ __forceinline__ void put_neighbours(T* p, const Sum<T>* value, Index count, Write mode) {
    using Word = Packed<T, V>;
    if (count >= V && reinterpret_cast<std::uintptr_t>(p) % sizeof(Word) == 0) {
        Word word{};
        if (mode == Write::add) word = *reinterpret_cast<const Word*>(p);
        for (int e = 0; e < V; ++e)
            word[e] = from_float<T>(mode == Write::add ? to_float(word[e]) + value[e] : value[e]);
        *reinterpret_cast<Word*>(p) = word;
        return;
    }
    for (int e = 0; e < V && e < count; ++e)
        p[e] = from_float<T>(mode == Write::add ? to_float(p[e]) + value[e] : value[e]);
}

// A thread's 4 rows and 4 columns are `Parts` runs of V neighbours, 16 bytes: of floats one run, of doubles two, 16 * V
// apart. So the 16 threads that share a row read neighbouring words of b_tile, and write neighbouring words of c.
// Two blocks a multiprocessor leave 128 registers a thread; with fewer the sums in double would not all fit.
template <class T>
__global__ void __launch_bounds__(register_threads, 2)
    register_blocked_matmul_kernel(StoredMatrix<T> a, StoredMatrix<T> b, T* c, Index M, Index N, Index K, Write mode) {
    constexpr int V = vector_length<Sum<T>>, Parts = 4 / V;
    using Word = Packed<Sum<T>, V>;
    GRADUS_SHARED_ALIGNED(16, Sum<T>, a_tile, [register_depth<T>][register_pitch]);
    GRADUS_SHARED_ALIGNED(16, Sum<T>, b_tile, [register_depth<T>][register_pitch]);
    const int t = static_cast<int>(threadIdx.x), tx = t % 16 * V, ty = t / 16 * V;
    const Index first_row = Index(blockIdx.x) * register_tile, first_column = Index(blockIdx.y) * register_tile;
    Sum<T> sum[4][4] = {};
    for (Index k = 0; k < K; k += register_depth<T>) {
        if (t < register_threads / 2)  // whole warps go one way or the other
            load_operand(a_tile, a.data, a.is_transposed, M, K, first_row, k, t);
        else
            load_operand(b_tile, b.data, !b.is_transposed, N, K, first_column, k, t - register_threads / 2);
        __syncthreads();  // the tiles are complete
        for (int l = 0; l < register_depth<T>; ++l) {
            Word row[Parts], column[Parts];
            for (int p = 0; p < Parts; ++p) {
                row[p] = *reinterpret_cast<const Word*>(&a_tile[l][p * 16 * V + ty]);
                column[p] = *reinterpret_cast<const Word*>(&b_tile[l][p * 16 * V + tx]);
            }
            for (int i = 0; i < 4; ++i)
                for (int j = 0; j < 4; ++j) sum[i][j] += row[i / V][i % V] * column[j / V][j % V];
        }
        __syncthreads();  // and may be replaced
    }
    for (int i = 0; i < 4; ++i)
        for (int p = 0; p < Parts; ++p) {
            const Index row = first_row + i / V * 16 * V + ty + i % V, column = first_column + p * 16 * V + tx;
            if (row < M) put_neighbours<T, V>(c + row * N + column, &sum[i][p * V], N - column, mode);
        }
}

template <class T>
void register_blocked_matmul(Cuda, Matrix<const T> a, bool transpose_a, Matrix<const T> b, bool transpose_b,
                             Matrix<T> c, Write mode) {
    const Index M = c.shape()[0], N = c.shape()[1], K = a.shape()[transpose_a ? 0 : 1];
    if (c.size() == 0) return;
    launch(register_blocked_matmul_kernel<T>, dim3(blocks_for(M, register_tile), blocks_for(N, register_tile)),
           register_threads, 0, current_stream(), StoredMatrix<T>{a.data(), a.shape()[0], a.shape()[1], transpose_a},
           StoredMatrix<T>{b.data(), b.shape()[0], b.shape()[1], transpose_b}, c.data(), M, N, K, mode);
}

}  // namespace gradus::inline GRADUS_ABI
