#include "gradus/shaping/permute.hpp"

#include <doctest/doctest.h>

#include "gradus/shaping/concat.hpp"
#include "gradus/shaping/reshape.hpp"

using namespace gradus;

namespace {

Variable<float> counting(const Shape& shape) {
    std::vector<float> values(static_cast<std::size_t>(shape.numel()));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
    return Variable<float>(Tensor<float>::from(shape, values), true);
}
using Values = std::vector<float>;

}  // namespace

TEST_CASE("flatten emits channels first") {
    const Variable<float> x = counting({1, 2, 1, 3});  // two pixels of three channels
    CHECK(flatten(x).value().to_vector() == Values{0, 3, 1, 4, 2, 5});
    CHECK(flatten(x).shape() == Shape{1, 6});
    CHECK(flatten(counting({2, 3, 4})).shape() == Shape{2, 12});
}

TEST_CASE("permute and its inverse") {
    const Variable<float> x = counting({2, 3, 4, 5});
    const Variable<float> y = permute(x, {3, 1, 0, 2});
    CHECK(y.shape() == Shape{5, 3, 2, 4});
    const View<const float, 4> a = x.value().read<4>(), b = y.value().read<4>();
    CHECK(b(4, 2, 1, 3) == a(1, 2, 3, 4));
    CHECK(permute(y, {2, 1, 3, 0}).value().to_vector() == x.value().to_vector());
    CHECK(transpose(counting({2, 3})).value().to_vector() == Values{0, 3, 1, 4, 2, 5});
    CHECK_THROWS_AS(permute(x, {0, 1, 2}), Error);
    CHECK_THROWS_AS(permute(x, {0, 1, 2, 2}), Error);
    CHECK_THROWS_AS(permute(x, {0, 1, 2, 4}), Error);
}

TEST_CASE("reshape shares storage, forward and backward") {
    Variable<float> x = counting({2, 6});
    const Variable<float> y = reshape(x, {3, 4});
    CHECK(y.value().shares_storage_with(x.value()));
    const Tensor<float> dy = Tensor<float>::ones({3, 4});
    reset_peak_memory(Cpu{});
    const std::size_t before = memory_stats(Cpu{}).live_bytes;
    reshape(y, {4, 3}).backward(dy.reshape({4, 3}));
    CHECK(memory_stats(Cpu{}).peak_bytes == before + 48);  // the gradient of the leaf, nothing in between
    CHECK(x.grad().shape() == Shape{2, 6});
    reshape(x, {12}).backward(Tensor<float>::ones({12}));
    CHECK(x.grad().to_vector() == Values(12, 2.0f));
    CHECK(dy.to_vector() == Values(12, 1.0f));
    CHECK_THROWS_WITH_AS(reshape(x, {5}), "reshape: (2, 6) has 12 elements, (5,) has 5", Error);
}

TEST_CASE("concat puts tensors side by side, also one of them twice") {
    Variable<float> x = counting({2, 2}), y = counting({2, 1});
    const Variable<float> z = concat({x, y, x}, 1);
    CHECK(z.value().to_vector() == Values{0, 1, 0, 0, 1, 2, 3, 1, 2, 3});
    z.backward(Tensor<float>::from({2, 5}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
    CHECK(x.grad().to_vector() == Values{5, 7, 15, 17});
    CHECK(y.grad().to_vector() == Values{3, 8});
    CHECK_THROWS_WITH_AS(concat({x, y}, 0), "concat: of (2, 2) and (2, 1) along dimension 0", Error);
    CHECK_THROWS_WITH_AS((concat<float, Cpu>(std::vector<Variable<float>>{}, 0)), "concat: of no tensors", Error);
}
