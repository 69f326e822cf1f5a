#include "gradus/pooling/max_pool2d.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "gradus/autograd/gradcheck.hpp"
#include "gradus/pooling/max_pool2d_cpu.hpp"
#include "worst_difference.hpp"

using namespace gradus;

namespace {

// An image of 5 x 5 pixels, 1 to 25.
template <class T, class D>
Variable<T, D> counting_image() {
    std::vector<T> values;
    for (int i = 1; i <= 25; ++i) values.push_back(static_cast<T>(i));
    return Variable<T, D>(Tensor<T, D>::from({1, 5, 5, 1}, values), true);
}

}  // namespace

TEST_CASE_TEMPLATE("max_pool2d gives PyTorch's values and gradient", D, Reference, Cpu) {
    const Variable<float, D> x = counting_image<float, D>();
    const Variable<float, D> y = max_pool2d(x, {.kernel = 3, .stride = 2, .padding = 1});
    CHECK(y.shape() == Shape{1, 3, 3, 1});
    CHECK(y.value().to_vector() == std::vector<float>{7, 9, 10, 17, 19, 20, 22, 24, 25});
    y.backward(Tensor<float, D>::from({1, 3, 3, 1}, {1, 2, 3, 4, 5, 6, 7, 8, 9}));
    std::vector<float> expected(25, 0.0f);
    for (std::size_t i = 0; i < 9; ++i)
        expected[static_cast<std::size_t>(y.value().to_vector()[i]) - 1] = static_cast<float>(i + 1);
    CHECK(x.grad().to_vector() == expected);
    CHECK(max_pool2d(x).value().to_vector() == std::vector<float>{7, 9, 17, 19});
    CHECK(max_pool2d(x, {.ceil_mode = true}).value().to_vector() ==
          std::vector<float>{7, 9, 10, 17, 19, 20, 22, 24, 25});
}

TEST_CASE_TEMPLATE("of equal values the first wins, a NaN wins over all, padding never does", D, Reference, Cpu) {
    const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
    const Variable<float, D> x(Tensor<float, D>::from({1, 2, 4, 1}, {3, 3, 1, nan, 3, 2, 5, 7}), true);
    const Variable<float, D> y = max_pool2d(x);
    CHECK(y.value().to_vector()[0] == 3);
    CHECK(std::isnan(y.value().to_vector()[1]));
    y.backward(Tensor<float, D>::ones({1, 1, 2, 1}));
    CHECK(x.grad().to_vector() == std::vector<float>{1, 0, 0, 1, 0, 0, 0, 0});

    const Variable<float, D> low(Tensor<float, D>::from({1, 1, 2, 1}, {-5, -infinity}), true);
    const Variable<float, D> z = max_pool2d(low, {.kernel = 2, .stride = 2, .padding = 1});
    CHECK(z.value().to_vector() == std::vector<float>{-5, -infinity});
    z.backward(Tensor<float, D>::from({1, 1, 2, 1}, {1, 2}));
    CHECK(low.grad().to_vector() == std::vector<float>{1, 2});
}

TEST_CASE_TEMPLATE("max_pool2d: gradients", D, Reference, Cpu) {
    Generator generator{6, 0, 0};
    for (const MaxPool2dOptions& options :
         {MaxPool2dOptions{}, MaxPool2dOptions{.kernel = 3, .stride = 1, .padding = 1},
          MaxPool2dOptions{.kernel = 3, .stride = 2, .ceil_mode = true}, MaxPool2dOptions{.kernel = 1, .stride = 3}}) {
        const Variable<double, D> x(Tensor<double, D>::randn({2, 5, 4, 3}, generator), true);
        gradcheck([&](const auto& in) { return max_pool2d(in[0], options); }, std::vector<Variable<double, D>>{x});
    }
}

// A maximum makes no rounding error: values agree exactly, and gradients but for the sum of up to 9 of them.
TEST_CASE("max_pool2d on Cpu agrees with Reference at every number of channels") {
    const double eps = std::numeric_limits<float>::epsilon();
    for (const Index C : {1, 3, 16, 24, 67})
        for (const MaxPool2dOptions& options :
             {MaxPool2dOptions{}, MaxPool2dOptions{.kernel = 3, .stride = 1, .padding = 1},
              MaxPool2dOptions{.kernel = 16, .stride = 5, .padding = 8, .ceil_mode = true}}) {
            Generator generator{6, 0, 0};
            const Tensor<float> values = Tensor<float>::randn({2, 9, 7, C}, generator);
            const Variable<float> x(values, true);
            const Variable<double, Reference> exact(values.as<double>().to<Reference>(), true);
            for (int times = 0; times < 2; ++times) {  // the second time the gradient is added
                const Variable<float> y = max_pool2d(x, options);
                const Variable<double, Reference> exact_y = max_pool2d(exact, options);
                CHECK(y.value().as<double>().to_vector() == exact_y.value().to_vector());
                const Tensor<float> dy = Tensor<float>::uniform(y.shape(), -1, 1, generator);
                y.backward(dy);
                exact_y.backward(dy.as<double>().to<Reference>());
            }
            CHECK(worst_difference(x.grad(), exact.grad()) <= 18 * eps * 18);  // 18 terms of at most 1
        }
}

TEST_CASE("max_pool2d keeps one byte an output, and nothing without a gradient") {
    const Variable<float> x(Tensor<float>::zeros({2, 8, 8, 64}), true);
    const std::size_t before = memory_stats(Cpu{}).live_bytes;
    const Variable<float> y = max_pool2d(x);
    CHECK(memory_stats(Cpu{}).live_bytes - before == y.value().bytes() + y.value().bytes() / 4);
    const NoGrad no_grad;
    const std::size_t between = memory_stats(Cpu{}).live_bytes;
    const Variable<float> z = max_pool2d(x);
    CHECK(memory_stats(Cpu{}).live_bytes - between == z.value().bytes());
}

TEST_CASE("max_pool2d refuses what does not fit") {
    CHECK_THROWS_WITH_AS(max_pool2d(Variable<float>(Tensor<float>::zeros({2, 3}))),
                         "max_pool2d: x must be (N, H, W, C), got (2, 3)", Error);
    const Variable<float> x(Tensor<float>::zeros({1, 20, 20, 1}));
    CHECK_THROWS_WITH_AS(max_pool2d(x, {.kernel = 17}), "max_pool2d: the kernel may be 16 at most, got 17", Error);
}
