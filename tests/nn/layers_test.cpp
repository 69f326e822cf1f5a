// The small layers: flatten_layer.hpp, dropout_layer.hpp, pool_layers.hpp, linear_layer.hpp, conv2d_layer.hpp,
// batch_norm2d.hpp, activation.hpp, sequential.hpp. What they compute is tested beside the operations; here is what
// the layers add: shapes, modes, parameters, errors.
#include <doctest/doctest.h>

#include "gradus/nn/activation.hpp"
#include "gradus/nn/batch_norm2d.hpp"
#include "gradus/nn/conv2d_layer.hpp"
#include "gradus/nn/dropout_layer.hpp"
#include "gradus/nn/flatten_layer.hpp"
#include "gradus/nn/linear_layer.hpp"
#include "gradus/nn/pool_layers.hpp"
#include "gradus/nn/sequential.hpp"

using namespace gradus;

TEST_CASE("layers: a LeNet of layers has the shapes that one would expect") {
    Sequential<float> net;
    net.add<Conv2d<float>>(1, 6, Conv2dConfig{.kernel = 5, .padding = 2}).add<ReLU<float>>();
    net.add<MaxPool2d<float>>();                               // 14x14
    net.add<Conv2d<float>>(6, 16, Conv2dConfig{.kernel = 5});  // 10x10
    net.add<AvgPool2d<float>>().add<Flatten<float>>().add<Linear<float>>(16 * 5 * 5, 10);
    const Variable<float> x(Tensor<float>::ones({3, 28, 28, 1}));
    CHECK(net(x).shape() == Shape{3, 10});
    CHECK(net.parameter_count() == 6 * 25 + 6 + 16 * 6 * 25 + 16 + 400 * 10 + 10);
}

TEST_CASE("layers: what a convolution of 64 to 128 channels costs on 56x56") {
    const Shape input{1, 56, 56, 64}, output{1, 56, 56, 128};
    const auto check = [&](const Conv2dConfig& config, Index out, Index parameters, Index macs) {
        Conv2d<float> layer(64, out, config);
        CHECK(layer.parameter_count() == parameters);
        CHECK(layer.macs(input, out == 64 ? input : output) == macs);
    };
    check({.kernel = 3, .padding = 1, .bias = false}, 128, 73728, 231211008);
    check({.kernel = 3, .padding = 1, .groups = 4, .bias = false}, 128, 18432, 57802752);
    check({.kernel = 3, .padding = 1, .groups = 64, .bias = false}, 64, 576, 1806336);  // depthwise, and then
    check({.kernel = 1, .bias = false}, 128, 8192, 25690112);                           // pointwise
}

TEST_CASE("layers: Flatten emits channels first, as PyTorch does") {
    Flatten<float> flatten_layer;
    const Variable<float> x(Tensor<float>::from({1, 1, 2, 2}, {0, 10, 1, 11}));  // (N, H, W, C)
    CHECK(flatten_layer(x).value().to_vector() == std::vector<float>{0, 1, 10, 11});
}

TEST_CASE("layers: Dropout drops in training only") {
    manual_seed(1);
    Dropout<float> layer(0.25);
    const Variable<float> x(Tensor<float>::ones({1000}));
    double kept = 0;
    for (float value : layer(x).value().to_vector()) {
        CHECK((value == 0.0f || value == doctest::Approx(4 / 3.0)));
        kept += value != 0;
    }
    CHECK(kept == doctest::Approx(750).epsilon(0.08));  // the deviation of 1000 draws is 14
    layer.eval();
    CHECK(layer(x).value().to_vector() == x.value().to_vector());
    CHECK_THROWS_AS(Dropout<float>(1.0), Error);
}

TEST_CASE("layers: pooling layers") {
    const Variable<float> x(Tensor<float>::from({1, 2, 2, 1}, {1, 2, 3, 6}));
    GlobalAvgPool2d<float> global;
    CHECK(global(x).shape() == Shape{1, 1});
    CHECK(global(x).item() == 3);
    AdaptiveAvgPool2d<float> adaptive(1, 2);
    CHECK(adaptive(x).value().to_vector() == std::vector<float>{2, 4});
    MaxPool2d<float> most;
    CHECK(most(x).item() == 6);
}

TEST_CASE("layers: BatchNorm2d uses the batch in training and the running statistics in evaluation") {
    BatchNorm2d<float> layer(1);
    const Variable<float> x(Tensor<float>::from({4, 1, 1, 1}, {1, 2, 3, 4}));
    layer(x);
    CHECK(layer.running_mean.item() == doctest::Approx(0.25));                // 0.1 * 2.5
    CHECK(layer.running_var.item() == doctest::Approx(0.9 + 0.1 * 5 / 3.0));  // unbiased: 5/3
    layer.eval();
    CHECK(layer(x).value().to_vector()[0] == doctest::Approx((1 - 0.25) / std::sqrt(0.9 + 0.1 * 5 / 3.0 + 1e-5)));
    CHECK(layer.running_mean.item() == doctest::Approx(0.25));
}

TEST_CASE("layers: sizes that make no sense are refused") {
    CHECK_THROWS_AS(Conv2d<float>(3, 8, {.kernel = 3, .groups = 2}), Error);
    CHECK_THROWS_AS(Conv2d<float>(0, 8), Error);
    CHECK_THROWS_AS(Linear<float>(3, 0), Error);
}

TEST_CASE("layers: an activation may have a parameter of its own") {
    Activation<LeakyRelu, float> usual, steep(LeakyRelu{0.5});
    const Variable<float> x(Tensor<float>::from({2}, {-2, 3}));
    CHECK(usual(x).value().to_vector() == std::vector<float>{-2 * 0.01f, 3});
    CHECK(steep(x).value().to_vector() == std::vector<float>{-1, 3});
}
