// nn/state_dict.hpp: file layout, round trip, refusal of what does not fit.
#include "gradus/nn/state_dict.hpp"

#include <doctest/doctest.h>

#include "gradus/models/cifar_resnet.hpp"

using namespace gradus;

TEST_CASE("state_dict: convolution weights are OIHW in files") {
    const Tensor<float> memory = Tensor<float>::from({1, 1, 2, 3}, {0, 1, 2, 10, 11, 12});  // (O, H, W, I)
    const Tensor<float> file = ohwi_to_oihw(memory);
    CHECK(file.shape() == Shape{1, 3, 1, 2});
    CHECK(file.to_vector() == std::vector<float>{0, 10, 1, 11, 2, 12});
    CHECK(oihw_to_ohwi(file).to_vector() == memory.to_vector());
}

TEST_CASE("state_dict: a model's state loads into another, and both compute the same") {
    manual_seed(1);
    CifarResNet<float> a({.depth = 8, .shortcut = ShortcutKind::projection});
    CifarResNet<float> b({.depth = 8, .shortcut = ShortcutKind::projection});
    const Variable<float> x(Tensor<float>::randn({2, 8, 8, 3}));
    a(x);  // training mode: the running statistics leave their start
    load_state_dict(b, state_dict(a));
    a.eval();
    b.eval();
    CHECK(a(x).value().to_vector() == b(x).value().to_vector());
}

TEST_CASE("state_dict: what does not fit is refused, and nothing is changed") {
    manual_seed(2);
    CifarResNet<float> model({.depth = 8});
    std::vector<NamedTensor<float>> state = state_dict(model);
    const std::vector<float> before = state[0].tensor.to_vector();
    for (NamedTensor<float>& entry : state) entry.tensor = Tensor<float>::zeros(entry.tensor.shape());
    state.back().tensor = Tensor<float>::zeros({3});
    std::string message;
    try {
        load_state_dict(model, state);
    } catch (const Error& error) {
        message = error.what();
    }
    CHECK(message == "load_state_dict: 'layer3.0.bn2.running_var' has shape (3,), the model expects (64,)");
    CHECK(state_dict(model)[0].tensor.to_vector() == before);
    state.pop_back();
    CHECK_THROWS_WITH_AS(load_state_dict(model, state), "load_state_dict: there is no 'layer3.0.bn2.running_var'",
                         Error);
}
