#include "gradus/training/sgd.hpp"
// Covers sgd.hpp and its fast twin sgd_cpu.hpp.

#include <doctest/doctest.h>

#include <cmath>

using namespace gradus;

namespace {

// A parameter of shape (1), w = 1, with the gradients .5 -.3 .2 .1 -.4 at rate 0.1.
template <class P, class D>
std::vector<double> trajectory(const SgdConfig& config, double weight_decay) {
    const Variable<P, D> w(Tensor<P, D>::ones({1}), true);
    Sgd<P, D> sgd({{{w}, weight_decay}}, config);
    std::vector<double> values;
    for (const double g : {0.5, -0.3, 0.2, 0.1, -0.4}) {
        Variable<P, D>(w).mutable_grad() = Tensor<P, D>::full({1}, static_cast<P>(g));
        sgd.step(0.1);
        values.push_back(static_cast<double>(w.value().item()));
    }
    return values;
}

template <class P, class D>
void check_trajectory(const SgdConfig& config, double weight_decay, const std::vector<double>& expected) {
    const std::vector<double> values = trajectory<P, D>(config, weight_decay);
    const double tolerance = sizeof(P) == 8 ? 5e-11 : 3e-7;  // the table has 10 digits; 5 float steps of values near 1
    for (std::size_t i = 0; i < expected.size(); ++i) CHECK(std::abs(values[i] - expected[i]) <= tolerance);
}

// Weights that gradients pull apart, in shapes with and without a tail and above one task of the pool.
template <class D>
std::vector<float> run(Index size, const SgdConfig& config, double weight_decay) {
    Generator generator{7, 0, 0};
    Variable<float, D> w(Tensor<float, D>::randn({size}, generator), true);
    Sgd<float, D> sgd({{{w}, weight_decay, 0.5}}, config);
    for (int i = 0; i < 3; ++i) {
        w.mutable_grad() = Tensor<float, D>::randn({size}, generator);
        sgd.step(0.1);
    }
    return w.value().to_vector();
}

}  // namespace

// The values that PyTorch 1.13 gives in double.
TEST_CASE_TEMPLATE("SGD takes PyTorch's steps", D, Reference, Cpu) {
    const auto check = [](const SgdConfig& config, double decay, const std::vector<double>& expected) {
        check_trajectory<double, D>(config, decay, expected);
        check_trajectory<float, D>(config, decay, expected);
    };
    check({}, 0, {.95, .98, .96, .95, .99});
    check({}, .01, {.949, .978051, .957072949, .9461158761, .9851697602});
    check({.momentum = .9}, 0, {.95, .935, .9015, .86135, .865215});
    check({.momentum = .9, .dampening = .9}, 0, {.95, .908, .8682, .83138, .802242});
    check({.momentum = .9, .nesterov = true}, 0, {.905, .9215, .87135, .825215, .8686935});
    check({.momentum = .9, .nesterov = true}, .01, {.9031, .91707411, .8637211582, .8138877981, .8532687362});
}

TEST_CASE("SGD on Cpu agrees with Reference at every size") {
    for (const Index size : {0, 1, 15, 16, 17, 37, 70001}) {
        for (const SgdConfig& config :
             {SgdConfig{}, SgdConfig{.momentum = 0.9}, SgdConfig{.momentum = 0.9, .nesterov = true}}) {
            const std::vector<float> fast = run<Cpu>(size, config, 1e-2), slow = run<Reference>(size, config, 1e-2);
            float worst = 0;
            for (std::size_t i = 0; i < fast.size(); ++i) worst = std::max(worst, std::abs(fast[i] - slow[i]));
            CHECK(worst <= 4e-6f);  // 3 steps, a few roundings each, of values below 8: 8 eps * 4
        }
    }
}

TEST_CASE("SGD gives the same bits with any number of threads") {
    const int before = thread_count();
    const SgdConfig config{.momentum = 0.9, .nesterov = true};
    set_threads(1);
    const std::vector<float> alone = run<Cpu>(300007, config, 1e-2);
    for (const int threads : {2, 3, 7}) {
        set_threads(threads);
        CHECK(run<Cpu>(300007, config, 1e-2) == alone);
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
