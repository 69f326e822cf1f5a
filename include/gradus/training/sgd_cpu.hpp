// training/sgd_cpu.hpp   The fast twin of sgd.hpp's kernels.
// A step is bound by memory: one pass, a cache line at a time, large parameters split between the threads. Every
// element is computed alone and where the splits lie depends on the size only, so the number of threads cannot change a
// bit.
#pragma once

#include <algorithm>
#include <cstring>

#include "gradus/machine/cpu/thread_pool.hpp"
#include "gradus/training/sgd.hpp"

namespace gradus::inline GRADUS_ABI {

// One cache line of parameters: 16 floats or 8 doubles.
template <class P>
struct SgdLine {
    typedef P Lanes __attribute__((vector_size(64)));
    static constexpr Index count = 64 / sizeof(P);
};

// The formula of sgd.hpp, for a vector of elements or for a single one.
template <class V, class P>
inline void sgd_update(V& w, const V& g, V& v, const SgdRule<P>& rule) {
    const V d = g + rule.decay * w;          // (1)
    v = rule.momentum * v + rule.fresh * d;  // (2)
    if (rule.nesterov)
        w -= rule.lr * (d + rule.momentum * v);  // (3)
    else
        w -= rule.lr * v;
}

// What one thread takes at a time, about 15 microseconds of work in float. For less, waking another is not worth it.
inline constexpr Index sgd_task_elements = Index{1} << 16;

template <class P>
void sgd_step(Cpu, Vector<P> w, Vector<const P> g, Vector<P> v, SgdRule<P> rule) {
    using Line = SgdLine<P>;
    const Index size = w.size();
    parallel_for((size + sgd_task_elements - 1) / sgd_task_elements, [&](Index task) {
        const Index end = std::min(size, (task + 1) * sgd_task_elements);
        Index i = task * sgd_task_elements;
        for (; i + Line::count <= end; i += Line::count) {
            typename Line::Lanes wi, gi, vi;
            std::memcpy(&wi, w.data() + i, sizeof wi);
            std::memcpy(&gi, g.data() + i, sizeof gi);
            std::memcpy(&vi, v.data() + i, sizeof vi);
            sgd_update(wi, gi, vi, rule);
            std::memcpy(v.data() + i, &vi, sizeof vi);
            std::memcpy(w.data() + i, &wi, sizeof wi);
        }
        for (; i < end; ++i) sgd_update(w(i), g(i), v(i), rule);
    });
}

template <class P>
void sgd_step(Cpu, Vector<P> w, Vector<const P> g, SgdRule<P> rule) {
    using Line = SgdLine<P>;
    const Index size = w.size();
    parallel_for((size + sgd_task_elements - 1) / sgd_task_elements, [&](Index task) {
        const Index end = std::min(size, (task + 1) * sgd_task_elements);
        Index i = task * sgd_task_elements;
        for (; i + Line::count <= end; i += Line::count) {
            typename Line::Lanes wi, gi;
            std::memcpy(&wi, w.data() + i, sizeof wi);
            std::memcpy(&gi, g.data() + i, sizeof gi);
            wi -= rule.lr * (gi + rule.decay * wi);
            std::memcpy(w.data() + i, &wi, sizeof wi);
        }
        for (; i < end; ++i) w(i) -= rule.lr * (g(i) + rule.decay * w(i));
    });
}

}  // namespace gradus::inline GRADUS_ABI
