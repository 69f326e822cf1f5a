// training/clip_grad_cpu.hpp   The fast twins of clip_grad.hpp: eight sums side by side, chunks on all threads.
#pragma once

#include "gradus/machine/cpu/chunks.hpp"
#include "gradus/training/clip_grad.hpp"

namespace gradus::inline GRADUS_ABI {

template <class P>
void sum_of_squares(Cpu, const std::vector<Vector<const P>>& gradients, Vector<double> partial) {
    constexpr Index lanes = 8;  // one sum alone would wait for every addition before the next
    double* to = partial.data();
    for (const Vector<const P>& g : gradients) {
        const Index chunks = norm_chunks<P>(g.size());
        parallel_for(chunks, [&](Index chunk) {
            const Index end = std::min(g.size(), (chunk + 1) * norm_chunk<P>);
            double sum[lanes] = {};
            Index i = chunk * norm_chunk<P>;
            for (; i + lanes <= end; i += lanes)
                for (Index k = 0; k < lanes; ++k)
                    sum[k] += static_cast<double>(g(i + k)) * static_cast<double>(g(i + k));
            for (; i < end; ++i) sum[0] += static_cast<double>(g(i)) * static_cast<double>(g(i));
            for (Index k = 1; k < lanes; ++k) sum[0] += sum[k];
            to[chunk] = sum[0];
        });
        to += chunks;
    }
}
template <class P>
void scale_gradients(Cpu, const std::vector<Vector<P>>& gradients, P c) {
    for (const Vector<P>& g : gradients)
        for_chunks(g.size(), [&](Index begin, Index end) {
            for (Index i = begin; i < end; ++i) g(i) *= c;
        });
}

}  // namespace gradus::inline GRADUS_ABI
