// softmax/cross_entropy_cpu.hpp   The fast twin of cross_entropy.hpp: vectors of classes, a few rows per task.
// The targets t of a row are written out first, so that one loop serves labels, smoothing, soft targets and weights.
#pragma once

#include "gradus/machine/cpu/convert.hpp"
#include "gradus/softmax/cross_entropy.hpp"
#include "gradus/softmax/row_vectors_cpu.hpp"

namespace gradus::inline GRADUS_ABI {

// t(n, k) for all k, and zeros up to a whole vector.
inline void write_targets(const CrossEntropyTargets<float>& t, Index n, Index K, float* row) {
    if (t.labels.size() == 0) {
        std::copy_n(t.soft.data() + n * K, K, row);
    } else {
        std::fill_n(row, K, t.off);
        if (t.counts(n)) row[t.labels(n)] = t.on;
    }
    for (Index k = 0; k < t.weights.size(); ++k) row[k] *= t.weights(k);
    std::fill(row + K, row + round_up(K, vec_floats), 0.0f);
}

inline void cross_entropy_forward(Cpu, Matrix<const float> z, const CrossEntropyTargets<float>& t, Vector<float> m,
                                  Vector<float> s, Vector<float> loss) {
    const Index N = z.shape()[0], K = z.shape()[1];
    parallel_rows(N, K, [&](Index n) {
        const float* row = z.data() + n * K;
        m(n) = row_max(row, K);
        s(n) = row_exp_sum(row, K, m(n));
        loss(n) = 0;
        if (!t.counts(n)) return;
        const HostBuffer<float> target(round_up(K, vec_floats));
        write_targets(t, n, K, target.data());
        const float log_s = std::log(s(n));
        Vec sum{};
        for (Index k = 0; k < K; k += vec_floats) {
            const Vec tk = load(target.data() + k);
            const Vec term = tk * ((m(n) - row_vector(row, k, K, 0)) + log_s);
            sum += tk != 0.0f ? term : Vec{};
        }
        loss(n) = add_lanes(sum);
    });
}

inline void cross_entropy_backward(Cpu, Matrix<const float> z, const CrossEntropyTargets<float>& t,
                                   Vector<const float> m, Vector<const float> s, Vector<const float> scale,
                                   Vector<const float> dloss, Matrix<float> dz, Write mode) {
    const Index N = z.shape()[0], K = z.shape()[1];
    parallel_rows(N, K, [&](Index n) {
        const float* row = z.data() + n * K;
        float* to = dz.data() + n * K;
        const HostBuffer<float> target(round_up(K, vec_floats));
        write_targets(t, n, K, target.data());
        Vec mass{};
        for (Index k = 0; k < K; k += vec_floats) mass += load(target.data() + k);
        // A row that does not count is computed too: its zeros become NaN where its logits have no softmax.
        const float d = t.counts(n) ? scale(0) * dloss(dloss.size() == 1 ? 0 : n) : 0.0f;
        const float share = add_lanes(mass) / s(n);
        for (Index k = 0; k < K; k += vec_floats) {
            const Index lanes = std::min<Index>(vec_floats, K - k);
            Vec value = d * (Math::exp(row_vector(row, k, K, 0) - m(n)) * share - load(target.data() + k));  // (1)
            if (mode == Write::add) value += load_some(to + k, lanes);
            store_some(to + k, value, lanes);
        }
    });
}

// A batch has too few rows for a fast twin of their sum.
template <class S>
void cross_entropy_total(Cpu, Vector<const S> loss, const CrossEntropyTargets<S>& t, Reduction reduction,
                         Vector<S> scale, Vector<S> total) {
    cross_entropy_total(Reference{}, loss, t, reduction, scale, total);
}

// double takes the loops of the specification, 16-bit types are converted.
inline void cross_entropy_forward(Cpu, Matrix<const double> z, const CrossEntropyTargets<double>& t, Vector<double> m,
                                  Vector<double> s, Vector<double> loss) {
    cross_entropy_forward(Reference{}, z, t, m, s, loss);
}
inline void cross_entropy_backward(Cpu, Matrix<const double> z, const CrossEntropyTargets<double>& t,
                                   Vector<const double> m, Vector<const double> s, Vector<const double> scale,
                                   Vector<const double> dloss, Matrix<double> dz, Write mode) {
    cross_entropy_backward(Reference{}, z, t, m, s, scale, dloss, dz, mode);
}
template <class T>
void cross_entropy_forward(Cpu, Matrix<const T> z, const CrossEntropyTargets<float>& t, Vector<float> m,
                           Vector<float> s, Vector<float> loss) {
    const AsFloat<T, 2> float_z(z);
    cross_entropy_forward(Cpu{}, float_z.view(), t, m, s, loss);
}
template <class T>
void cross_entropy_backward(Cpu, Matrix<const T> z, const CrossEntropyTargets<float>& t, Vector<const float> m,
                            Vector<const float> s, Vector<const float> scale, Vector<const float> dloss, Matrix<T> dz,
                            Write mode) {
    const AsFloat<T, 2> float_z(z);
    const FloatResult<T, 2> result(dz, mode);
    cross_entropy_backward(Cpu{}, float_z.view(), t, m, s, scale, dloss, result.view(), mode);
    result.finish();
}

}  // namespace gradus::inline GRADUS_ABI
