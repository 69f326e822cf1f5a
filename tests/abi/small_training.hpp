// Three training steps of a small residual network, for the programs of this folder. In an unnamed namespace, because
// each translation unit compiles its own copy with its own flags.
#pragma once

#include <vector>

#include "gradus/models/cifar_resnet.hpp"
#include "gradus/softmax/cross_entropy.hpp"
#include "gradus/training/sgd.hpp"

namespace {

struct SmallTraining {
    std::vector<float> losses;
    std::vector<float> weights;  // of all parameters, in order
};

SmallTraining train_small_network() {
    using namespace gradus;
    manual_seed(1);
    CifarResNet<float> net({.depth = 8, .classes = 3});
    std::vector<Variable<float>> parameters;
    for (const Parameter<float, Cpu>& parameter : net.parameters()) parameters.push_back(*parameter.variable);
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
