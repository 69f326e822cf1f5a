#include "gradus/pooling/avg_pool2d.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "gradus/autograd/gradcheck.hpp"
#include "gradus/pooling/avg_pool2d_cpu.hpp"
#include "worst_difference.hpp"

using namespace gradus;

namespace {

// Means of an image of 5 x 5 pixels, 1 to 25.
template <class D, class Pool>
void check_means(const Pool& pool, const std::vector<double>& expected) {
    std::vector<double> values;
    for (int i = 1; i <= 25; ++i) values.push_back(i);
    const Variable<double, D> x(Tensor<double, D>::from({1, 5, 5, 1}, values));
    const std::vector<double> y = pool(x).value().to_vector();
    REQUIRE(y.size() == expected.size());
    for (std::size_t i = 0; i < y.size(); ++i) CHECK(std::abs(y[i] - expected[i]) <= 5e-9);  // 8 decimals
}

}  // namespace

TEST_CASE_TEMPLATE("avg_pool2d and adaptive_avg_pool2d give PyTorch's values", D, Reference, Cpu) {
    check_means<D>([](const auto& x) { return avg_pool2d(x); }, {4, 6, 14, 16});
    check_means<D>([](const auto& x) { return avg_pool2d(x, {.ceil_mode = true, .count_include_pad = false}); },
                   {4, 6, 7.5, 14, 16, 17.5, 21.5, 23.5, 25});
    check_means<D>(
        [](const auto& x) { return avg_pool2d(x, {.kernel = 3, .stride = 2, .padding = 1}); },
        {1.77777778, 3.66666667, 3.11111111, 7.66666667, 13, 9.66666667, 8.44444444, 13.66666667, 9.77777778});
    check_means<D>(
        [](const auto& x) {
            return avg_pool2d(x, {.kernel = 3, .stride = 2, .padding = 1, .count_include_pad = false});
        },
        {4, 5.5, 7, 11.5, 13, 14.5, 19, 20.5, 22});
    check_means<D>([](const auto& x) { return adaptive_avg_pool2d(x, 2, 2); }, {7, 9, 17, 19});
    check_means<D>([](const auto& x) { return adaptive_avg_pool2d(x, 3, 3); },
                   {4, 5.5, 7, 11.5, 13, 14.5, 19, 20.5, 22});
    check_means<D>([](const auto& x) { return adaptive_avg_pool2d(x, 1, 1); }, {13});
}

TEST_CASE_TEMPLATE("avg_pool2d and adaptive_avg_pool2d: gradients", D, Reference, Cpu) {
    Generator generator{8, 0, 0};
    const auto leaf = [&] {
        return std::vector<Variable<double, D>>{
            Variable<double, D>(Tensor<double, D>::randn({2, 5, 4, 3}, generator), true)};
    };
    for (const AvgPool2dOptions& options :
         {AvgPool2dOptions{}, AvgPool2dOptions{.kernel = 3, .stride = 1, .padding = 1},
          AvgPool2dOptions{.kernel = 3, .stride = 2, .padding = 1, .ceil_mode = true, .count_include_pad = false},
          AvgPool2dOptions{.kernel = 3, .stride = 2, .padding = 1, .ceil_mode = true}})
        gradcheck([&](const auto& in) { return avg_pool2d(in[0], options); }, leaf());
    for (const Index out : {1, 3, 5, 7})
        gradcheck([&](const auto& in) { return adaptive_avg_pool2d(in[0], out, out + 1); }, leaf());
}

// Float on Cpu against double on Reference. Values lie in [-1, 1], so a mean of n terms has an error of at most
// (n + 1) eps, and the gradient, a sum of n quotients, one of (n + 1) n eps.
TEST_CASE("avg_pool2d and adaptive_avg_pool2d on Cpu agree with Reference at every number of channels") {
    const double eps = std::numeric_limits<float>::epsilon();
    const auto check = [&](const auto& pool, Index C) {
        Generator generator{8, 0, 0};
        const Tensor<float> values = Tensor<float>::uniform({2, 9, 7, C}, -1, 1, generator);
        const Variable<float> x(values, true);
        const Variable<double, Reference> exact(values.as<double>().to<Reference>(), true);
        for (int times = 0; times < 2; ++times) {  // the second time the gradient is added
            const Variable<float> y = pool(x);
            const Variable<double, Reference> exact_y = pool(exact);
            const Tensor<float> dy = Tensor<float>::uniform(y.shape(), -1, 1, generator);
            y.backward(dy);
            exact_y.backward(dy.as<double>().to<Reference>());
            CHECK(worst_difference(y.value(), exact_y.value()) <= 26 * eps);  // windows have up to 25 pixels
        }
        CHECK(worst_difference(x.grad(), exact.grad()) <= 19 * eps * 18);  // up to 9 windows read a pixel, twice
    };
    for (const Index C : {1, 3, 16, 24, 67}) {
        check([](const auto& x) { return avg_pool2d(x); }, C);
        check([](const auto& x) { return avg_pool2d(x, {.kernel = 3, .stride = 1, .padding = 1}); }, C);
        check([](const auto& x) { return avg_pool2d(x, {.kernel = 5, .stride = 4, .padding = 2, .ceil_mode = true}); },
              C);
        check([](const auto& x) { return adaptive_avg_pool2d(x, 4, 3); }, C);
        check([](const auto& x) { return adaptive_avg_pool2d(x, 11, 2); }, C);
    }
}

TEST_CASE("avg_pool2d and adaptive_avg_pool2d refuse what does not fit") {
    const Variable<float> matrix(Tensor<float>::zeros({2, 3})), image(Tensor<float>::zeros({1, 2, 2, 1}));
    CHECK_THROWS_WITH_AS(avg_pool2d(matrix), "avg_pool2d: x must be (N, H, W, C), got (2, 3)", Error);
    CHECK_THROWS_WITH_AS(adaptive_avg_pool2d(matrix, 1, 1), "adaptive_avg_pool2d: x must be (N, H, W, C), got (2, 3)",
                         Error);
    CHECK_THROWS_WITH_AS(avg_pool2d(image, {.kernel = 3}),
                         "avg_pool2d: a window of 3 does not fit into 2 pixels with padding 0", Error);
    CHECK_THROWS_WITH_AS(adaptive_avg_pool2d(image, 0, 1), "adaptive_avg_pool2d: cannot make 0 pixels of 2", Error);
}
