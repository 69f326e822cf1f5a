// training/clip_grad_cuda.cuh   The CUDA twins of clip_grad.hpp: packs of 16 bytes; a block for each chunk.
// Sums     A thread takes every 256th pack of its chunk; then the 256 sums are added as a tree in shared memory. No
//          atomics, so every run gives the same bits.
// Cost     reads each gradient once, and reads and writes it once to scale it. A launch for each parameter.
#pragma once

#include "gradus/machine/cuda/cuda_memory.hpp"
#include "gradus/machine/cuda/grid_stride.hpp"
#include "gradus/training/clip_grad.hpp"

namespace gradus::inline GRADUS_ABI {

template <class P>
__global__ void __launch_bounds__(stride_threads) sum_of_squares_kernel(const P* g, double* partial, Index n) {
    GRADUS_SHARED(double, sums, [stride_threads]);
    const Index begin = blockIdx.x * norm_chunk, end = begin + norm_chunk < n ? begin + norm_chunk : n;
    const unsigned t = threadIdx.x;
    double sum = 0;
    for (Index i = begin + t * vector_length<P>; i < end; i += stride_threads * vector_length<P>) {
        const Pack<P> pack = load_pack(g + i, end - i);  // elements that are not there are 0
        for (int k = 0; k < vector_length<P>; ++k) sum += static_cast<double>(pack[k]) * static_cast<double>(pack[k]);
    }
    sums[t] = sum;
    __syncthreads();
    for (unsigned half = stride_threads / 2; half > 0; half /= 2) {
        if (t < half) sums[t] += sums[t + half];
        __syncthreads();
    }
    if (t == 0) partial[blockIdx.x] = sums[0];
}
template <class P>
void sum_of_squares(Cuda, Vector<const P> g, Vector<double> partial) {
    if (g.size() == 0) return;
    launch(sum_of_squares_kernel<P>, static_cast<unsigned>(partial.size()), stride_threads, 0, current_stream(),
           g.data(), partial.data(), g.size());
}

template <class P>
__global__ void __launch_bounds__(stride_threads) scale_gradient_kernel(P* g, P c, Index n) {
    for (Index i = first_pack<P>(); i < n; i += pack_stride<P>()) {
        Pack<P> pack = load_pack(g + i, n - i);
        for (int k = 0; k < vector_length<P>; ++k) pack[k] *= c;
        store_pack(g + i, pack, n - i);
    }
}
template <class P>
void scale_gradient(Cuda, Vector<P> g, P c) {
    if (g.size() == 0) return;
    launch(scale_gradient_kernel<P>, pack_blocks<P>(g.size()), stride_threads, 0, current_stream(), g.data(), c,
           g.size());
}

}  // namespace gradus::inline GRADUS_ABI
