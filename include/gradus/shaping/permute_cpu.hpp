// shaping/permute_cpu.hpp   The twin of permute.hpp on all threads.
// y is written in order, one run of its last dimension after the other. Where the last dimension stays last a run is a
// copy of neighbours; otherwise its elements are `stride` apart in x.
#pragma once

#include "gradus/shaping/permute.hpp"

namespace gradus::inline GRADUS_ABI {

template <class T>
void permute_copy(Cpu, const Permutation& permutation, Vector<const T> x, Vector<T> y, Write mode) {
    if (y.size() == 0) return;
    const int last = permutation.y.rank() - 1;
    const Index run = last < 0 ? 1 : permutation.y[last];
    const Index stride = last < 0 ? 1 : permutation.strides[static_cast<std::size_t>(last)];
    for_runs(y.size() / run, run, [&](Index r) {
        const T* const from = x.data() + permutation.source(r * run);
        T* const to = y.data() + r * run;
        if (stride == 1)
            copy_run(from, to, run, mode);
        else
            for (Index i = 0; i < run; ++i) put(to[i], Sum<T>(from[i * stride]), mode);
    });
}

}  // namespace gradus::inline GRADUS_ABI
