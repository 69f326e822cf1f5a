#include "gradus/reduction/max.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "gradus/core/print.hpp"

using namespace gradus;

namespace {

using Values = std::vector<float>;
using Positions = std::vector<std::int64_t>;

}  // namespace

TEST_CASE_TEMPLATE("the maximum and its gradient", D, Reference, Cpu) {
    Variable<float, D> x(Tensor<float, D>::from({2, 3}, {1, 5, 2, 7, -1, 7}), true);
    const Variable<float, D> y = max(x, {1});
    CHECK(y.value().to_vector() == Values{5, 7});
    y.backward(Tensor<float, D>::from({2}, {10, 20}));
    CHECK(x.grad().to_vector() == Values{0, 10, 0, 20, 0, 0});  // the first of the two 7s
    CHECK(max(x).item() == 7);
    CHECK(max(x, {0}, {.keep = true}).value().to_vector() == Values{7, 5, 7});
    CHECK(max(x, {0}, {.keep = true}).shape() == Shape{1, 3});
}

TEST_CASE_TEMPLATE("the position of the maximum", D, Reference, Cpu) {
    const Tensor<float, D> x = Tensor<float, D>::from({2, 3}, {1, 5, 2, 7, -1, 7});
    CHECK(argmax(x).to_vector() == Positions{1, 0});
    CHECK(argmax(x, 1).to_vector() == Positions{1, 0});
    CHECK(argmax(x, 0).to_vector() == Positions{1, 0, 1});
    CHECK(argmax(x.reshape({2, 1, 3}), -3).to_vector() == Positions{1, 0, 1});
    CHECK(argmax(x.reshape({2, 1, 3}), -3).shape() == Shape{1, 3});
    CHECK(argmax(Tensor<float, D>::zeros({0, 3})).shape() == Shape{0});
}

TEST_CASE_TEMPLATE("a NaN and an infinity", D, Reference, Cpu) {
    const float infinity = std::numeric_limits<float>::infinity(), not_a_number = infinity - infinity;
    const Tensor<float, D> x = Tensor<float, D>::from({2, 3}, {1, not_a_number, 5, -infinity, -infinity, -infinity});
    CHECK(argmax(x).to_vector() == Positions{1, 0});
    const Values y = max(Variable<float, D>(x), {1}).value().to_vector();
    CHECK(std::isnan(y[0]));
    CHECK(y[1] == -infinity);
}

// Few different values, so that there are ties within and between vectors, rows, and parts of a long run; and NaNs.
template <class T>
void check_positions(const Shape& shape, double share_of_nan) {
    CAPTURE(shape);
    CAPTURE(share_of_nan);
    Generator generator{3, 0, 0};
    std::vector<T> values(static_cast<std::size_t>(shape.numel()));
    for (T& value : values) {
        const bool is_nan = generator.uniform() < share_of_nan;
        value = is_nan ? std::numeric_limits<T>::quiet_NaN() : static_cast<T>(generator.below(5));
    }
    const Tensor<T, Cpu> x = Tensor<T, Cpu>::from(shape, values);
    CHECK(argmax(x, 1).to_vector() == argmax(x.template to<Reference>(), 1).to_vector());
}

TEST_CASE("positions on Cpu are those of Reference") {
    for (const Shape& shape :
         {Shape{1, 1, 1}, Shape{3, 200, 1}, Shape{700, 127, 1}, Shape{5, 129, 1}, Shape{1, 100003, 1}, Shape{2, 7, 5},
          Shape{3, 9, 70}, Shape{2, 1, 300}, Shape{1, 5, 20001}, Shape{1, 9001, 33}})
        for (const double share_of_nan : {0.0, 1e-4, 0.3, 1.0}) {
            check_positions<float>(shape, share_of_nan);
            check_positions<double>(shape, share_of_nan);
        }
}

TEST_CASE("a maximum of nothing is an error") {
    const Variable<float> x(Tensor<float>::zeros({2, 0}));
    CHECK_THROWS_WITH_AS(max(x, {1}), "max: x has no elements, its shape is (2, 0)", Error);
    CHECK_THROWS_WITH_AS(argmax(x.value()), "argmax: x has no elements, its shape is (2, 0)", Error);
    CHECK(max(x, {0}).shape() == Shape{0});
}
