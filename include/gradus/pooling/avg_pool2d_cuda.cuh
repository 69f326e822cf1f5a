// pooling/avg_pool2d_cuda.cuh   The CUDA twins of avg_pool2d.hpp: a thread makes a pack of channels of one pixel.
// Cost     forward reads x once from memory, K*K / (s*s) times from the caches, and writes y; backward the same the
//          other way around, see pixel_packs_cuda.cuh. K*K additions an output.
// Roofline 2x2, stride 2: 5 bytes and one FLOP for each x, 0.20 FLOP a byte, bound by the memory.
#pragma once

#include "gradus/machine/cuda/cuda_memory.hpp"
#include "gradus/pooling/avg_pool2d.hpp"
#include "gradus/pooling/pixel_packs_cuda.cuh"

namespace gradus::inline GRADUS_ABI {

template <class T>
__global__ void __launch_bounds__(stride_threads)
    avg_pool2d_forward_kernel(const T* x, PoolWindows rows, PoolWindows columns, PixelPacks inputs, PixelPacks outputs,
                              T* y) {
    constexpr int N = vector_length<T>;
    for (Index item = grid_thread(); item < outputs.total; item += grid_threads()) {
        const PixelPack out = outputs.at<T>(item);
        const IndexRange hs = rows.window(out.h), ws = columns.window(out.w);
        Sum<T> sum[N] = {};
        for (Index h = hs.begin; h < hs.end; ++h)
            for (Index w = ws.begin; w < ws.end; ++w) {
                const Pack<T> pack = load_pack(x + inputs.index(out.n, h, w, out.c), out.count);
                for (int k = 0; k < N; ++k) sum[k] += to_float(pack[k]);
            }
        const Sum<T> size = static_cast<Sum<T>>(rows.divisor(out.h) * columns.divisor(out.w));
        Pack<T> mean;
        for (int k = 0; k < N; ++k) mean[k] = from_float<T>(sum[k] / size);
        store_pack(y + outputs.index(out.n, out.h, out.w, out.c), mean, out.count);
    }
}
template <class T>
void avg_pool2d_forward(Cuda, Array4<const T> x, const PoolWindows& rows, const PoolWindows& columns, Array4<T> y) {
    if (y.size() == 0) return;
    const PixelPacks inputs(x), outputs(y);
    launch(avg_pool2d_forward_kernel<T>, stride_blocks(outputs.total), stride_threads, 0, current_stream(), x.data(),
           rows, columns, inputs, outputs, y.data());
}

// Two blocks a multiprocessor leave 128 registers a thread; left to itself the compiler takes 64 and spills.
template <class T>  // (1)
__global__ void __launch_bounds__(stride_threads, 2)
    avg_pool2d_backward_kernel(const T* dy, PoolWindows rows, PoolWindows columns, PixelPacks inputs,
                               PixelPacks outputs, T* dx, Write mode) {
    constexpr int N = vector_length<T>;
    for (Index item = grid_thread(); item < inputs.total; item += grid_threads()) {
        const PixelPack in = inputs.at<T>(item);
        const IndexRange is = readers_of_two(rows, in.h), js = readers_of_two(columns, in.w);
        Sum<T> sum[2][2][N] = {};
        for (Index i = is.begin; i < is.end; ++i) {
            const Index height = rows.divisor(i);
            for (Index j = js.begin; j < js.end; ++j) {
                const Pack<T> slope = load_pack(dy + outputs.index(in.n, i, j, in.c), in.count);
                const Sum<T> share = 1 / static_cast<Sum<T>>(height * columns.divisor(j));
                for (int a = 0; a < 2; ++a)
                    for (int b = 0; b < 2; ++b)
                        if (reads(rows, i, in.h + a) && reads(columns, j, in.w + b))
                            for (int k = 0; k < N; ++k) sum[a][b][k] += to_float(slope[k]) * share;
            }
        }
        put_square(dx, inputs, in, sum, mode);
    }
}
template <class T>
void avg_pool2d_backward(Cuda, Array4<const T> dy, const PoolWindows& rows, const PoolWindows& columns, Array4<T> dx,
                         Write mode) {
    if (dx.size() == 0) return;
    const PixelPacks inputs = PixelPacks(dx).squares(), outputs(dy);
    launch(avg_pool2d_backward_kernel<T>, stride_blocks(inputs.total), stride_threads, 0, current_stream(), dy.data(),
           rows, columns, inputs, outputs, dx.data(), mode);
}

}  // namespace gradus::inline GRADUS_ABI
