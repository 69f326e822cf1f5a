#include "gradus/elementwise/scalar.hpp"

#include <doctest/doctest.h>

using namespace gradus;

TEST_CASE("arithmetic reads as it is written") {
    Variable<double> x(Tensor<double>::from({2}, {2, -4}), true);
    const std::vector<std::pair<Variable<double>, std::vector<double>>> cases = {
        {x + 1, {3, -3}}, {1 + x, {3, -3}},   {x - 1, {1, -5}},      {1 - x, {-1, 5}},  {2 * x, {4, -8}},
        {x * 2, {4, -8}}, {x / 4, {0.5, -1}}, {1 / x, {0.5, -0.25}}, {-x, {-2, 4}},     {x + x, {4, -8}},
        {x - x, {0, 0}},  {x * x, {4, 16}},   {x / x, {1, 1}},       {0.5 * x, {1, -2}}};
    for (const auto& [y, expected] : cases) CHECK(y.value().to_vector() == expected);
}

TEST_CASE("the gradient of a formula") {
    Variable<double> x(Tensor<double>::scalar(3), true);
    const Variable<double> y = 2 * x * x - x / 2 + 1 / x - 7;
    CHECK(y.item() == doctest::Approx(18 - 1.5 + 1.0 / 3 - 7));
    y.backward();
    CHECK(x.grad().item() == doctest::Approx(12 - 0.5 - 1.0 / 9));
}

TEST_CASE("a number is not rounded to 16 bits") {
    const Variable<BFloat16> x(Tensor<BFloat16>::from({1}, {BFloat16(250)}));
    CHECK(static_cast<float>((x * 1.011).value().item()) == 253.0f);
    CHECK(static_cast<float>(BFloat16(250.0f * BFloat16(1.011))) == 252.0f);  // what rounding 1.011 first would give
}
