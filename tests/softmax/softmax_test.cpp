#include "gradus/softmax/softmax.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "gradus/autograd/gradcheck.hpp"
#include "gradus/softmax/softmax_cpu.hpp"
#include "worst_difference.hpp"

using namespace gradus;

TEST_CASE_TEMPLATE("softmax and log_softmax of known numbers", D, Reference, Cpu) {
    // exp of 0, log 2, log 5 is 1, 2, 5.
    const Variable<double, D> x(Tensor<double, D>::from({1, 3}, {0, std::log(2.0), std::log(5.0)}));
    const std::vector<double> y = softmax(x).value().to_vector(), log_y = log_softmax(x).value().to_vector();
    const double expected[] = {1.0 / 8, 2.0 / 8, 5.0 / 8};
    for (std::size_t k = 0; k < 3; ++k) {
        CHECK(std::abs(y[k] - expected[k]) <= 1e-15);
        CHECK(std::abs(log_y[k] - std::log(expected[k])) <= 1e-15);
    }
}

TEST_CASE_TEMPLATE("softmax and log_softmax of large and infinite numbers", D, Reference, Cpu) {
    const float infinity = std::numeric_limits<float>::infinity();
    const Variable<float, D> x(Tensor<float, D>::from({2, 2}, {1000, 0, 3, -infinity}), true);
    CHECK(softmax(x).value().to_vector() == std::vector<float>{1, 0, 1, 0});
    CHECK(log_softmax(x).value().to_vector() == std::vector<float>{0, -1000, 0, -infinity});
    log_softmax(x).backward(Tensor<float, D>::ones({2, 2}));
    CHECK(x.grad().to_vector() == std::vector<float>{-1, 1, -1, 1});
    const Variable<float, D> nan(Tensor<float, D>::from({1, 2}, {1, std::numeric_limits<float>::quiet_NaN()}));
    for (const float y : softmax(nan).value().to_vector()) CHECK(std::isnan(y));
}

TEST_CASE_TEMPLATE("softmax and log_softmax: gradients", D, Reference, Cpu) {
    Generator generator{9, 0, 0};
    for (const Shape& shape : {Shape{3, 5}, Shape{2, 3, 4}, Shape{2, 1}}) {
        const std::vector<Variable<double, D>> in = {
            Variable<double, D>(Tensor<double, D>::randn(shape, generator), true)};
        gradcheck([](const auto& x) { return softmax(x[0]); }, in);
        gradcheck([](const auto& x) { return log_softmax(x[0]); }, in);
    }
}

// Float on Cpu against double on Reference. Probabilities and |dy| are at most 1, so sums of K terms are off by at most
// (K + 8) eps; x - m lies within 2 * 5, its logarithm within 10 + log K.
TEST_CASE("softmax and log_softmax on Cpu agree with Reference at every size") {
    const double eps = std::numeric_limits<float>::epsilon();
    const auto check = [&](const auto& function, Index M, Index K, double scale) {
        Generator generator{9, 0, 0};
        const Tensor<float> values = Tensor<float>::uniform({M, K}, -5, 5, generator);
        const Tensor<float> dy = Tensor<float>::uniform({M, K}, -1, 1, generator);
        const Variable<float> x(values, true);
        const Variable<double, Reference> exact(values.as<double>().to<Reference>(), true);
        const double roundings = static_cast<double>(K + 8) * eps;
        INFO(M << " x " << K);
        for (int times = 0; times < 2; ++times) {  // the second time the gradient is added
            const Variable<float> y = function(x);
            const Variable<double, Reference> exact_y = function(exact);
            y.backward(dy);
            exact_y.backward(dy.as<double>().to<Reference>());
            CHECK(worst_difference(y.value(), exact_y.value()) <= roundings * scale);
            CHECK(worst_difference(x.grad(), exact.grad()) <= 2 * roundings * scale);
        }
    };
    for (const Index M : {0, 1, 5, 700})
        for (const Index K : {1, 2, 10, 16, 37, 1000}) {
            check([](const auto& x) { return softmax(x); }, M, K, 1);
            check([](const auto& x) { return log_softmax(x); }, M, K, 10 + std::log(static_cast<double>(K)));
        }
}

TEST_CASE_TEMPLATE("16-bit softmax adds up to 1", T, Half, BFloat16) {
    const Variable<T> x(Tensor<float>::from({1, 4}, {1, 2, 3, 4}).as<T>(), true);
    float sum = 0;
    for (const T y : softmax(x).value().to_vector()) sum += y;
    CHECK(std::abs(sum - 1) <= 4 * (std::is_same_v<T, Half> ? 0x1p-11f : 0x1p-8f));  // half a unit each
    softmax(x).backward(Tensor<float>::ones({1, 4}).as<T>());
    for (const T dx : x.grad().to_vector()) CHECK(std::abs(static_cast<float>(dx)) <= 0x1p-7f);
    log_softmax(x).backward(Tensor<float>::ones({1, 4}).as<T>());
}

TEST_CASE("softmax and log_softmax refuse what does not fit") {
    const Variable<float> vector(Tensor<float>::zeros({3})), empty(Tensor<float>::zeros({3, 0}));
    CHECK_THROWS_WITH_AS(softmax(vector), "softmax: x must be (M, ..., K) with K > 0, got (3,)", Error);
    CHECK_THROWS_WITH_AS(log_softmax(empty), "log_softmax: x must be (M, ..., K) with K > 0, got (3, 0)", Error);
}
