// training/unscale_cuda.cuh   The CUDA twin of unscale.hpp: packs of 16 bytes, a grid-stride loop (grid_stride.hpp).
// Every thread that finds a value that is not finite says so with an atomic on a whole number, whose result does not
// depend on the order. Few do, and only in steps that are thrown away.
// Cost     reads and writes each gradient once.
#pragma once

#include "gradus/machine/cuda/cuda_memory.hpp"
#include "gradus/machine/cuda/grid_stride.hpp"
#include "gradus/training/unscale.hpp"

namespace gradus::inline GRADUS_ABI {

template <class P>
__global__ void __launch_bounds__(stride_threads) unscale_kernel(P* g, P factor, unsigned long long* found, Index n) {
    for (Index i = first_pack<P>(); i < n; i += pack_stride<P>()) {
        Pack<P> pack = load_pack(g + i, n - i);
        bool all_finite = true;
        for (int k = 0; k < vector_length<P>; ++k) {
            pack[k] *= factor;
            all_finite = all_finite && pack[k] - pack[k] == 0;  // infinity - infinity and NaN - NaN are NaN
        }
        store_pack(g + i, pack, n - i);
        if (!all_finite) atomicOr(found, 1ull);
    }
}
template <class P>
void unscale(Cuda, Vector<P> g, P factor, Vector<std::int64_t> found) {
    if (g.size() == 0) return;
    launch(unscale_kernel<P>, pack_blocks<P>(g.size()), stride_threads, 0, current_stream(), g.data(), factor,
           reinterpret_cast<unsigned long long*>(found.data()), g.size());
}

}  // namespace gradus::inline GRADUS_ABI
