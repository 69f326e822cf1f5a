// elementwise/unary_cuda.cuh   The CUDA twins of unary.hpp: packs of 16 bytes, a grid-stride loop (grid_stride.hpp).
// Cost     forward reads and writes each element once, backward reads two and writes one (reads three to add).
// Roofline 8 bytes an element forward, 12 backward, and for ReLU one FLOP: 0.12 and 0.08 FLOP a byte, bound by the
//          memory. So are functions of a dozen operations.
#pragma once

#include "gradus/elementwise/unary.hpp"
#include "gradus/machine/cuda/cuda_memory.hpp"
#include "gradus/machine/cuda/grid_stride.hpp"
#include "gradus/machine/cuda/half_device.hpp"

namespace gradus::inline GRADUS_ABI {

template <class Function, class T>
__global__ void __launch_bounds__(stride_threads) unary_forward_kernel(Function g, const T* x, T* y, Index n) {
    for (Index i = first_pack<T>(); i < n; i += pack_stride<T>()) {
        const Pack<T> in = load_pack(x + i, n - i);
        Pack<T> out;
        for (int k = 0; k < vector_length<T>; ++k) out[k] = from_float<T>(g.value(to_float(in[k])));
        store_pack(y + i, out, n - i);
    }
}
template <class Function, class T>
void unary_forward(Cuda, const Function& function, Vector<const T> x, Vector<T> y) {
    if (x.size() == 0) return;
    launch(unary_forward_kernel<Function, T>, pack_blocks<T>(x.size()), stride_threads, 0, current_stream(), function,
           x.data(), y.data(), x.size());
}

template <class Function, class T>
__global__ void __launch_bounds__(stride_threads)
    unary_backward_kernel(Function g, const T* kept, const T* dy, T* dx, Index n, Write mode) {
    for (Index i = first_pack<T>(); i < n; i += pack_stride<T>()) {
        const Pack<T> source = load_pack(kept + i, n - i), slope = load_pack(dy + i, n - i);
        Sum<T> gradient[vector_length<T>];
        for (int k = 0; k < vector_length<T>; ++k) gradient[k] = to_float(slope[k]) * g.derivative(to_float(source[k]));
        put_pack(dx + i, gradient, n - i, mode);
    }
}
template <class Function, class T>
void unary_backward(Cuda, const Function& function, Vector<const T> kept, Vector<const T> dy, Vector<T> dx,
                    Write mode) {
    if (dx.size() == 0) return;
    launch(unary_backward_kernel<Function, T>, pack_blocks<T>(dx.size()), stride_threads, 0, current_stream(), function,
           kept.data(), dy.data(), dx.data(), dx.size(), mode);
}

}  // namespace gradus::inline GRADUS_ABI
