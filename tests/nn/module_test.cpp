// nn/module.hpp: registration, paths, modes, the observer.
#include "gradus/nn/module.hpp"

#include <doctest/doctest.h>

#include "gradus/nn/activation.hpp"
#include "gradus/nn/linear_layer.hpp"
#include "gradus/nn/sequential.hpp"

using namespace gradus;

namespace {

struct Net : Module<float> {
    Linear<float> first{4, 3};
    Sequential<float> rest;
    Tensor<float> steps = Tensor<float>::zeros({1});
    Net() {
        child("first", first);
        rest.add<ReLU<float>>().add<Linear<float>>(3, 2, LinearConfig{.bias = false});
        child("rest", rest);
        buffer("steps", steps);
    }
    Variable<float> forward(const Variable<float>& x) override { return rest(first(x)); }
};

std::vector<std::string> names(Net& net) {
    std::vector<std::string> all;
    for (const Parameter<float, Cpu>& parameter : net.named_parameters()) all.push_back(parameter.name);
    return all;
}

struct Paths final : ForwardObserver<float, Cpu> {
    std::vector<std::string> seen;
    void after_forward(const ModuleTree<float, Cpu>& module, const Shape&, const Shape& output) override {
        seen.push_back(text(layer_path(), " ", module.type(), " ", output));
    }
};

}  // namespace

TEST_CASE("module: parameters and buffers have paths, in order of registration") {
    Net net;
    CHECK(names(net) == std::vector<std::string>{"first.weight", "first.bias", "rest.1.weight"});
    CHECK(net.parameter_count() == 4 * 3 + 3 + 3 * 2);
    CHECK(net.own_parameter_count() == 0);
    REQUIRE(net.named_buffers().size() == 1);
    CHECK(net.named_buffers()[0].name == "steps");
}

TEST_CASE("module: train and eval reach every child") {
    Net net;
    net.eval();
    CHECK_FALSE(net.rest.is_training());
    net.train();
    CHECK(net.first.is_training());
}

TEST_CASE("module: gradients reach all parameters, zero_grad drops them") {
    Net net;
    const Variable<float> y = net(Variable<float>(Tensor<float>::ones({5, 4})));
    y.backward(Tensor<float>::ones({5, 2}));
    for (const Parameter<float, Cpu>& parameter : net.named_parameters()) CHECK(parameter.variable->grad().defined());
    net.zero_grad();
    for (const Parameter<float, Cpu>& parameter : net.named_parameters())
        CHECK_FALSE(parameter.variable->grad().defined());
}

TEST_CASE("module: an observer sees every layer with its path and output shape") {
    Net net;
    Paths paths;
    net(Variable<float>(Tensor<float>::ones({5, 4})));
    CHECK(paths.seen == std::vector<std::string>{"first Linear (5, 3)", "rest.0 relu (5, 3)", "rest.1 Linear (5, 2)",
                                                 "rest Sequential (5, 2)", " Module (5, 2)"});
}

TEST_CASE("module: one module cannot be registered twice") {
    struct Twice : Module<float> {
        Linear<float> layer{1, 1};
        Twice() {
            child("a", layer);
            child("b", layer);
        }
        Variable<float> forward(const Variable<float>& x) override { return layer(x); }
    };
    CHECK_THROWS_WITH_AS(Twice(), "module: 'b' is registered already, as 'a'", Error);
}

TEST_CASE("module: names are the keys of a state dict: not empty, no dot, each once") {
    struct Named : Module<float> {
        Linear<float> a{2, 2}, b{2, 2};
        Tensor<float> steps = Tensor<float>::zeros({1});
        Named(const std::string& first, const std::string& second) { child(first, a), child(second, b); }
        void add_steps(const std::string& name) { buffer(name, steps); }
        Variable<float> forward(const Variable<float>& x) override { return b(a(x)); }
    };
    CHECK_THROWS_WITH_AS(Named("fc", "fc"), "module: there is a 'fc' already", Error);
    CHECK_THROWS_WITH_AS(Named("", "fc"), "module: a name must have a character and no dot, got ''", Error);
    CHECK_THROWS_WITH_AS(Named("fc", "fc.1"), "module: a name must have a character and no dot, got 'fc.1'", Error);
    Named net("a", "b");
    CHECK_THROWS_WITH_AS(net.add_steps("b"), "module: there is a 'b' already", Error);
    net.add_steps("c");
}

TEST_CASE("module: the optimiser's parameters are the named ones") {
    Net net;
    const std::vector<Variable<float>> all = net.parameters();
    const std::vector<Parameter<float, Cpu>> named = net.named_parameters();
    REQUIRE(all.size() == named.size());
    for (std::size_t i = 0; i < all.size(); ++i) CHECK(all[i].place() == named[i].variable->place());
}

TEST_CASE("module: evaluation mode and the observer end with their scope, also after an error") {
    Net net;
    try {
        const EvaluationScope evaluation(net);
        Paths paths;
        CHECK_FALSE(net.is_training());
        CHECK(forward_observer<float, Cpu>() == &paths);
        net(Variable<float>(Tensor<float>::zeros({1, 5})));
        FAIL("a wrong shape was accepted");
    } catch (const Error&) {
    }
    CHECK(net.is_training());
    CHECK(net.rest.is_training());
    CHECK(forward_observer<float, Cpu>() == nullptr);
}
