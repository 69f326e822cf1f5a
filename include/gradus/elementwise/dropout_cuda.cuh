// elementwise/dropout_cuda.cuh   The CUDA twin of dropout.hpp: packs of 16 bytes, a grid-stride loop (grid_stride.hpp).
// Each thread runs Philox for the elements of its packs alone. It is the mask of every other device, bit for bit.
// Cost     ten rounds of Philox, about 100 integer instructions, for four elements (in double for two): more than the
//          memory's time on some cards.
// Roofline 8 bytes and one FLOP an element, 0.12 FLOP a byte: bound by the memory, but for those integers.
#pragma once

#include "gradus/elementwise/dropout.hpp"
#include "gradus/machine/cuda/cuda_memory.hpp"
#include "gradus/machine/cuda/grid_stride.hpp"

namespace gradus::inline GRADUS_ABI {

template <class T>
__global__ void __launch_bounds__(stride_threads)
    dropout_kernel(DropoutMask mask, const T* x, T* y, Index n, Write mode) {
    const Sum<T> growth = static_cast<Sum<T>>(mask.growth);
    for (Index i = first_pack<T>(); i < n; i += pack_stride<T>()) {
        const Pack<T> in = load_pack(x + i, n - i);
        PhiloxBlock words{};
        Sum<T> out[vector_length<T>];
        for (int k = 0; k < vector_length<T>; ++k) {
            if (k % 4 == 0) words = mask.words((i + k) / 4);
            const bool stays = words[static_cast<std::size_t>((i + k) % 4)] >= mask.below;
            out[k] = stays ? to_float(in[k]) * growth : Sum<T>(0);
        }
        put_pack(y + i, out, n - i, mode);
    }
}
template <class T>
void dropout_apply(Cuda, const DropoutMask& mask, Vector<const T> x, Vector<T> y, Write mode) {
    if (x.size() == 0) return;
    launch(dropout_kernel<T>, pack_blocks<T>(x.size()), stride_threads, 0, current_stream(), mask, x.data(), y.data(),
           x.size(), mode);
}

}  // namespace gradus::inline GRADUS_ABI
