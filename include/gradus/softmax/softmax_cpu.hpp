// softmax/softmax_cpu.hpp   The fast twin of softmax.hpp: vectors along a row, a few rows per task.
#pragma once

#include "gradus/machine/cpu/convert.hpp"
#include "gradus/softmax/row_vectors_cpu.hpp"
#include "gradus/softmax/softmax.hpp"

namespace gradus::inline GRADUS_ABI {

// put() for the lanes of a row from k on.
GRADUS_INLINE void put_row_vector(float* row, Index k, Index size, Vec value, Write mode) {
    const Index lanes = std::min<Index>(vec_floats, size - k);
    if (mode == Write::add) value += load_some(row + k, lanes);
    store_some(row + k, value, lanes);
}

inline void softmax_forward(Cpu, Matrix<const float> x, Matrix<float> y) {
    const Index M = x.shape()[0], K = x.shape()[1];
    parallel_rows(M, K, [&](Index n) {
        const float *from = x.data() + n * K, m = row_max(from, K);
        float* to = y.data() + n * K;
        Vec sum{};
        for (Index k = 0; k < K; k += vec_floats) {
            const Vec e = Math::exp(row_vector(from, k, K, -std::numeric_limits<float>::infinity()) - m);
            put_row_vector(to, k, K, e, Write::overwrite);
            sum += e;
        }
        const float s = add_lanes(sum);
        for (Index k = 0; k < K; k += vec_floats)
            put_row_vector(to, k, K, row_vector(to, k, K, 0) / s, Write::overwrite);
    });
}

inline void softmax_backward(Cpu, Matrix<const float> y, Matrix<const float> dy, Matrix<float> dx, Write mode) {
    const Index M = y.shape()[0], K = y.shape()[1];
    parallel_rows(M, K, [&](Index n) {
        const float *row = y.data() + n * K, *drow = dy.data() + n * K;
        Vec products{};
        for (Index k = 0; k < K; k += vec_floats) products += row_vector(row, k, K, 0) * row_vector(drow, k, K, 0);
        const float sum = add_lanes(products);
        for (Index k = 0; k < K; k += vec_floats)
            put_row_vector(dx.data() + n * K, k, K, load(row + k) * (load(drow + k) - sum), mode);  // (1)
    });
}

inline void log_softmax_forward(Cpu, Matrix<const float> x, Matrix<float> y) {
    const Index M = x.shape()[0], K = x.shape()[1];
    parallel_rows(M, K, [&](Index n) {
        const float *from = x.data() + n * K, m = row_max(from, K), log_s = std::log(row_exp_sum(from, K, m));
        for (Index k = 0; k < K; k += vec_floats)
            put_row_vector(y.data() + n * K, k, K, (load(from + k) - m) - log_s, Write::overwrite);
    });
}

inline void log_softmax_backward(Cpu, Matrix<const float> y, Matrix<const float> dy, Matrix<float> dx, Write mode) {
    const Index M = y.shape()[0], K = y.shape()[1];
    parallel_rows(M, K, [&](Index n) {
        const float *row = y.data() + n * K, *drow = dy.data() + n * K;
        Vec total{};
        for (Index k = 0; k < K; k += vec_floats) total += row_vector(drow, k, K, 0);
        const float sum = add_lanes(total);
        for (Index k = 0; k < K; k += vec_floats)
            put_row_vector(dx.data() + n * K, k, K, load(drow + k) - Math::exp(load(row + k)) * sum, mode);  // (2)
    });
}

// double takes the loops of the specification, 16-bit types are converted.
inline void softmax_forward(Cpu, Matrix<const double> x, Matrix<double> y) { softmax_forward(Reference{}, x, y); }
inline void softmax_backward(Cpu, Matrix<const double> y, Matrix<const double> dy, Matrix<double> dx, Write mode) {
    softmax_backward(Reference{}, y, dy, dx, mode);
}
inline void log_softmax_forward(Cpu, Matrix<const double> x, Matrix<double> y) {
    log_softmax_forward(Reference{}, x, y);
}
inline void log_softmax_backward(Cpu, Matrix<const double> y, Matrix<const double> dy, Matrix<double> dx, Write mode) {
    log_softmax_backward(Reference{}, y, dy, dx, mode);
}
template <class T>
void softmax_forward(Cpu, Matrix<const T> x, Matrix<T> y) {
    const AsFloat<T, 2> float_x(x);
    const FloatResult<T, 2> result(y, Write::overwrite);
    softmax_forward(Cpu{}, float_x.view(), result.view());
    result.finish();
}
template <class T>
void softmax_backward(Cpu, Matrix<const T> y, Matrix<const T> dy, Matrix<T> dx, Write mode) {
    const AsFloat<T, 2> float_y(y), float_dy(dy);
    const FloatResult<T, 2> result(dx, mode);
    softmax_backward(Cpu{}, float_y.view(), float_dy.view(), result.view(), mode);
    result.finish();
}
template <class T>
void log_softmax_forward(Cpu, Matrix<const T> x, Matrix<T> y) {
    const AsFloat<T, 2> float_x(x);
    const FloatResult<T, 2> result(y, Write::overwrite);
    log_softmax_forward(Cpu{}, float_x.view(), result.view());
    result.finish();
}
template <class T>
void log_softmax_backward(Cpu, Matrix<const T> y, Matrix<const T> dy, Matrix<T> dx, Write mode) {
    const AsFloat<T, 2> float_y(y), float_dy(dy);
    const FloatResult<T, 2> result(dx, mode);
    log_softmax_backward(Cpu{}, float_y.view(), float_dy.view(), result.view(), mode);
    result.finish();
}

}  // namespace gradus::inline GRADUS_ABI
