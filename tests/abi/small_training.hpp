// Three training steps of a small convolutional network, for the programs of this folder. In an unnamed namespace,
// because each translation unit compiles its own copy with its own flags.
#pragma once

#include <vector>

#include "gradus/nn/batch_norm2d.hpp"
#include "gradus/nn/conv2d_layer.hpp"
#include "gradus/nn/linear_layer.hpp"
#include "gradus/pooling/global_avg_pool2d.hpp"
#include "gradus/softmax/cross_entropy.hpp"
#include "gradus/training/sgd.hpp"

namespace {

struct SmallNetwork final : gradus::Module<float> {
    gradus::Conv2d<float> conv1{3, 16, {.kernel = 3, .padding = 1}};
    gradus::BatchNorm2d<float> bn1{16, {.relu = true}};
    gradus::Conv2d<float> conv2{16, 32, {.kernel = 3, .stride = 2, .padding = 1, .bias = false}};
    gradus::BatchNorm2d<float> bn2{32, {.relu = true}};
    gradus::Linear<float> fc{32, 3};

    SmallNetwork() {
        child("conv1", conv1), child("bn1", bn1), child("conv2", conv2), child("bn2", bn2), child("fc", fc);
    }
    gradus::Variable<float> forward(const gradus::Variable<float>& x) override {
        return fc(gradus::global_avg_pool2d(bn2(conv2(bn1(conv1(x))))));
    }
};

struct SmallTraining {
    std::vector<float> losses;
    std::vector<float> weights;  // of all parameters, in order
};

SmallTraining train_small_network() {
    using namespace gradus;
    manual_seed(1);
    SmallNetwork net;
    const std::vector<Variable<float>> parameters = net.parameters();
    Sgd<float> sgd(no_bias_decay(parameters, 1e-4), {.momentum = 0.9, .nesterov = true});

    const Variable<float> images(Tensor<float>::randn({6, 8, 8, 3}));
    const Tensor<std::int64_t> labels = Tensor<std::int64_t>::from({6}, {0, 1, 2, 0, 1, 2});
    SmallTraining result;
    for (int step = 0; step < 3; ++step) {
        sgd.zero_grad();
        const Variable<float> loss = cross_entropy(net(images), labels);
        loss.backward();
        sgd.step(0.05);
        result.losses.push_back(loss.item());
    }
    for (const Variable<float>& parameter : parameters)
        for (const float weight : parameter.value().to_vector()) result.weights.push_back(weight);
    return result;
}

}  // namespace
