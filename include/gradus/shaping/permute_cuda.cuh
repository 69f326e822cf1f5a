// shaping/permute_cuda.cuh   The CUDA twin of permute.hpp.
// Where the last dimension stays last it is a copy of runs (rows_cuda.cuh). Where another one becomes last, each thread
// of a plain copy would either read or write with a stride: one element of every sector of 32 bytes.
// Tiles    So a block takes a tile of 32 x 32 elements along two dimensions: u, the last one of x, and v, the last one
//          of y. Warps read rows along u, put them into shared memory, and write columns of the tile, which are rows of
//          y along v: both sides move whole sectors. (G. Ruetsch, P. Micikevicius: Optimizing Matrix Transpose in
//          CUDA, NVIDIA 2009.) The other dimensions are a batch of such matrices.
// Padding  Shared memory has 32 banks of 4 bytes. In rows of 32 floats a column of the tile lies in one bank, and its
//          32 elements come one after the other. So a row is 33 floats long: element (v, u) is in bank (33*v + u) mod
//          32 = (v + u) mod 32, and a column in 32 banks. 32 elements of 16 bits are 16 words; with 2 more they are 17,
//          and 17*v mod 32 takes 32 different values too. A double fills two banks, (2*v + 2*u) mod 32 and the next
//          one; a warp reads doubles in two halves.
// Short    Where u or v has fewer than 8 elements, three quarters of a tile would be empty. A gather reads sectors up
//          to 8 times there, but mostly from the cache.
// Cost     reads x once and writes y once (and reads it, to add).
// Roofline 8 bytes an element and no arithmetic, 0 FLOP a byte: bound by the memory.
#pragma once

#include "gradus/shaping/permute.hpp"
#include "gradus/shaping/rows_cuda.cuh"

namespace gradus::inline GRADUS_ABI {

inline constexpr int transpose_tile = 32;
inline constexpr int transpose_rows = 8;  // of a tile that a block moves at once; four times
template <class T>
inline constexpr int transpose_padding = sizeof(T) < 4 ? 4 / sizeof(T) : 1;  // elements

// A batch of matrices, x (V, U) with v `x_stride` apart and u neighbours, y (U, V) with u `y_stride` apart.
struct TransposePlan {
    Index U = 1, V = 1, x_stride = 0, y_stride = 0, batch = 1;
    Index u_tiles, v_tiles;
    StrideMap x_batch, y_batch;  // where the matrices begin

    explicit TransposePlan(const StrideMap& map) {  // from y's elements to x's; stride[0] is not 1
        V = map.extent[0];
        x_stride = map.stride[0];
        Index walked = V;
        for (int d = 1; d < map.dimensions; ++d) {
            if (map.stride[d] == 1) {
                U = map.extent[d];
                y_stride = walked;
            } else {
                x_batch.add(map.extent[d], map.stride[d]);
                y_batch.add(map.extent[d], walked);
                batch *= map.extent[d];
            }
            walked *= map.extent[d];
        }
        u_tiles = (U + transpose_tile - 1) / transpose_tile;
        v_tiles = (V + transpose_tile - 1) / transpose_tile;
    }
    // Within a grid's 2^31 - 1: a block moves at least 8 x 8 elements.
    unsigned blocks() const { return static_cast<unsigned>(batch * u_tiles * v_tiles); }
};

// Four blocks a multiprocessor leave 64 registers a thread; left to itself the compiler takes 32 on sm_80 and spills.
template <class T>
__global__ void __launch_bounds__(transpose_tile* transpose_rows, 4)
    transpose_kernel(const __grid_constant__ TransposePlan plan, const T* x, T* y, Write mode) {
    GRADUS_SHARED(T, tile, [transpose_tile][transpose_tile + transpose_padding<T>]);
    const int lane = static_cast<int>(threadIdx.x), first = static_cast<int>(threadIdx.y);
    const Index block = blockIdx.x, matrix = block / (plan.u_tiles * plan.v_tiles);
    const Index u_begin = block % plan.u_tiles * transpose_tile;
    const Index v_begin = block / plan.u_tiles % plan.v_tiles * transpose_tile;

    const T* const from = x + plan.x_batch.index(matrix);
    for (int r = first; r < transpose_tile; r += transpose_rows) {
        const Index u = u_begin + lane, v = v_begin + r;
        if (u < plan.U && v < plan.V) tile[r][lane] = from[v * plan.x_stride + u];
    }
    __syncthreads();
    T* const to = y + plan.y_batch.index(matrix);
    for (int r = first; r < transpose_tile; r += transpose_rows) {
        const Index u = u_begin + r, v = v_begin + lane;
        if (u < plan.U && v < plan.V) put_element(to[u * plan.y_stride + v], to_float(tile[lane][r]), mode);
    }
}

template <class T>
void permute_copy(Cuda, const Permutation& permutation, Vector<const T> x, Vector<T> y, Write mode) {
    if (y.size() == 0) return;
    StrideMap map;
    for (int d = permutation.y.rank() - 1; d >= 0; --d)
        map.add(permutation.y[d], permutation.strides[static_cast<std::size_t>(d)]);
    const TransposePlan plan(map);
    if (map.stride[0] == 1 || std::min(plan.U, plan.V) < 8) {
        gather_cuda(map, x.data(), y.data(), y.size(), mode);
        return;
    }
    launch(transpose_kernel<T>, plan.blocks(), dim3(transpose_tile, transpose_rows), 0, current_stream(), plan,
           x.data(), y.data(), mode);
}

}  // namespace gradus::inline GRADUS_ABI
