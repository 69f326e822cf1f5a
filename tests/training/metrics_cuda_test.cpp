// What the training code does with tensors of a device whose memory the host cannot read: it copies first.
#include <doctest/doctest.h>

#include "gradus/machine/cuda/cuda_memory.hpp"
#include "gradus/nn/init.hpp"
#include "gradus/training/metrics.hpp"

using namespace gradus;

TEST_CASE("accuracy of logits on Cuda") {
    const Tensor<float, Cuda> logits =
        Tensor<float, Cuda>::from({4, 3}, {2, 1, .1f, .5f, 2.5f, -1, -.3f, .2f, 1.7f, 1, -1, 0});
    const Tensor<std::int64_t, Cuda> labels = Tensor<std::int64_t, Cuda>::from({4}, {0, 1, 2, 1});
    CHECK(accuracy(logits, labels) == 0.75);
    CHECK(accuracy(logits, labels, 3) == 1);
}

TEST_CASE("parameters on Cuda start as on the host") {
    const auto draw = []<class D>(D) {
        Generator generator{3, 0, 0};
        Variable<float, D> weight(Tensor<float, D>::zeros({5, 3, 3, 2}), true),
            bias(Tensor<float, D>::zeros({5}), true);
        kaiming_normal_(weight, generator);
        default_uniform_(bias, 18, generator);
        std::vector<float> values = weight.value().to_vector();
        for (const float b : bias.value().to_vector()) values.push_back(b);
        constant_(bias, 0.5);
        for (const float b : bias.value().to_vector()) values.push_back(b);
        return values;
    };
    CHECK(draw(Cuda{}) == draw(Cpu{}));
}
