// Known values, and what is special; gradients and precision are checked by tests/operations.
#include "gradus/elementwise/unary.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace gradus;

namespace {

// Activations at these points; the values are PyTorch's in double, to 8 decimals.
const std::vector<double> points = {-4, -3, -1, 0, 1, 3, 6.5};

template <class T, class D, class Function>
void check_values(const Function& function, const std::vector<double>& expected, double tolerance) {
    std::vector<T> x;
    for (const double point : points) x.push_back(static_cast<T>(point));
    const Variable<T, D> y = function(Variable<T, D>(Tensor<T, D>::from({static_cast<Index>(x.size())}, x)));
    const std::vector<T> values = y.value().to_vector();
    for (std::size_t i = 0; i < expected.size(); ++i) {
        INFO("at " << points[i]);
        CHECK(std::abs(static_cast<double>(values[i]) - expected[i]) <=
              tolerance * std::max(1.0, std::abs(expected[i])));
    }
}
template <class Function>
void check_all(const Function& function, const std::vector<double>& expected) {
    check_values<double, Reference>(function, expected, 1e-8);
    check_values<double, Cpu>(function, expected, 1e-8);
    check_values<float, Cpu>(function, expected, 3e-7);
}

}  // namespace

TEST_CASE("activations have the known values") {
    check_all([](const auto& x) { return silu(x); },
              {-.07194484, -.14227762, -.26894142, 0, .73105858, 2.85772238, 6.49024232});
    check_all([](const auto& x) { return gelu(x); },
              {-.00012668, -.00404969, -.15865525, 0, .84134475, 2.99595031, 6.5});
    check_all([](const auto& x) { return sigmoid(x); },
              {.01798621, .04742587, .26894142, .5, .73105858, .95257413, .99849882});
    check_all([](const auto& x) { return softplus(x); },
              {.01814993, .04858735, .31326169, .69314718, 1.31326169, 3.04858735, 6.50150231});
    check_all([](const auto& x) { return relu(x); }, {0, 0, 0, 0, 1, 3, 6.5});
    check_all([](const auto& x) { return leaky_relu(x); }, {-.04, -.03, -.01, 0, 1, 3, 6.5});
}

TEST_CASE("the extremes of float do not overflow on the way") {
    const float big = std::numeric_limits<float>::max();
    const Variable<float> x(Tensor<float>::from({4}, {-big, -100, 100, big}));
    CHECK(sigmoid(x).value().to_vector()[0] == 0);
    CHECK(sigmoid(x).value().to_vector()[3] == 1);
    CHECK(softplus(x).value().to_vector()[0] == 0);
    CHECK(softplus(x).value().to_vector()[2] == 100);
    CHECK(tanh(x).value().to_vector()[0] == -1);
    CHECK(silu(x).value().to_vector()[2] == 100);
}

TEST_CASE("relu keeps a NaN, and its slope at 0 is 0") {
    Variable<float> x(Tensor<float>::from({3}, {std::numeric_limits<float>::quiet_NaN(), 0, 2}), true);
    const Variable<float> y = relu(x);
    CHECK(std::isnan(y.value().to_vector()[0]));
    y.backward(Tensor<float>::ones({3}));
    CHECK(x.grad().to_vector()[1] == 0);
    CHECK(x.grad().to_vector()[2] == 1);
}

TEST_CASE("sigmoid and tanh have a gradient where they are flat") {
    Variable<float> x(Tensor<float>::from({2}, {20, -20}), true);
    sigmoid(x).backward(Tensor<float>::ones({2}));
    for (const float dx : x.grad().to_vector()) CHECK(dx == doctest::Approx(std::exp(-20.0)).epsilon(1e-5));
    x.zero_grad();
    tanh(x).backward(Tensor<float>::ones({2}));
    for (const float dx : x.grad().to_vector()) CHECK(dx == doctest::Approx(4 * std::exp(-40.0)).epsilon(1e-5));
}

TEST_CASE("more elements than one chunk, with a rest") {
    const Index n = 2 * chunk_elements + 7;
    const Variable<float> x(Tensor<float>::randn({n}));
    const std::vector<float> values = x.value().to_vector(), squares = square(x).value().to_vector();
    for (std::size_t i = 0; i < values.size(); ++i) REQUIRE(squares[i] == values[i] * values[i]);
}
