// What cross_entropy_test.cpp and cross_entropy_cuda_test.cpp check on their devices.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "gradus/softmax/cross_entropy.hpp"
#include "worst_difference.hpp"

// Four rows of three classes; the values that the tests expect are PyTorch 1.13's in double, to 10 digits.
template <class T, class D>
gradus::Variable<T, D> example_logits() {
    const std::vector<double> z = {2, 1, .1, .5, 2.5, -1, -.3, .2, 1.7, 1, -1, 0};
    std::vector<T> values;
    for (const double value : z) values.push_back(static_cast<T>(value));
    return gradus::Variable<T, D>(gradus::Tensor<T, D>::from({4, 3}, values), true);
}

// A row that does not count, behind one of ones that does. As in PyTorch 2.15, where the gradient of such a row is 0
// times its softmax.
template <class T, class D>
void check_ignored_row(const std::vector<double>& row, bool has_softmax) {
    using namespace gradus;
    const Index K = static_cast<Index>(row.size());
    std::vector<T> values(row.size(), T(1));
    for (const double z : row) values.push_back(static_cast<T>(z));
    const Variable<T, D> z(Tensor<T, D>::from({2, K}, values), true);
    const Tensor<std::int64_t, D> labels = Tensor<std::int64_t, D>::from({2}, {0, -100});
    const Variable<Sum<T>, D> loss = cross_entropy(z, labels, {.label_smoothing = 0.1});
    CHECK(loss.item() == doctest::Approx(std::log(static_cast<double>(K))));
    loss.backward();                                                     // writes
    cross_entropy(z, labels, {.reduction = Reduction::sum}).backward();  // adds
    const std::vector<T> dz = z.grad().to_vector();
    for (std::size_t k = 0; k < row.size(); ++k) {
        const float counted = static_cast<float>(dz[k]), ignored = static_cast<float>(dz[row.size() + k]);
        if (!std::isfinite(counted) || (has_softmax ? ignored != 0 : !std::isnan(ignored)))
            FAIL_CHECK("class " << k << " of " << K << ": " << counted << " and " << ignored);
    }
}

// In every type, rows of K classes with and without a softmax: one number, and all others.
template <class D>
void check_ignored_rows(std::size_t K) {
    using namespace gradus;
    const double infinity = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
    const auto check_all_types = [K](double first, double others, bool has_softmax) {
        std::vector<double> row(K, others);
        row[0] = first;
        check_ignored_row<float, D>(row, has_softmax);
        check_ignored_row<double, D>(row, has_softmax);
        check_ignored_row<Half, D>(row, has_softmax);
        check_ignored_row<BFloat16, D>(row, has_softmax);
    };
    check_all_types(nan, 1, false);
    check_all_types(1, nan, false);
    check_all_types(infinity, 1, false);
    check_all_types(-infinity, -infinity, false);
    check_all_types(-infinity, 1, true);
    check_all_types(5, 1, true);
}

// Losses of rows one by one, and their gradients, in float against Reference in double. They have K + 4 roundings of
// sums whose terms are at most m - z + log s <= 2 max|z| + log K, and 1.
template <class D>
void check_losses(gradus::Index K, const gradus::Variable<float, D>& loss, const gradus::Variable<float, D>& z,
                  const gradus::Variable<double, gradus::Reference>& exact_loss,
                  const gradus::Variable<double, gradus::Reference>& exact_z) {
    using namespace gradus;
    loss.backward(Tensor<float, D>::ones(loss.shape()));
    exact_loss.backward(Tensor<double, Reference>::ones(loss.shape()));
    const double rounding = static_cast<double>(K + 4) * std::numeric_limits<float>::epsilon();
    CHECK(worst_difference(loss.value(), exact_loss.value()) <= rounding * (10 + std::log(static_cast<double>(K))));
    CHECK(worst_difference(z.grad(), exact_z.grad()) <= rounding);
}
