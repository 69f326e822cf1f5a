// linear/linear_cpu.hpp   The fast twin of linear.hpp.
#pragma once

#include "gradus/linear/linear.hpp"

namespace gradus::inline GRADUS_ABI {

template <class T>
void linear_forward(Cpu, Matrix<const T> x, Matrix<const Sum<T>> weight, Vector<const Sum<T>> bias, Matrix<T> y) {
    linear_forward(Reference{}, x, weight, bias, y);
}
template <class T>
void linear_backward_data(Cpu, Matrix<const T> dy, Matrix<const Sum<T>> weight, Matrix<T> dx, Write mode) {
    linear_backward_data(Reference{}, dy, weight, dx, mode);
}
template <class T>
void linear_backward_weights(Cpu, Matrix<const T> x, Matrix<const T> dy, Matrix<Sum<T>> dweight, Write mode) {
    linear_backward_weights(Reference{}, x, dy, dweight, mode);
}
template <class T>
void linear_backward_bias(Cpu, Matrix<const T> dy, Vector<Sum<T>> dbias, Write mode) {
    linear_backward_bias(Reference{}, dy, dbias, mode);
}

}  // namespace gradus::inline GRADUS_ABI
