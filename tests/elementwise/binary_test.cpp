#include "gradus/elementwise/binary.hpp"

#include <doctest/doctest.h>

#include "gradus/elementwise/scalar.hpp"

using namespace gradus;

namespace {

Variable<float> counting(const Shape& shape) {
    std::vector<float> values(static_cast<std::size_t>(shape.numel()));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i + 1);
    return Variable<float>(Tensor<float>::from(shape, values), true);
}
using Values = std::vector<float>;

}  // namespace

TEST_CASE("a row and a column make a table") {
    Variable<float> x = counting({2, 1}), y = counting({3});
    const Variable<float> z = mul(x, y);
    CHECK(z.shape() == Shape{2, 3});
    CHECK(z.value().to_vector() == Values{1, 2, 3, 2, 4, 6});
    z.backward(Tensor<float>::ones({2, 3}));
    CHECK(x.grad().to_vector() == Values{6, 6});     // the sum of y
    CHECK(y.grad().to_vector() == Values{3, 3, 3});  // the sum of x
}

TEST_CASE("a sum passes its gradient on without a copy") {
    Variable<float> x = counting({1000});
    Variable<float> y = shift(x, 1);
    for (int i = 0; i < 5; ++i) y = add(y, x);
    const Tensor<float> dy = Tensor<float>::ones({1000});
    reset_peak_memory(Cpu{});
    const std::size_t before = memory_stats(Cpu{}).live_bytes;
    y.backward(dy);
    CHECK(memory_stats(Cpu{}).peak_bytes == before + 4000);  // the gradient of the leaf, nothing in between
    CHECK(x.grad().to_vector() == Values(1000, 6.0f));
}

TEST_CASE("a gradient that is shared is not written to") {
    Variable<float> x = counting({2}), y = counting({2});
    const Tensor<float> dz = Tensor<float>::ones({2});
    add(add(x, y), x).backward(dz);
    CHECK(x.grad().to_vector() == Values{2, 2});
    CHECK(y.grad().to_vector() == Values{1, 1});
    CHECK(dz.to_vector() == Values{1, 1});
}

TEST_CASE("x - x, x * x and x / x with one variable") {
    Variable<float> x = counting({3});
    sub(x, x).backward(Tensor<float>::ones({3}));
    CHECK(x.grad().to_vector() == Values{0, 0, 0});
    x.zero_grad();
    mul(x, x).backward(Tensor<float>::ones({3}));
    CHECK(x.grad().to_vector() == Values{2, 4, 6});
    x.zero_grad();
    div(x, x).backward(Tensor<float>::ones({3}));
    CHECK(x.grad().to_vector() == Values{0, 0, 0});
}

TEST_CASE("the maximum splits the gradient of a tie") {
    Variable<float> x(Tensor<float>::from({3}, {1, 2, 3}), true), y(Tensor<float>::from({3}, {2, 2, 2}), true);
    const Variable<float> z = maximum(x, y);
    CHECK(z.value().to_vector() == Values{2, 2, 3});
    z.backward(Tensor<float>::ones({3}));
    CHECK(x.grad().to_vector() == Values{0, 0.5f, 1});
    CHECK(y.grad().to_vector() == Values{1, 0.5f, 0});
}

TEST_CASE("a constant operand costs no gradient and keeps nothing for it") {
    const std::size_t before = memory_stats(Cpu{}).live_bytes;
    Variable<float> x = counting({100});
    Variable<float> z;
    {
        const Variable<float> constant(Tensor<float>::ones({100}));
        z = mul(x, constant);  // dx needs the constant, nobody needs x
    }
    x.mutable_value() = {};
    z.mutable_value() = {};
    CHECK(memory_stats(Cpu{}).live_bytes == before + 100 * sizeof(float));
}

TEST_CASE("shapes that do not broadcast are named") {
    CHECK_THROWS_WITH_AS(add(counting({2, 3}), counting({2})), "add: shapes (2, 3) and (2,) do not broadcast", Error);
}
