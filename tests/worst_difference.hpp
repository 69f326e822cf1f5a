// worst_difference.hpp   How far results are from what they should be: one number for all their elements.
//     CHECK(worst_difference(y.value(), exact_y.value()) <= 4 * eps);
// A NaN stays, and fails that check: std::max would forget it, and a kernel that returns nothing else would pass.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <vector>

#include "gradus/core/tensor.hpp"

// The larger one; a NaN on either side is larger than everything.
inline double worse(double worst, double next) { return std::isnan(next) || next > worst ? next : worst; }

// The largest |computed - exact| over all elements, in double.
template <class T, class U>
double worst_difference(const std::vector<T>& computed, const std::vector<U>& exact) {
    REQUIRE(computed.size() == exact.size());
    double worst = 0;
    for (std::size_t i = 0; i < exact.size(); ++i)
        worst = worse(worst, std::abs(static_cast<double>(computed[i]) - static_cast<double>(exact[i])));
    return worst;
}
template <class T, class D, class U, class E>
double worst_difference(const gradus::Tensor<T, D>& computed, const gradus::Tensor<U, E>& exact) {
    return worst_difference(computed.to_vector(), exact.to_vector());
}

// The largest magnitude.
template <class T, class D>
double largest(const gradus::Tensor<T, D>& x) {
    return worst_difference(x.to_vector(), std::vector<double>(static_cast<std::size_t>(x.numel()), 0.0));
}

// What a kernel is compared with: the same numbers, for the specification to compute in double.
template <class T, class D>
gradus::Tensor<double, gradus::Reference> in_double(const gradus::Tensor<T, D>& x) {
    return x.template to<gradus::Reference>().template as<double>();
}
