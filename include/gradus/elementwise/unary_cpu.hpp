// elementwise/unary_cpu.hpp   The fast twins of unary.hpp: a register of floats at a time, chunks on all threads.
#pragma once

#include "gradus/elementwise/unary.hpp"
#include "gradus/machine/cpu/chunks.hpp"

namespace gradus::inline GRADUS_ABI {

template <class Function, class T>
void unary_forward(Cpu, const Function& function, Vector<const T> x, Vector<T> y) {
    for_chunks(x.size(), [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) y(i) = T(function.value(Sum<T>(x(i))));
    });
}
template <class Function>
void unary_forward(Cpu, const Function& function, Vector<const float> x, Vector<float> y) {
    for_chunks(x.size(), [&](Index begin, Index end) {
        for (Index i = begin; i < end; i += vec_floats)
            store_some(y.data() + i, function.value(load(x.data() + i)), std::min<Index>(vec_floats, end - i));
    });
}

template <class Function, class T>
void unary_backward(Cpu, const Function& function, Vector<const T> kept, Vector<const T> dy, Vector<T> dx, Write mode) {
    for_chunks(dx.size(), [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) put(dx(i), Sum<T>(dy(i)) * function.derivative(Sum<T>(kept(i))), mode);
    });
}
template <class Function>
void unary_backward(Cpu, const Function& function, Vector<const float> kept, Vector<const float> dy, Vector<float> dx,
                    Write mode) {
    for_chunks(dx.size(), [&](Index begin, Index end) {
        for (Index i = begin; i < end; i += vec_floats) {
            const Index count = std::min<Index>(vec_floats, end - i);
            Vec gradient = load(dy.data() + i) * function.derivative(load(kept.data() + i));
            if (mode == Write::add) gradient += load_some(dx.data() + i, count);
            store_some(dx.data() + i, gradient, count);
        }
    });
}

}  // namespace gradus::inline GRADUS_ABI
