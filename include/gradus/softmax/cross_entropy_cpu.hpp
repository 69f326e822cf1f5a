// softmax/cross_entropy_cpu.hpp   The fast twin of cross_entropy.hpp.
#pragma once

#include "gradus/softmax/cross_entropy.hpp"

namespace gradus::inline GRADUS_ABI {

template <class T>
void cross_entropy_forward(Cpu, Matrix<const T> z, const CrossEntropyTargets<Sum<T>>& t, Vector<Sum<T>> m,
                           Vector<Sum<T>> s, Vector<Sum<T>> loss) {
    cross_entropy_forward(Reference{}, z, t, m, s, loss);
}
template <class S>
void cross_entropy_total(Cpu, Vector<const S> loss, const CrossEntropyTargets<S>& t, Reduction reduction,
                         Vector<S> scale, Vector<S> total) {
    cross_entropy_total(Reference{}, loss, t, reduction, scale, total);
}
template <class T>
void cross_entropy_backward(Cpu, Matrix<const T> z, const CrossEntropyTargets<Sum<T>>& t, Vector<const Sum<T>> m,
                            Vector<const Sum<T>> s, Vector<const Sum<T>> scale, Vector<const Sum<T>> dloss,
                            Matrix<T> dz, Write mode) {
    cross_entropy_backward(Reference{}, z, t, m, s, scale, dloss, dz, mode);
}

}  // namespace gradus::inline GRADUS_ABI
