#include "gradus/reduction/sum.hpp"

#include <doctest/doctest.h>

#include <cmath>

using namespace gradus;

namespace {

Variable<double> counting(const Shape& shape) {
    std::vector<double> values(static_cast<std::size_t>(shape.numel()));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
    return Variable<double>(Tensor<double>::from(shape, values), true);
}
using Values = std::vector<double>;

}  // namespace

TEST_CASE("sums over dimensions, as in numpy") {
    const Variable<double> x = counting({2, 3, 2});  // 0..11
    CHECK(sum(x).item() == 66);
    CHECK(sum(x).shape() == Shape{});
    CHECK(sum(x, {0}).value().to_vector() == Values{6, 8, 10, 12, 14, 16});
    CHECK(sum(x, {1}).value().to_vector() == Values{6, 9, 24, 27});
    CHECK(sum(x, {-1}).value().to_vector() == Values{1, 5, 9, 13, 17, 21});
    CHECK(sum(x, {0, 2}).value().to_vector() == Values{14, 22, 30});
    CHECK(sum(x, {0, 2}).shape() == Shape{3});
    CHECK(sum(x, {0, 2}, {.keep = true}).shape() == Shape{1, 3, 1});
    CHECK(mean(x, {2, 1}).value().to_vector() == Values{2.5, 8.5});
    CHECK(mean(x).item() == 5.5);
}

TEST_CASE("sums of nothing") {
    CHECK(sum(counting({0, 3})).item() == 0);
    CHECK(sum(counting({0, 3}), {0}).value().to_vector() == Values{0, 0, 0});
    CHECK(sum(counting({0, 3}), {1}).shape() == Shape{0});
    CHECK(std::isnan(mean(counting({0}), {}).item()));
}

TEST_CASE("the gradient of a mean is spread evenly") {
    Variable<double> x = counting({2, 4});
    mean(x, {1}).backward(Tensor<double>::from({2}, {4, 8}));
    CHECK(x.grad().to_vector() == Values{1, 1, 1, 1, 2, 2, 2, 2});
}

TEST_CASE("a long sum in float is close, and has the same bits at any number of threads") {
    const Index n = 3000000;
    std::vector<float> values(static_cast<std::size_t>(n));
    double exact = 0;
    Generator generator{3, 0, 0};
    for (float& value : values) {
        value = static_cast<float>(generator.uniform());
        exact += static_cast<double>(value);
    }
    const Variable<float> flat(Tensor<float>::from({n}, values)), table(Tensor<float>::from({n / 3, 3}, values));
    const int threads = thread_count();
    set_threads(1);
    const float once = sum(flat).item();
    const std::vector<float> columns = sum(table, {0}).value().to_vector();
    CHECK(std::abs(static_cast<double>(once) - exact) < 1e-6 * exact);
    CHECK(std::abs(static_cast<double>(columns[0] + columns[1] + columns[2]) - exact) < 1e-4 * exact);
    for (const int n_threads : {2, 3, 7}) {
        set_threads(n_threads);
        CHECK(sum(flat).item() == once);
        CHECK(sum(table, {0}).value().to_vector() == columns);
    }
    set_threads(threads);
}

TEST_CASE("sums of 16 bits do not stop at the largest number that can be counted to") {
    const Variable<Half> x(Tensor<Half>::ones({5000}));
    CHECK(static_cast<float>(sum(x).item()) == 5000.0f);  // one by one, a Half gets stuck at 2048
}

TEST_CASE("a dimension that is not there, or twice") {
    CHECK_THROWS_WITH_AS(sum(counting({2, 3}), {2}), "sum: x has shape (2, 3), there is no dimension 2", Error);
    CHECK_THROWS_WITH_AS(mean(counting({2, 3}), {1, -1}), "mean: dimension -1 of (2, 3) is named twice", Error);
}
