// training/clip_grad_cpu.hpp   The fast twins of clip_grad.hpp: eight sums side by side, chunks on all threads.
#pragma once

#include "gradus/machine/cpu/chunks.hpp"
#include "gradus/training/clip_grad.hpp"

namespace gradus::inline GRADUS_ABI {

template <class P>
void sum_of_squares(Cpu, Vector<const P> g, Vector<double> partial) {
    constexpr Index lanes = 8;  // one sum alone would wait for every addition before the next
    parallel_for(partial.size(), [&](Index chunk) {
        const Index end = std::min(g.size(), (chunk + 1) * norm_chunk);
        double sum[lanes] = {};
        Index i = chunk * norm_chunk;
        for (; i + lanes <= end; i += lanes)
            for (Index k = 0; k < lanes; ++k) sum[k] += static_cast<double>(g(i + k)) * static_cast<double>(g(i + k));
        for (; i < end; ++i) sum[0] += static_cast<double>(g(i)) * static_cast<double>(g(i));
        for (Index k = 1; k < lanes; ++k) sum[0] += sum[k];
        partial(chunk) = sum[0];
    });
}
template <class P>
void scale_gradient(Cpu, Vector<P> g, P c) {
    for_chunks(g.size(), [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) g(i) *= c;
    });
}

}  // namespace gradus::inline GRADUS_ABI
