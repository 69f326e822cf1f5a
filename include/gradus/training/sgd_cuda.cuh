// training/sgd_cuda.cuh   The CUDA twin of sgd.hpp: all parameters in one launch (array_table.hpp), packs of 16 bytes.
// Cost     reads w, g and v and writes w and v. A launch for every 50 to 60 parameters.
// Roofline 20 bytes and 7 FLOP an element, 0.35 FLOP a byte; without momentum 12 and 4, 0.33: bound by the memory.
#pragma once

#include "gradus/machine/cuda/array_table.hpp"
#include "gradus/machine/cuda/cuda_memory.hpp"
#include "gradus/training/sgd.hpp"

namespace gradus::inline GRADUS_ABI {

// SgdParameter, as a table holds it.
template <class P>
struct SgdEntry {
    P* w;
    const P* g;
    P* v;  // null without momentum
    SgdRule<P> rule;
};
template <class P>
using SgdTable = ArrayTable<P, SgdEntry<P>>;

template <class P>
__global__ void __launch_bounds__(stride_threads) sgd_kernel(const __grid_constant__ SgdTable<P> table, const P* rate) {
    table.for_each_pack([&](int p, Index i, Index left) {
        const auto [w, g, v, rule] = table.entry[p];
        const P lr = rate == nullptr ? rule.lr : rule.lr * *rate;
        Pack<P> weight = load_pack(w + i, left);
        const Pack<P> gradient = load_pack(g + i, left);
        if (v == nullptr) {
            for (int k = 0; k < vector_length<P>; ++k) weight[k] -= lr * (gradient[k] + rule.decay * weight[k]);
        } else {
            Pack<P> velocity = load_pack(v + i, left);
            for (int k = 0; k < vector_length<P>; ++k) {
                const P d = gradient[k] + rule.decay * weight[k];                                   // (1)
                velocity[k] = rule.momentum * velocity[k] + rule.fresh * d;                         // (2)
                weight[k] -= lr * (rule.nesterov ? d + rule.momentum * velocity[k] : velocity[k]);  // (3)
            }
            store_pack(v + i, velocity, left);
        }
        store_pack(w + i, weight, left);
    });
}
template <class P>
void sgd_steps(Cuda, const std::vector<SgdParameter<P>>& parameters, Vector<const P> rate) {
    SgdTable<P> table;
    for (const SgdParameter<P>& p : parameters) {
        table.add({p.w.data(), p.g.data(), p.v.data(), p.rule}, p.w.size());
        if (table.count == table.capacity) launch_table(sgd_kernel<P>, table, rate.data());
    }
    launch_table(sgd_kernel<P>, table, rate.data());
}

}  // namespace gradus::inline GRADUS_ABI
