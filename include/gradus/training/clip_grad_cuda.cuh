// training/clip_grad_cuda.cuh   The CUDA twins of clip_grad.hpp: all gradients in one launch (array_table.hpp).
// Sums     A block takes a chunk of 64 KB, each of its threads 16 packs; then the 256 sums are added as a tree in
//          shared memory. No atomics, and no sum depends on how many blocks there are: every run and card gives the
//          same bits.
// Cost     reads each gradient once, and reads and writes it once to scale it. A launch for every 168 of them.
// Roofline 4 bytes and 2 FLOP an element, 0.5 FLOP a byte; to scale 8 and 1, 0.12. Both are bound by the memory.
#pragma once

#include "gradus/machine/cuda/array_table.hpp"
#include "gradus/machine/cuda/cuda_memory.hpp"
#include "gradus/training/clip_grad.hpp"

namespace gradus::inline GRADUS_ABI {

inline constexpr int norm_packs = 16;  // of a thread

template <class P>
using NormTable = ArrayTable<P, const P*, norm_packs>;

template <class P>
__global__ void __launch_bounds__(stride_threads)
    sum_of_squares_kernel(const __grid_constant__ NormTable<P> table, double* partial) {
    static_assert(NormTable<P>::chunk_elements == norm_chunk<P>);
    GRADUS_SHARED(double, sums, [stride_threads]);
    const unsigned t = threadIdx.x;
    int a = 0;
    for (Index chunk = blockIdx.x; chunk < table.chunks(); chunk += gridDim.x) {
        while (chunk >= table.end[a]) ++a;
        Index i = table.first_pack(a, chunk);
        const Index n = table.elements[a];
        double sum = 0;
        for (int p = 0; p < norm_packs && i < n; ++p, i += stride_threads * vector_length<P>) {
            const Pack<P> pack = load_pack(table.entry[a] + i, n - i);  // elements that are not there are 0
            for (int k = 0; k < vector_length<P>; ++k)
                sum += static_cast<double>(pack[k]) * static_cast<double>(pack[k]);
        }
        sums[t] = sum;
        __syncthreads();
        for (unsigned half = stride_threads / 2; half > 0; half /= 2) {
            if (t < half) sums[t] += sums[t + half];
            __syncthreads();
        }
        if (t == 0) partial[chunk] = sums[0];  // which no other thread touches
    }
}
template <class P>
void sum_of_squares(Cuda, const std::vector<Vector<const P>>& gradients, Vector<double> partial) {
    double* to = partial.data();
    NormTable<P> table;
    for (std::size_t g = 0; g < gradients.size(); ++g) {
        table.add(gradients[g].data(), gradients[g].size());
        if (table.count < table.capacity && g + 1 < gradients.size()) continue;
        const Index chunks = table.chunks();
        launch_table(sum_of_squares_kernel<P>, table, to);
        to += chunks;
    }
}

template <class P>
__global__ void __launch_bounds__(stride_threads)
    scale_gradients_kernel(const __grid_constant__ ArrayTable<P, P*> table, P c) {
    table.for_each_pack([&](int a, Index i, Index left) {
        P* const g = table.entry[a] + i;
        Pack<P> pack = load_pack(g, left);
        for (int k = 0; k < vector_length<P>; ++k) pack[k] *= c;
        store_pack(g, pack, left);
    });
}
template <class P>
void scale_gradients(Cuda, const std::vector<Vector<P>>& gradients, P c) {
    ArrayTable<P, P*> table;
    for (const Vector<P>& g : gradients) {
        table.add(g.data(), g.size());
        if (table.count == table.capacity) launch_table(scale_gradients_kernel<P>, table, c);
    }
    launch_table(scale_gradients_kernel<P>, table, c);
}

}  // namespace gradus::inline GRADUS_ABI
