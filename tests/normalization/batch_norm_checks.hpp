// What batch_norm_test.cpp and batch_norm_cuda_test.cpp check on their devices.
#pragma once

#include <doctest/doctest.h>

#include "gradus/core/random.hpp"
#include "gradus/normalization/batch_norm.hpp"
#include "worst_difference.hpp"

constexpr double float_eps = 0x1p-24;  // half a unit in the last place of 1

template <class T, class D>
gradus::Tensor<T, D> random_tensor(const gradus::Shape& shape, double low, double high, gradus::Generator& generator) {
    return gradus::Tensor<double>::uniform(shape, low, high, generator).as<T>().template to<D>();
}

// One batch for a device in float, and the same for Reference in double, with the statistics that the device found. So
// both have the same mask.
template <class D>
struct BatchNormPair {
    template <class T, class E>
    struct Side {
        gradus::Tensor<T, E> x, shortcut, dy, gamma, beta, mean, rstd, y, dgamma, dbeta;

        gradus::BatchNormChannels<T> channels() const {
            return {gamma.template read<1>(), beta.template read<1>(), mean.template read<1>(),
                    rstd.template read<1>()};
        }
        gradus::Matrix<const T> added(bool with_shortcut) const {
            return with_shortcut ? shortcut.template read<2>() : gradus::Matrix<const T>(nullptr, {0, 0});
        }
        void forward(bool with_shortcut, bool relu) {
            batch_norm_forward(E{}, x.template read<2>(), added(with_shortcut), channels(), relu,
                               y.template write<2>());
        }
        // Without a shortcut the fast kernels find the mask from x, and it must be the sign of their own y.
        gradus::BatchNormSaved<T> saved(bool with_mask, bool relu) const {
            return {x.template read<2>(), with_mask ? y.template read<2>() : gradus::Matrix<const T>(nullptr, {0, 0}),
                    channels(), relu};
        }
        void sums(const gradus::BatchNormSaved<T>& from) {
            batch_norm_backward_sums(E{}, from, dy.template read<2>(), dgamma.template write<1>(),
                                     dbeta.template write<1>());
        }
        void backward(const gradus::BatchNormSaved<T>& from, gradus::Matrix<T> dx, gradus::Write dx_mode,
                      gradus::Matrix<T> dshortcut, gradus::Write dshortcut_mode) const {
            batch_norm_backward(E{}, from, dy.template read<2>(), dgamma.template read<1>(), dbeta.template read<1>(),
                                1 / static_cast<T>(x.shape()[0]), dx, dx_mode, dshortcut, dshortcut_mode);
        }
    };
    Side<float, D> fast;
    Side<double, gradus::Reference> exact;

    BatchNormPair(gradus::Index M, gradus::Index C, gradus::Generator& generator) {
        const auto draw = [&](const gradus::Shape& shape, double low, double high) {
            return random_tensor<float, D>(shape, low, high, generator);
        };
        const gradus::Shape rows{M, C}, row{C};
        fast = {draw(rows, -1, 3),
                draw(rows, -1, 1),
                draw(rows, -1, 1),
                draw(row, .5, 2),
                draw(row, -1, 1),
                gradus::Tensor<float, D>(row),
                gradus::Tensor<float, D>(row),
                gradus::Tensor<float, D>(rows),
                gradus::Tensor<float, D>(row),
                gradus::Tensor<float, D>(row)};
        gradus::Tensor<float, D> var(row);
        batch_norm_statistics(D{}, fast.x.template read<2>(), fast.mean.template write<1>(), var.template write<1>());
        batch_norm_rstd(D{}, var.template read<1>(), 1e-5, fast.rstd.template write<1>());
        exact = {in_double(fast.x),     in_double(fast.shortcut), in_double(fast.dy),   in_double(fast.gamma),
                 in_double(fast.beta),  in_double(fast.mean),     in_double(fast.rstd), in_double(fast.y),
                 in_double(fast.dbeta), in_double(fast.dbeta)};
    }
};

// The steps one by one; every step begins with what the device's step before it gave.
template <class D>
void check_steps(BatchNormPair<D>& pair, bool with_shortcut, bool relu) {
    using gradus::Write;
    auto& [fast, exact] = pair;
    const double rstd = largest(exact.rstd), M = static_cast<double>(fast.x.shape()[0]);
    fast.forward(with_shortcut, relu);
    exact.forward(with_shortcut, relu);
    // At most 6 roundings, of numbers no larger than |gamma xhat| + |beta| + |shortcut|.
    CHECK(worst_difference(fast.y, exact.y) <= 6 * float_eps * (2 * 4 * rstd + 2));
    exact.y = in_double(fast.y);

    const gradus::BatchNormSaved<float> saved = fast.saved(with_shortcut, relu);
    const gradus::BatchNormSaved<double> exact_saved = exact.saved(true, relu);
    fast.sums(saved);
    exact.sums(exact_saved);
    // sum |a||b| is at most M * 1 * 4 rstd; a float sum runs over at most 128 rows.
    const double sum = M * float_eps * 8;
    CHECK(worst_difference(fast.dbeta, exact.dbeta) <= sum);
    CHECK(worst_difference(fast.dgamma, exact.dgamma) <= sum * 4 * rstd);
    exact.dgamma = in_double(fast.dgamma);
    exact.dbeta = in_double(fast.dbeta);

    // (7) has three terms, each below gamma*rstd * (1 + xhat^2); about 8 roundings.
    const double xhat = 4 * rstd, scale = 2 * rstd * (2 + xhat * xhat) + 1;
    for (const Write mode : {Write::overwrite, Write::add}) {
        gradus::Tensor<float, D> dx = fast.shortcut.clone(), ds = fast.x.clone(), both = dx.clone();
        gradus::Tensor<double, gradus::Reference> exact_dx = in_double(dx), exact_ds = in_double(ds),
                                                  exact_both = in_double(both);
        fast.backward(saved, dx.template write<2>(), mode, ds.template write<2>(), mode);
        exact.backward(exact_saved, exact_dx.write<2>(), mode, exact_ds.write<2>(), mode);
        CHECK(worst_difference(dx, exact_dx) <= 8 * float_eps * scale);
        CHECK(worst_difference(ds, exact_ds) <= 8 * float_eps * 3);

        // dx and dshortcut are one matrix: their sum.
        fast.backward(saved, both.template write<2>(), mode, both.template write<2>(), Write::add);
        exact.backward(exact_saved, exact_both.write<2>(), mode, exact_both.write<2>(), Write::add);
        CHECK(worst_difference(both, exact_both) <= 8 * float_eps * (scale + 3));
    }
}

template <class D>
void check_agrees_with_reference(gradus::Index M, gradus::Index C, gradus::Generator& generator) {
    CAPTURE(C);
    CAPTURE(M);
    BatchNormPair<D> pair(M, C, generator);
    for (const bool with_shortcut : {false, true})
        for (const bool relu : {false, true}) check_steps(pair, with_shortcut, relu);
}
