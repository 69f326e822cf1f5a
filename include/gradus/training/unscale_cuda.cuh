// training/unscale_cuda.cuh   The CUDA twin of unscale.hpp: all gradients in one launch (array_table.hpp).
// Every thread that finds a value that is not finite says so with an atomic on a whole number, whose result does not
// depend on the order. Few do, and only in steps that are thrown away.
// Cost     reads and writes each gradient once. A launch for every 168 of them.
// Roofline 8 bytes and one FLOP an element, 0.12 FLOP a byte: bound by the memory.
#pragma once

#include "gradus/machine/cuda/array_table.hpp"
#include "gradus/machine/cuda/cuda_memory.hpp"
#include "gradus/training/unscale.hpp"

namespace gradus::inline GRADUS_ABI {

template <class P>
using GradientTable = ArrayTable<P, P*>;

template <class P>
__global__ void __launch_bounds__(stride_threads)
    unscale_kernel(const __grid_constant__ GradientTable<P> table, P factor, unsigned long long* found) {
    bool all_finite = true;
    table.for_each_pack([&](int a, Index i, Index left) {
        P* const g = table.entry[a] + i;
        Pack<P> pack = load_pack(g, left);
        for (int k = 0; k < vector_length<P>; ++k) {
            pack[k] *= factor;
            all_finite = all_finite && pack[k] - pack[k] == 0;  // infinity - infinity and NaN - NaN are NaN
        }
        store_pack(g, pack, left);
    });
    if (!all_finite) atomicOr(found, 1ull);
}
template <class P>
void unscale(Cuda, const std::vector<Vector<P>>& gradients, P factor, Vector<std::int64_t> found) {
    const auto flag = reinterpret_cast<unsigned long long*>(found.data());
    GradientTable<P> table;
    for (const Vector<P>& g : gradients) {
        table.add(g.data(), g.size());
        if (table.count == table.capacity) launch_table(unscale_kernel<P>, table, factor, flag);
    }
    launch_table(unscale_kernel<P>, table, factor, flag);
}

}  // namespace gradus::inline GRADUS_ABI
