#include "gradus/pooling/global_avg_pool2d.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "gradus/autograd/gradcheck.hpp"
#include "gradus/pooling/global_avg_pool2d_cpu.hpp"
#include "worst_difference.hpp"

using namespace gradus;

TEST_CASE_TEMPLATE("global_avg_pool2d of small integers", D, Reference, Cpu) {
    const Variable<float, D> x(Tensor<float, D>::from({2, 2, 1, 2}, {1, 10, 3, 30, 5, 50, 6, 60}), true);
    const Variable<float, D> y = global_avg_pool2d(x);
    CHECK(y.shape() == Shape{2, 2});
    CHECK(y.value().to_vector() == std::vector<float>{2, 20, 5.5, 55});
    y.backward(Tensor<float, D>::from({2, 2}, {2, 4, 6, 8}));
    CHECK(x.grad().to_vector() == std::vector<float>{1, 2, 1, 2, 3, 4, 3, 4});
}

TEST_CASE_TEMPLATE("global_avg_pool2d: gradients", D, Reference, Cpu) {
    Generator generator{5, 0, 0};
    for (const Shape& shape : {Shape{2, 3, 2, 3}, Shape{1, 1, 1, 1}, Shape{3, 1, 5, 2}}) {
        const Variable<double, D> x(Tensor<double, D>::randn(shape, generator), true);
        gradcheck([](const auto& in) { return global_avg_pool2d(in[0]); }, std::vector<Variable<double, D>>{x});
    }
}

TEST_CASE("global_avg_pool2d on Cpu agrees with Reference at every number of channels") {
    const double eps = std::numeric_limits<float>::epsilon();
    for (const Index C : {1, 3, 10, 16, 24, 64, 67}) {
        Generator generator{5, 0, 0};
        const Tensor<float> values = Tensor<float>::randn({3, 7, 5, C}, generator);
        const Tensor<float> dy = Tensor<float>::randn({3, C}, generator);
        const Variable<float> x(values, true);
        const Variable<double, Reference> exact(values.as<double>().to<Reference>(), true);
        for (int times = 0; times < 2; ++times) {  // the second time the gradient is added
            const Variable<float> y = global_avg_pool2d(x);
            const Variable<double, Reference> exact_y = global_avg_pool2d(exact);
            y.backward(dy);
            exact_y.backward(dy.as<double>().to<Reference>());
            // 35 terms of magnitude below 5, divided by 35
            CHECK(worst_difference(y.value(), exact_y.value()) <= 37 * eps * 5);
        }
        CHECK(worst_difference(x.grad(), exact.grad()) <= 4 * eps * 2 * 5 / 35);  // 4 roundings of 2 |dy| / 35
    }
}

TEST_CASE("global_avg_pool2d refuses what does not fit") {
    CHECK_THROWS_WITH_AS(global_avg_pool2d(Variable<float>(Tensor<float>::zeros({2, 3}))),
                         "global_avg_pool2d: x must be (N, H, W, C), got (2, 3)", Error);
    CHECK_THROWS_WITH_AS(global_avg_pool2d(Variable<float>(Tensor<float>::zeros({2, 0, 3, 4}))),
                         "global_avg_pool2d: the mean of no pixels, x is (2, 0, 3, 4)", Error);
}
