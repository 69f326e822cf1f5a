#include "gradus/linear/linear.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "gradus/autograd/gradcheck.hpp"
#include "gradus/linear/linear_cpu.hpp"

using namespace gradus;

TEST_CASE_TEMPLATE("linear of small integers", D, Reference, Cpu) {
    const Variable<float, D> x(Tensor<float, D>::from({2, 3}, {1, 2, 3, 4, 5, 6}), true);
    const Variable<float, D> weight(Tensor<float, D>::from({2, 3}, {1, 0, -1, 2, 1, 0}), true);
    const Variable<float, D> bias(Tensor<float, D>::from({2}, {10, 20}), true);
    const Variable<float, D> y = linear(x, weight, bias);
    CHECK(y.value().to_vector() == std::vector<float>{8, 24, 8, 33});
    CHECK(linear(x, weight).value().to_vector() == std::vector<float>{-2, 4, -2, 13});
    y.backward(Tensor<float, D>::from({2, 2}, {1, 2, 3, 4}));
    CHECK(x.grad().to_vector() == std::vector<float>{5, 2, -1, 11, 4, -3});
    CHECK(weight.grad().to_vector() == std::vector<float>{13, 17, 21, 18, 24, 30});
    CHECK(bias.grad().to_vector() == std::vector<float>{4, 6});
}

TEST_CASE_TEMPLATE("linear: gradients", D, Reference, Cpu) {
    Generator generator{3, 0, 0};
    const auto leaf = [&](const Shape& shape) {
        return Variable<double, D>(Tensor<double, D>::randn(shape, generator), true);
    };
    const auto with_bias = [](const auto& in) { return linear(in[0], in[1], in[2]); };
    const auto without_bias = [](const auto& in) { return linear(in[0], in[1]); };
    gradcheck(with_bias, std::vector<Variable<double, D>>{leaf({3, 5}), leaf({2, 5}), leaf({2})});
    gradcheck(with_bias, std::vector<Variable<double, D>>{leaf({1, 1}), leaf({1, 1}), leaf({1})});
    gradcheck(without_bias, std::vector<Variable<double, D>>{leaf({4, 7}), leaf({3, 7})});
    // x and weight may be one variable, to which both gradients are added.
    gradcheck([](const auto& in) { return linear(in[0], in[0]); }, std::vector<Variable<double, D>>{leaf({3, 4})});
}

// Cpu in float against Reference in double. An error is at most (number of terms + 2) eps times the sum of the terms'
// magnitudes; the products are computed with |x|, |weight| and |dy| to have that sum.
TEST_CASE("linear on Cpu agrees with Reference at every size") {
    struct Result {
        std::vector<double> y, dx, dweight, dbias;
    };
    const auto run = [](const auto& x, const auto& weight, const auto& bias, const auto& dy) {
        const auto y = linear(x, weight, bias);
        y.backward(dy);
        const auto in_double = [](const auto& tensor) { return tensor.template as<double>().to_vector(); };
        return Result{in_double(y.value()), in_double(x.grad()), in_double(weight.grad()), in_double(bias.grad())};
    };
    const double eps = std::numeric_limits<float>::epsilon();
    const auto check = [&](const std::vector<double>& fast, const std::vector<double>& exact,
                           const std::vector<double>& magnitude, Index terms) {
        for (std::size_t i = 0; i < fast.size(); ++i) {
            const double bound = static_cast<double>(terms + 2) * eps * magnitude[i];
            if (!(std::abs(fast[i] - exact[i]) <= bound)) FAIL_CHECK(fast[i] << " is not " << exact[i] << ", " << i);
        }
    };
    for (const Index N : {0, 1, 5, 33})
        for (const Index I : {1, 16, 37, 130})
            for (const Index O : {1, 10, 16, 67}) {
                Generator generator{11, 0, 0};
                const Tensor<float> x = Tensor<float>::randn({N, I}, generator);
                const Tensor<float> weight = Tensor<float>::randn({O, I}, generator);
                const Tensor<float> bias = Tensor<float>::randn({O}, generator);
                const Tensor<float> dy = Tensor<float>::randn({N, O}, generator);
                const auto exact_leaf = [](const Tensor<float>& tensor, bool magnitude) {
                    std::vector<double> values;
                    for (const float value : tensor.to_vector())
                        values.push_back(magnitude ? std::abs(double{value}) : double{value});
                    return Variable<double, Reference>(Tensor<double, Reference>::from(tensor.shape(), values), true);
                };
                const Result fast =
                    run(Variable<float>(x, true), Variable<float>(weight, true), Variable<float>(bias, true), dy);
                const Result exact = run(exact_leaf(x, false), exact_leaf(weight, false), exact_leaf(bias, false),
                                         exact_leaf(dy, false).value());
                const Result magnitude = run(exact_leaf(x, true), exact_leaf(weight, true), exact_leaf(bias, true),
                                             exact_leaf(dy, true).value());
                INFO(N << " x " << I << " x " << O);
                check(fast.y, exact.y, magnitude.y, I);
                check(fast.dx, exact.dx, magnitude.dx, O);
                check(fast.dweight, exact.dweight, magnitude.dweight, N);
                check(fast.dbias, exact.dbias, magnitude.dbias, N);
            }
}

TEST_CASE("linear takes 16-bit activations with float parameters") {
    const Variable<Half> x(Tensor<float>::from({1, 2}, {1, 2}).as<Half>(), true);
    const Variable<float> weight(Tensor<float>::from({1, 2}, {3, 4}), true);
    const Variable<Half> y = linear(x, weight);
    CHECK(static_cast<float>(y.item()) == 11.0f);
    y.backward();
    CHECK(weight.grad().to_vector() == std::vector<float>{1, 2});
    CHECK(x.grad().as<float>().to_vector() == std::vector<float>{3, 4});
}

TEST_CASE("linear refuses what does not fit") {
    const auto zeros = [](const Shape& shape) { return Variable<float>(Tensor<float>::zeros(shape)); };
    CHECK_THROWS_WITH_AS(linear(zeros({2, 1}), zeros({4, 3})),
                         "linear: input has 1 feature, weight expects 3; x is (2, 1), weight (4, 3)", Error);
    CHECK_THROWS_WITH_AS(linear(zeros({2, 2, 3}), zeros({4, 3})),
                         "linear: x must be (N, in) and weight (out, in), got (2, 2, 3) and (4, 3)", Error);
    CHECK_THROWS_WITH_AS(linear(zeros({2, 3}), zeros({4, 3}), zeros({3})), "linear: bias must be (4,), got (3,)",
                         Error);
}
