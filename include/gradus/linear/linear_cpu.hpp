// linear/linear_cpu.hpp   The fast twin of linear.hpp: three matrix products, see machine/cpu/gemm.hpp.
// A 16-bit result is summed in float, with its bias, and rounded once.
#pragma once

#include <algorithm>

#include "gradus/linear/linear.hpp"
#include "gradus/machine/cpu/gemm.hpp"

namespace gradus::inline GRADUS_ABI {

// The product is added to rows that hold the bias already.
template <class S>
void linear_in_sums(Matrix<const S> x, Matrix<const S> weight, Vector<const S> bias, Matrix<S> y) {
    for (Index n = 0; n < y.shape()[0] && bias.size() > 0; ++n)
        std::copy_n(bias.data(), bias.size(), y.data() + n * bias.size());
    gemm(Cpu{}, x, Transpose::no, weight, Transpose::yes, y, bias.size() > 0 ? Write::add : Write::overwrite);
}

inline void linear_forward(Cpu, Matrix<const double> x, Matrix<const double> weight, Vector<const double> bias,
                           Matrix<double> y) {
    linear_in_sums(x, weight, bias, y);
}
template <class T>  // float, Half, BFloat16
void linear_forward(Cpu, Matrix<const T> x, Matrix<const float> weight, Vector<const float> bias, Matrix<T> y) {
    const AsFloat<T, 2> float_x(x);
    const FloatResult<T, 2> result(y, Write::overwrite);
    linear_in_sums(float_x.view(), weight, bias, result.view());
    result.finish();
}

template <class T>  // (1)
void linear_backward_data(Cpu, Matrix<const T> dy, Matrix<const Sum<T>> weight, Matrix<T> dx, Write mode) {
    gemm(Cpu{}, dy, Transpose::no, weight, Transpose::no, dx, mode);
}

template <class T>  // (2)
void linear_backward_weights(Cpu, Matrix<const T> x, Matrix<const T> dy, Matrix<Sum<T>> dweight, Write mode) {
    gemm(Cpu{}, dy, Transpose::yes, x, Transpose::no, dweight, mode);
}

inline void linear_backward_bias(Cpu, Matrix<const float> dy, Vector<float> dbias, Write mode) {  // (3)
    const Index N = dy.shape()[0], O = dy.shape()[1];
    parallel_for(ceil_div(O, 16 * vec_floats), [&](Index task) {
        const Index end = std::min(O, (task + 1) * 16 * vec_floats);
        for (Index o = task * 16 * vec_floats; o < end; o += vec_floats) {
            Vec sum{};
            for (Index n = 0; n < N; ++n) sum += load(dy.data() + n * O + o);  // lanes past O are not stored
            const Index lanes = std::min<Index>(vec_floats, O - o);
            if (mode == Write::add) sum += load_some(dbias.data() + o, lanes);
            store_some(dbias.data() + o, sum, lanes);
        }
    });
}
template <class T>  // the other element types take the loops of the specification
void linear_backward_bias(Cpu, Matrix<const T> dy, Vector<Sum<T>> dbias, Write mode) {
    linear_backward_bias(Reference{}, dy, dbias, mode);
}

}  // namespace gradus::inline GRADUS_ABI
