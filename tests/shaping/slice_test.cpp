#include "gradus/shaping/slice.hpp"

#include <doctest/doctest.h>

#include "gradus/shaping/pad.hpp"

using namespace gradus;

namespace {

Variable<float> counting(const Shape& shape) {
    std::vector<float> values(static_cast<std::size_t>(shape.numel()));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
    return Variable<float>(Tensor<float>::from(shape, values), true);
}
using Values = std::vector<float>;

}  // namespace

TEST_CASE("slices of each dimension") {
    const Variable<float> x = counting({3, 4});
    CHECK(slice(x, 0, {.start = 1}).value().to_vector() == Values{4, 5, 6, 7, 8, 9, 10, 11});
    CHECK(slice(x, 1, {.step = 3}).value().to_vector() == Values{0, 3, 4, 7, 8, 11});
    CHECK(slice(x, -1, {.start = -3, .stop = -1}).value().to_vector() == Values{1, 2, 5, 6, 9, 10});
    CHECK(slice(x, 0, {.start = 2, .stop = 2}).shape() == Shape{0, 4});
}

TEST_CASE("the gradient of what was not selected is zero") {
    Variable<float> x = counting({2, 3});
    slice(x, 1, {.step = 2}).backward(Tensor<float>::from({2, 2}, {1, 2, 3, 4}));
    CHECK(x.grad().to_vector() == Values{1, 0, 2, 3, 0, 4});
    slice(x, 1, {.start = 1, .stop = 2}).backward(Tensor<float>::from({2, 1}, {5, 6}));  // adds
    CHECK(x.grad().to_vector() == Values{1, 5, 2, 3, 6, 4});
}

TEST_CASE("every second pixel with zero channels around: the shortcut of the CIFAR networks") {
    Variable<float> x = counting({1, 4, 4, 2});
    const Variable<float> y = pad(slice(slice(x, 1, {.step = 2}), 2, {.step = 2}), 3, {.before = 1, .after = 1});
    CHECK(y.shape() == Shape{1, 2, 2, 4});
    CHECK(y.value().to_vector() == Values{0, 0, 1, 0, 0, 4, 5, 0, 0, 16, 17, 0, 0, 20, 21, 0});
    y.backward(Tensor<float>::ones(y.shape()));
    float total = 0;
    for (const float dx : x.grad().to_vector()) total += dx;
    CHECK(total == 8);
    CHECK(x.grad().to_vector()[4] == 1);
    CHECK(x.grad().to_vector()[2] == 0);
}

TEST_CASE("slices that do not exist") {
    const Variable<float> x = counting({3, 4});
    CHECK_THROWS_WITH_AS(slice(x, 1, {.stop = 5}), "slice: [0, 5) of dimension 1 of (3, 4)", Error);
    CHECK_THROWS_WITH_AS(slice(x, 2), "slice: x has shape (3, 4), there is no dimension 2", Error);
    CHECK_THROWS_WITH_AS(slice(x, 0, {.step = -1}), "slice: the step must be at least 1, got -1", Error);
    CHECK_THROWS_WITH_AS(pad(x, 0, {.before = -1}), "pad: needs at least 0 zeros before and after, got -1 and 0",
                         Error);
}
