// pooling/max_pool2d_cuda.cuh   The CUDA twins of max_pool2d.hpp: a thread makes a pack of channels of one pixel.
// Cost     forward reads x once from memory, K*K / (s*s) times from the caches, and writes y and one byte for each y;
//          backward the same the other way around, see pixel_packs_cuda.cuh. K*K comparisons an output.
// Roofline 2x2, stride 2: 5.25 bytes and one FLOP for each x, 0.19 FLOP a byte, bound by the memory.
#pragma once

#include <cmath>

#include "gradus/machine/cuda/cuda_memory.hpp"
#include "gradus/pooling/max_pool2d.hpp"
#include "gradus/pooling/pixel_packs_cuda.cuh"

namespace gradus::inline GRADUS_ABI {

// The bytes that belong to a pack of T: one word, where they are aligned to it.
template <class T>
using PlacePack = Packed<std::uint8_t, vector_length<T>>;

template <class T>
__device__ __forceinline__ bool is_place_word(const std::uint8_t* p, Index count) {
    return count >= vector_length<T> && reinterpret_cast<std::uintptr_t>(p) % sizeof(PlacePack<T>) == 0;
}
template <class T>
__device__ __forceinline__ PlacePack<T> load_places(const std::uint8_t* p, Index count) {
    if (is_place_word<T>(p, count)) return *reinterpret_cast<const PlacePack<T>*>(p);
    PlacePack<T> places;
    for (int k = 0; k < vector_length<T>; ++k) places[k] = k < count ? p[k] : std::uint8_t{0};
    return places;
}
template <class T>
__device__ __forceinline__ void store_places(std::uint8_t* p, const PlacePack<T>& places, Index count) {
    if (is_place_word<T>(p, count)) {
        *reinterpret_cast<PlacePack<T>*>(p) = places;
        return;
    }
    for (int k = 0; k < vector_length<T> && k < count; ++k) p[k] = places[k];
}

template <class T>
__global__ void __launch_bounds__(stride_threads)
    max_pool2d_forward_kernel(const T* x, PoolWindows rows, PoolWindows columns, PixelPacks inputs, PixelPacks outputs,
                              T* y, std::uint8_t* winner) {
    constexpr int N = vector_length<T>;
    for (Index item = grid_thread(); item < outputs.total; item += grid_threads()) {
        const PixelPack out = outputs.at<T>(item);
        const IndexRange hs = rows.window(out.h), ws = columns.window(out.w);
        const Index first = place_in_window(rows, columns, out.h, out.w, hs.begin, ws.begin);
        Pack<T> best;
        PlacePack<T> place;
        for (int k = 0; k < N; ++k) {
            best[k] = from_float<T>(-INFINITY);
            place[k] = static_cast<std::uint8_t>(first);  // if all pixels are -infinity too
        }
        for (Index h = hs.begin; h < hs.end; ++h)
            for (Index w = ws.begin; w < ws.end; ++w) {
                const Pack<T> pack = load_pack(x + inputs.index(out.n, h, w, out.c), out.count);
                const Index here = place_in_window(rows, columns, out.h, out.w, h, w);
                for (int k = 0; k < N; ++k) {
                    const Sum<T> value = to_float(pack[k]);
                    if (!(value > to_float(best[k])) && value == value) continue;
                    best[k] = pack[k];
                    place[k] = static_cast<std::uint8_t>(here);
                }
            }
        const Index to = outputs.index(out.n, out.h, out.w, out.c);
        store_pack(y + to, best, out.count);
        if (winner != nullptr) store_places<T>(winner + to, place, out.count);
    }
}
template <class T>
void max_pool2d_forward(Cuda, Array4<const T> x, const PoolWindows& rows, const PoolWindows& columns, Array4<T> y,
                        Array4<std::uint8_t> winner) {
    if (y.size() == 0) return;
    const PixelPacks inputs(x), outputs(y);
    launch(max_pool2d_forward_kernel<T>, stride_blocks(outputs.total), stride_threads, 0, current_stream(), x.data(),
           rows, columns, inputs, outputs, y.data(), winner.data());
}

// Two blocks a multiprocessor leave 128 registers a thread; left to itself the compiler takes 64 and spills.
template <class T>  // (1)
__global__ void __launch_bounds__(stride_threads, 2)
    max_pool2d_backward_kernel(const T* dy, const std::uint8_t* winner, PoolWindows rows, PoolWindows columns,
                               PixelPacks inputs, PixelPacks outputs, T* dx, Write mode) {
    constexpr int N = vector_length<T>;
    for (Index item = grid_thread(); item < inputs.total; item += grid_threads()) {
        const PixelPack in = inputs.at<T>(item);
        const IndexRange is = readers_of_two(rows, in.h), js = readers_of_two(columns, in.w);
        Sum<T> sum[2][2][N] = {};
        for (Index i = is.begin; i < is.end; ++i)
            for (Index j = js.begin; j < js.end; ++j) {
                const Index from = outputs.index(in.n, i, j, in.c);
                const PlacePack<T> place = load_places<T>(winner + from, in.count);
                const Pack<T> slope = load_pack(dy + from, in.count);
                // A column that a window does not read would have the number of another place; a row has one of none.
                for (int b = 0; b < 2; ++b) {
                    if (!reads(columns, j, in.w + b)) continue;
                    for (int a = 0; a < 2; ++a) {
                        const Index here = place_in_window(rows, columns, i, j, in.h + a, in.w + b);
                        for (int k = 0; k < N; ++k) sum[a][b][k] += place[k] == here ? to_float(slope[k]) : Sum<T>(0);
                    }
                }
            }
        put_square(dx, inputs, in, sum, mode);
    }
}
template <class T>
void max_pool2d_backward(Cuda, Array4<const T> dy, Array4<const std::uint8_t> winner, const PoolWindows& rows,
                         const PoolWindows& columns, Array4<T> dx, Write mode) {
    if (dx.size() == 0) return;
    const PixelPacks inputs = PixelPacks(dx).squares(), outputs(dy);
    launch(max_pool2d_backward_kernel<T>, stride_blocks(inputs.total), stride_threads, 0, current_stream(), dy.data(),
           winner.data(), rows, columns, inputs, outputs, dx.data(), mode);
}

}  // namespace gradus::inline GRADUS_ABI
