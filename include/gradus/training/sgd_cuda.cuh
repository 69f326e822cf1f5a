// training/sgd_cuda.cuh   The CUDA twins of sgd.hpp's kernels: packs of 16 bytes, a grid-stride loop (grid_stride.hpp).
// Cost     reads w, g and v and writes w and v, 20 bytes a float for some 6 operations: bound by the memory.
#pragma once

#include "gradus/machine/cuda/cuda_memory.hpp"
#include "gradus/machine/cuda/grid_stride.hpp"
#include "gradus/training/sgd.hpp"

namespace gradus::inline GRADUS_ABI {

template <class P>
__global__ void __launch_bounds__(stride_threads)
    sgd_momentum_kernel(P* w, const P* g, P* v, SgdRule<P> rule, Index n) {
    for (Index i = first_pack<P>(); i < n; i += pack_stride<P>()) {
        Pack<P> weight = load_pack(w + i, n - i), velocity = load_pack(v + i, n - i);
        const Pack<P> gradient = load_pack(g + i, n - i);
        for (int k = 0; k < vector_length<P>; ++k) {
            const P d = gradient[k] + rule.decay * weight[k];                                        // (1)
            velocity[k] = rule.momentum * velocity[k] + rule.fresh * d;                              // (2)
            weight[k] -= rule.lr * (rule.nesterov ? d + rule.momentum * velocity[k] : velocity[k]);  // (3)
        }
        store_pack(v + i, velocity, n - i);
        store_pack(w + i, weight, n - i);
    }
}
template <class P>
void sgd_step(Cuda, Vector<P> w, Vector<const P> g, Vector<P> v, SgdRule<P> rule) {
    if (w.size() == 0) return;
    launch(sgd_momentum_kernel<P>, pack_blocks<P>(w.size()), stride_threads, 0, current_stream(), w.data(), g.data(),
           v.data(), rule, w.size());
}

template <class P>
__global__ void __launch_bounds__(stride_threads) sgd_kernel(P* w, const P* g, SgdRule<P> rule, Index n) {
    for (Index i = first_pack<P>(); i < n; i += pack_stride<P>()) {
        Pack<P> weight = load_pack(w + i, n - i);
        const Pack<P> gradient = load_pack(g + i, n - i);
        for (int k = 0; k < vector_length<P>; ++k) weight[k] -= rule.lr * (gradient[k] + rule.decay * weight[k]);
        store_pack(w + i, weight, n - i);
    }
}
template <class P>
void sgd_step(Cuda, Vector<P> w, Vector<const P> g, SgdRule<P> rule) {
    if (w.size() == 0) return;
    launch(sgd_kernel<P>, pack_blocks<P>(w.size()), stride_threads, 0, current_stream(), w.data(), g.data(), rule,
           w.size());
}

}  // namespace gradus::inline GRADUS_ABI
