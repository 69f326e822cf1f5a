// convolution/conv2d_gemm_tile_cuda.cuh   The main loop of conv2d_implicit_gemm_cuda.cuh: tiles on tensor cores.
// A block of 4 warps computes 128 rows by 64 columns of a product of 16-bit matrices, in steps of 32 of the sum's index
// ("depth"). Each warp has 64 x 32 of them: 4 x 2 fragments of 16x16, 64 float accumulators a thread.
// Stages   The tiles of a step lie in shared memory twice: while the tensor cores multiply one pair, cp.async copies
//          the next (ptx.hpp). A step brings (128 + 64) * 32 * 2 bytes = 12 KB for 2*128*64*32 = 524,288 FLOP: 43 FLOP
//          a byte of the second-level cache. An A100 has 312 TFLOP/s in Half and 5,120 bytes a cycle there (7.2 TB/s at
//          1.41 GHz), 43 FLOP a byte: on paper just enough. Twice as wide a tile would leave room, and leave half of
//          the multiprocessors without a block where a layer has few pixels.
// Layouts  DepthInner: neighbours in a tile are neighbours in depth, (rows, depth) and (columns, depth), as x and
//          weights lie in forward. Otherwise (depth, rows) and (depth, columns), as x and dy lie where pixels are
//          summed.
// Banks    A line of a tile is 8 elements longer than its content, which makes it an odd number of 16-byte words, and
//          shared memory gives 8 of those at once. The 8 lines that a fragment's load goes through together then start
//          at 8 different places. The sums go out in pairs of one row, 4 rows of 8 at once (or in 8 x 4 single numbers
//          where they lie by columns): lines 8 numbers longer than their content (or 4) put those in different banks.
//          tests/convolution/conv2d_counts_cuda_test.cpp counts the passes.
#pragma once

#include "gradus/convolution/conv2d_correlation_cuda.cuh"
#include "gradus/machine/cuda/ptx.hpp"

namespace gradus::inline GRADUS_ABI {

// Whether the tensor cores of an architecture, 75 for sm_75, take T: Half from sm_70 on, BFloat16 from sm_80 on.
template <class T>
constexpr bool tensor_cores_take(int architecture) {
    return (std::is_same_v<T, Half> && architecture >= 70) || (std::is_same_v<T, BFloat16> && architecture >= 80);
}
// Of the architecture that a kernel is compiled for.
template <class T>
inline constexpr bool compiled_for_tensor_cores =
#if defined(__CUDA_ARCH__)
    tensor_cores_take<T>(__CUDA_ARCH__ / 10);
#else
    tensor_cores_take<T>(80);
#endif

inline constexpr int conv_gemm_threads = 128;
inline constexpr int conv_gemm_rows = 128, conv_gemm_columns = 64, conv_gemm_depth = 32;

template <bool DepthInner>
struct ConvGemmTiles {
    static constexpr int a_pitch = (DepthInner ? conv_gemm_depth : conv_gemm_rows) + 8;
    static constexpr int b_pitch = (DepthInner ? conv_gemm_depth : conv_gemm_columns) + 8;
    static constexpr int a_size = (DepthInner ? conv_gemm_rows : conv_gemm_depth) * a_pitch;
    static constexpr int b_size = (DepthInner ? conv_gemm_columns : conv_gemm_depth) * b_pitch;
    static_assert(a_pitch * 2 / 16 % 2 == 1 && b_pitch * 2 / 16 % 2 == 1, "lines start in the same banks");
    static constexpr int stage_size = a_size + b_size;  // elements; b follows a
    // The sums, as float, at the end: (rows, columns), or (columns, rows) where that is how they go to memory.
    static constexpr int sum_pitch = DepthInner ? conv_gemm_columns + 8 : conv_gemm_rows + 4;
    static constexpr int sum_bytes = 4 * (DepthInner ? conv_gemm_rows : conv_gemm_columns) * sum_pitch;
    static constexpr int bytes = sum_bytes > 4 * stage_size ? sum_bytes : 4 * stage_size;  // two stages of 16 bits
};

using ConvGemmSum = nvcuda::wmma::fragment<nvcuda::wmma::accumulator, 16, 16, 16, float>;

// sum += A B for one stage, this warp's 64 x 32.
template <bool DepthInner, class T>
__device__ __forceinline__ void conv_gemm_multiply(const T* stage, ConvGemmSum (&sum)[4][2]) {
    using namespace nvcuda;
    using Tiles = ConvGemmTiles<DepthInner>;
    using LayoutA = std::conditional_t<DepthInner, wmma::row_major, wmma::col_major>;
    using LayoutB = std::conditional_t<DepthInner, wmma::col_major, wmma::row_major>;
    const int warp = static_cast<int>(threadIdx.x) / 32, first_row = warp / 2 * 64, first_column = warp % 2 * 32;
    const T* const a = stage;
    const T* const b = stage + Tiles::a_size;
    for (int k = 0; k < conv_gemm_depth; k += 16) {
        wmma::fragment<wmma::matrix_b, 16, 16, 16, CudaType<T>, LayoutB> b_part[2];
        for (int j = 0; j < 2; ++j) {
            const int column = first_column + 16 * j;
            const int place = DepthInner ? column * Tiles::b_pitch + k : k * Tiles::b_pitch + column;
            wmma::load_matrix_sync(b_part[j], as_cuda(b + place), Tiles::b_pitch);
        }
        for (int i = 0; i < 4; ++i) {
            const int row = first_row + 16 * i;
            const int place = DepthInner ? row * Tiles::a_pitch + k : k * Tiles::a_pitch + row;
            wmma::fragment<wmma::matrix_a, 16, 16, 16, CudaType<T>, LayoutA> a_part;
            wmma::load_matrix_sync(a_part, as_cuda(a + place), Tiles::a_pitch);
            for (int j = 0; j < 2; ++j) wmma::mma_sync(sum[i][j], a_part, b_part[j], sum[i][j]);
        }
    }
}

// All steps. `loader(stage)` starts the copies of the next step's tiles; it is called once for each step. At the end
// the sums lie in `memory`, in float: (row, column) at row * sum_pitch + column, without DepthInner the other way
// round.
template <bool DepthInner, class T, class Loader>
__device__ __forceinline__ void conv_gemm_loop(unsigned char* memory, int steps, Loader& loader) {
    using namespace nvcuda;
    using Tiles = ConvGemmTiles<DepthInner>;
    T* const stages = reinterpret_cast<T*>(memory);
    ConvGemmSum sum[4][2];
    for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 2; ++j) wmma::fill_fragment(sum[i][j], 0.0f);

    if (steps > 0) loader(stages);
    cp_async_commit();
    for (int step = 0; step < steps; ++step) {
        if (step + 1 < steps) loader(stages + (step + 1) % 2 * Tiles::stage_size);
        cp_async_commit();   // an empty group in the last step, so that the count is right
        cp_async_wait<1>();  // all but the newest group: this step's tiles
        __syncthreads();
        conv_gemm_multiply<DepthInner>(stages + step % 2 * Tiles::stage_size, sum);
        __syncthreads();  // the next copies go to the stage that was read
    }

    float* const sums = reinterpret_cast<float*>(memory);
    const int warp = static_cast<int>(threadIdx.x) / 32;
    for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 2; ++j) {
            const int row = warp / 2 * 64 + 16 * i, column = warp % 2 * 32 + 16 * j;
            const int place = DepthInner ? row * Tiles::sum_pitch + column : column * Tiles::sum_pitch + row;
            wmma::store_matrix_sync(sums + place, sum[i][j], Tiles::sum_pitch,
                                    DepthInner ? wmma::mem_row_major : wmma::mem_col_major);
        }
    __syncthreads();
}

}  // namespace gradus::inline GRADUS_ABI
