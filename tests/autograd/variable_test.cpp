#include "gradus/autograd/variable.hpp"

#include <doctest/doctest.h>

#include "gradus/elementwise/scalar.hpp"
#include "gradus/reduction/sum.hpp"
#include "gradus/shaping/reshape.hpp"

using namespace gradus;

namespace {

std::size_t live_bytes() { return memory_stats(Cpu{}).live_bytes; }
Variable<double> leaf(double value) { return Variable<double>(Tensor<double>::scalar(value), true); }

}  // namespace

TEST_CASE("a leaf is data or a parameter") {
    const Variable<float> data(Tensor<float>::ones({2}));
    const Variable<float> parameter(Tensor<float>::ones({2}), true);
    CHECK(data.is_leaf());
    CHECK(!data.requires_grad());
    CHECK(parameter.requires_grad());
    CHECK(!relu(data).requires_grad());
    CHECK(relu(parameter).requires_grad());
    CHECK(!relu(parameter).is_leaf());
    CHECK(!relu(parameter).detach().requires_grad());
    CHECK(!Variable<float>().defined());
    CHECK(!Variable<float>().requires_grad());
}

TEST_CASE("nothing is recorded while a NoGrad lives") {
    const Variable<double> x = leaf(2);
    {
        const NoGrad no_grad;
        CHECK(!(x * x).requires_grad());
        { const NoGrad nested; }
        CHECK(!(x * x).requires_grad());
    }
    CHECK((x * x).requires_grad());
}

TEST_CASE("a graph with branches: every node runs once, after all that use its output") {
    Variable<double> x = leaf(3);
    const Variable<double> y = x * x;              // 9
    const Variable<double> z = y * x + y / 2 + x;  // x^3 + x^2/2 + x
    z.backward();
    CHECK(x.grad().item() == 27 + 3 + 1);
}

TEST_CASE("gradients add up until they are reset") {
    Variable<double> x = leaf(3);
    (x * x).backward();
    (x * x).backward();
    CHECK(x.grad().item() == 12);
    x.zero_grad();
    CHECK(!x.grad().defined());
    (2 * x).backward();
    CHECK(x.grad().item() == 2);
}

TEST_CASE("a constant gets no gradient") {
    Variable<double> x = leaf(3), constant(Tensor<double>::scalar(5));
    (x * constant).backward();
    CHECK(x.grad().item() == 5);
    CHECK(!constant.grad().defined());
}

TEST_CASE("only leaves keep their gradient") {
    Variable<double> x = leaf(3);
    const Variable<double> y = x * x;
    (2 * y).backward();
    CHECK(!y.grad().defined());
    CHECK(x.grad().item() == 12);
}

TEST_CASE("the gradient of a leaf is its own: writing to one changes no other") {
    Variable<float> a(Tensor<float>::ones({2}), true), b(Tensor<float>::ones({2}), true);
    const Tensor<float> dy = Tensor<float>::ones({2});
    add(a, reshape(b, {2})).backward(dy);
    a.mutable_grad().write<1>()(0) = 7;
    CHECK(b.grad().to_vector() == std::vector<float>{1, 1});
    CHECK(dy.to_vector() == std::vector<float>{1, 1});
}

TEST_CASE("a shared gradient is copied before it is added to") {
    Variable<float> x(Tensor<float>::ones({2}), true);
    const Variable<float> y = scale(x, 3), z = scale(x, 5);  // y and z take the same dy from the sum
    add(add(y, z), y).backward(Tensor<float>::ones({2}));
    CHECK(x.grad().to_vector() == std::vector<float>{11, 11});
}

TEST_CASE("20,000 operations in a row") {
    Variable<double> x = leaf(1);
    {
        Variable<double> y = x;
        for (int i = 0; i < 20000; ++i) y = y + x;
        CHECK(y.item() == 20001);
        y.backward();
        CHECK(x.grad().item() == 20001);
    }
    const std::size_t before = live_bytes();
    {
        Variable<double> y = x;
        for (int i = 0; i < 20000; ++i) y = y * 1.0001;
    }  // a graph that backward has not walked is as deep
    CHECK(live_bytes() == before);
}

TEST_CASE("backward frees the graph as it walks") {
    Variable<float> x(Tensor<float>::ones({1000}), true);
    const std::size_t before = live_bytes();
    Variable<float> y = x;
    for (int i = 0; i < 10; ++i) y = exp(scale(y, 0.1));  // each keeps its result of 4,000 bytes
    y = sum(y);
    const std::size_t with_graph = live_bytes();
    CHECK(with_graph == before + 10 * 4000 + 4);
    reset_peak_memory(Cpu{});
    y.backward();
    CHECK(memory_stats(Cpu{}).peak_bytes < with_graph + 3 * 4000);
    CHECK(live_bytes() == before + 4 + 4000);  // y's value and x's gradient
    x.zero_grad();
    y = {};
    CHECK(live_bytes() == before);
}

TEST_CASE("a second backward through the same graph is an error") {
    Variable<double> x = leaf(3);
    const Variable<double> y = x * x, z = y * 2;
    z.backward();
    const char* message =
        "backward: this part of the graph has been freed by an earlier backward(); run the forward pass again";
    CHECK_THROWS_WITH_AS(z.backward(), message, Error);
    const Variable<double> late = y + 1;
    CHECK_THROWS_WITH_AS(late.backward(), message, Error);
    CHECK_FALSE(late.grad().defined());  // the error left nothing behind
}

TEST_CASE("writing to a tensor that backward needs is an error") {
    Variable<double> x = leaf(3), w = leaf(2);
    const Variable<double> y = x * w;
    w.mutable_value().write<1>()(0) = 5;
    CHECK_THROWS_WITH_AS(y.backward(),
                         "backward: a tensor of shape () that was saved for the gradient has been written to since "
                         "the forward pass",
                         Error);
    const Variable<double> z = x + w;  // keeps nothing
    w.mutable_value().write<1>()(0) = 6;
    x.zero_grad();
    z.backward();
    CHECK(x.grad().item() == 1);
}

TEST_CASE("an undefined Variable has no gradient and no backward") {
    Variable<float> undefined;
    CHECK(undefined.is_leaf());
    CHECK_FALSE(undefined.requires_grad());
    CHECK_THROWS_WITH_AS(undefined.backward(), "backward: of an undefined Variable", Error);
    CHECK_THROWS_WITH_AS(undefined.grad(), "variable: the gradient of an undefined Variable", Error);
    CHECK_THROWS_AS(undefined.zero_grad(), Error);
}

TEST_CASE("backward needs one number, or the gradient of all") {
    Variable<float> x(Tensor<float>::ones({2}), true);
    CHECK_THROWS_WITH_AS(relu(x).backward(),
                         "backward: of a result of shape (2,), which is not one number; give the gradient dy of its "
                         "elements",
                         Error);
    CHECK_THROWS_WITH_AS(relu(x).backward(Tensor<float>::ones({3})), "backward: dy has shape (3,), the result (2,)",
                         Error);
    const Variable<float> data(Tensor<float>::ones({1}));
    CHECK_THROWS_WITH_AS(relu(data).backward(), "backward: nothing that led to this result requires a gradient", Error);
}

TEST_CASE("backward from a leaf does not overwrite what the leaf has") {
    Variable<double> x = leaf(3);
    x.backward();
    CHECK(x.grad().item() == 1);
    CHECK_THROWS_AS(x.backward(), Error);
    CHECK(x.grad().item() == 1);
}

TEST_CASE("an error in backward names the layer of the operation") {
    Variable<double> x = leaf(3), w = leaf(2);
    Variable<double> y;
    {
        const LayerScope stage("layer1"), layer("gate");
        y = x * w;
    }
    w.mutable_value().write<1>()(0) = 5;
    CHECK_THROWS_WITH_AS(y.backward(), doctest::Contains("backward (layer1.gate): a tensor of shape ()"), Error);
}
