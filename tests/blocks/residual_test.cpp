// blocks/residual.hpp and blocks/shortcut.hpp: shapes, counts, the identity at zero gamma, gradients.
#include "gradus/blocks/residual.hpp"

#include <doctest/doctest.h>

#include "gradus/autograd/gradcheck.hpp"

using namespace gradus;

TEST_CASE("residual: a bottleneck has the parameters of 1x1, 3x3, 1x1") {
    Bottleneck<float> block(256, 64);  // 256 = 4 * 64: no projection
    CHECK(block.parameter_count() == 69632 + 2 * (64 + 64 + 256));
    Bottleneck<float> wider(64, 64);
    CHECK(wider.parameter_count() == 64 * 64 + 9 * 64 * 64 + 64 * 256 + 2 * (64 + 64 + 256) + 64 * 256 + 2 * 256);
}

TEST_CASE("residual: with gamma 0 in the last batch norm a block is relu(x)") {
    manual_seed(4);
    BasicBlock<float> block(8, 8);
    for (const Parameter<float, Cpu>& parameter : block.named_parameters())
        if (parameter.name == "bn2.weight") constant_(*parameter.variable, 0);
    const Tensor<float> x = Tensor<float>::randn({2, 5, 7, 8});
    const std::vector<float> y = block(Variable<float>(x)).value().to_vector();
    const std::vector<float> input = x.to_vector();
    for (std::size_t i = 0; i < y.size(); ++i) CHECK(y[i] == std::max(input[i], 0.0f));
}

TEST_CASE("residual: the pad shortcut takes every second pixel and pads half the channels on each side") {
    Tensor<float> x({1, 3, 4, 2});
    const View<float, 4> v = x.write<4>();
    for (Index h = 0; h < 3; ++h)
        for (Index w = 0; w < 4; ++w)
            for (Index c = 0; c < 2; ++c) v(0, h, w, c) = static_cast<float>(100 * h + 10 * w + c + 1);
    const Tensor<float> y = pad_shortcut(Variable<float>(x), 4, 2).value();
    CHECK(y.shape() == Shape{1, 2, 2, 4});
    CHECK(y.to_vector() == std::vector<float>{0, 1, 2, 0, 0, 21, 22, 0, 0, 201, 202, 0, 0, 221, 222, 0});
}

TEST_CASE("residual: gradients of whole blocks, both shortcuts, with a stride") {
    using V = Variable<double, Reference>;
    manual_seed(5);
    const V x(Tensor<double, Reference>::randn({2, 4, 4, 2}), true);
    for (ShortcutKind kind : {ShortcutKind::pad, ShortcutKind::projection}) {
        BasicBlock<double, Reference> basic(2, 4, {.stride = 2, .shortcut = kind});
        gradcheck([&](const std::vector<V>& in) { return basic(in[0]); }, std::vector<V>{x});
        Bottleneck<double, Reference> bottleneck(2, 1, {.stride = 2, .shortcut = kind});
        gradcheck([&](const std::vector<V>& in) { return bottleneck(in[0]); }, std::vector<V>{x});
    }
}
