#include "gradus/training/sgd.hpp"
// Covers sgd.hpp and its fast twin sgd_cpu.hpp.

#include <doctest/doctest.h>

#include <cmath>

#include "training/sgd_checks.hpp"

using namespace gradus;

TEST_CASE_TEMPLATE("SGD takes PyTorch's steps", D, Reference, Cpu) {
    check_pytorch_steps<double, D>();
    check_pytorch_steps<float, D>();
}

TEST_CASE("SGD on Cpu agrees with Reference at every size") {
    for (const Index size : {0, 1, 15, 16, 17, 37, 70001}) {
        for (const SgdConfig& config :
             {SgdConfig{}, SgdConfig{.momentum = 0.9}, SgdConfig{.momentum = 0.9, .nesterov = true}}) {
            const auto fast = three_steps<float, Cpu>(size, 0, config);
            CHECK(worst_difference(fast, three_steps<float, Reference>(size, 0, config)) <= three_steps_error);
        }
    }
}

TEST_CASE("SGD gives the same bits with any number of threads") {
    const int before = thread_count();
    const SgdConfig config{.momentum = 0.9, .nesterov = true};
    set_threads(1);
    const std::vector<float> alone = three_steps<float, Cpu>(300007, 0, config);
    for (const int threads : {2, 3, 7}) {
        set_threads(threads);
        CHECK(three_steps<float, Cpu>(300007, 0, config) == alone);
    }
    set_threads(before);
}

TEST_CASE("SGD scales the rate by group and leaves parameters without a gradient alone") {
    Variable<float> a(Tensor<float>::ones({1}), true), b(Tensor<float>::ones({1}), true),
        c(Tensor<float>::ones({1}), true);
    Sgd<float> sgd({{{a, c}, 0, 1}, {{b}, 0, 0.5}}, {.momentum = 0.9});
    a.mutable_grad() = Tensor<float>::ones({1});
    b.mutable_grad() = Tensor<float>::ones({1});
    sgd.step(0.5);
    CHECK(a.value().item() == 0.5f);
    CHECK(b.value().item() == 0.75f);
    CHECK(c.value().item() == 1.0f);
    CHECK(sgd.velocities().size() == 3);
    CHECK(sgd.velocities()[0].defined());
    CHECK(!sgd.velocities()[1].defined());  // c has not taken a step
    sgd.zero_grad();
    CHECK(!a.grad().defined());
}

TEST_CASE_TEMPLATE("SGD takes its rate from a tensor as it takes a number", D, Reference, Cpu) {
    for (const SgdConfig& config : {SgdConfig{}, SgdConfig{.momentum = 0.9, .nesterov = true}}) {
        std::vector<float> ends[2];
        for (const bool is_tensor : {false, true}) {
            Generator generator{7, 0, 0};
            Variable<float, D> w(Tensor<float, D>::randn({37}, generator), true);
            Sgd<float, D> sgd({{{w}, 1e-2, 0.5}}, config);
            for (const double rate : {0.1, 0.03, 0.0}) {
                w.mutable_grad() = Tensor<float, D>::randn({37}, generator);
                if (is_tensor)
                    sgd.step(Tensor<float, D>::scalar(static_cast<float>(rate)));
                else
                    sgd.step(rate);
            }
            ends[is_tensor] = w.value().to_vector();
        }
        CHECK(ends[0] == ends[1]);
    }
    const Variable<float, D> w(Tensor<float, D>::ones({1}), true);
    Sgd<float, D> sgd({w}, {});
    CHECK_THROWS_WITH_AS(sgd.step(Tensor<float, D>::ones({2})),
                         "sgd: the learning rate must be one number, got the shape (2,)", Error);
}

TEST_CASE("SGD resumes from its velocities, bit for bit") {
    const SgdConfig config{.momentum = 0.9, .dampening = 0.5};
    const auto take_steps = [](Sgd<float>& sgd, Variable<float> w, Generator& generator, int steps) {
        for (int i = 0; i < steps; ++i) {
            w.mutable_grad() = Tensor<float>::randn({40}, generator);
            sgd.step(0.1);
        }
    };
    Generator generator{1, 0, 0};
    const Variable<float> w(Tensor<float>::randn({40}, generator), true);
    Sgd<float> sgd({w}, config);
    take_steps(sgd, w, generator, 2);

    Generator resumed_generator = generator;
    const Variable<float> resumed_w(w.value().clone(), true);
    Sgd<float> resumed({resumed_w}, config);
    resumed.velocities()[0] = sgd.velocities()[0].clone();
    take_steps(sgd, w, generator, 2);
    take_steps(resumed, resumed_w, resumed_generator, 2);
    CHECK(w.value().to_vector() == resumed_w.value().to_vector());
}

TEST_CASE("SGD counts a write, so that a graph which saved the old weights notices") {
    Variable<float> w(Tensor<float>::ones({3}), true);
    const Saved<float, Cpu> saved(w.value());
    Sgd<float> sgd({w}, {});
    sgd.step(0.1);
    CHECK(saved.get().to_vector() == std::vector<float>(3, 1));  // no gradient, no write
    w.mutable_grad() = Tensor<float>::ones({3});
    sgd.step(0.1);
    CHECK_THROWS_AS(saved.get(), Error);
}

TEST_CASE("no_bias_decay decays weights of rank 2 and more only") {
    const Variable<float> conv(Tensor<float>::ones({4, 3, 3, 2}), true), fc(Tensor<float>::ones({10, 4}), true),
        gamma(Tensor<float>::ones({4}), true);
    const std::vector<ParameterGroup<float>> groups = no_bias_decay<float, Cpu>({conv, gamma, fc}, 1e-4);
    REQUIRE(groups.size() == 2);
    CHECK(groups[0].parameters.size() == 2);
    CHECK(groups[0].weight_decay == 1e-4);
    CHECK(groups[1].parameters.size() == 1);
    CHECK(groups[1].weight_decay == 0);
    CHECK(groups[1].parameters[0].value().shares_storage_with(gamma.value()));
}

TEST_CASE("SGD refuses what has no meaning") {
    const Variable<float> w(Tensor<float>::ones({1}), true);
    CHECK_THROWS_AS(Sgd<float>({w}, {.nesterov = true}), Error);
    CHECK_THROWS_AS(Sgd<float>({w}, {.momentum = 0.9, .dampening = 0.1, .nesterov = true}), Error);
    CHECK_THROWS_AS(Sgd<float>({w}, {.momentum = -1}), Error);
    CHECK_THROWS_WITH_AS(Sgd<float>({w}, {.momentum = 1}), "sgd: momentum must be in [0, 1), got 1", Error);
    CHECK_THROWS_AS(Sgd<float>({{{w}, -1e-4}}, {}), Error);
    CHECK_THROWS_AS(Sgd<float>({{{w}, 0, -1}}, {}), Error);
    CHECK_THROWS_WITH_AS(Sgd<float>({w, w}, {}), "sgd: a parameter of shape (1,) is listed twice", Error);
    Sgd<float> sgd({w}, {});
    CHECK_THROWS_WITH_AS(sgd.step(-0.1), "sgd: the learning rate must be finite and not negative, got -0.1", Error);
}
