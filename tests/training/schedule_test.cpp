#include "gradus/training/schedule.hpp"

#include <doctest/doctest.h>

#include <cmath>

using namespace gradus;

namespace {

void check_rates(const Schedule& schedule, const std::vector<double>& expected) {
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const double lr = schedule(static_cast<Index>(i));
        CHECK_MESSAGE(std::abs(lr - expected[i]) <= 6e-11, "step ", i, ": ", lr);  // the table has 10 digits
    }
}

}  // namespace

// The values that PyTorch 1.13 gives, and where named the paper's.
TEST_CASE("step decays") {
    check_rates(ConstantRate{.lr = 0.1}, {.1, .1, .1});
    check_rates(StepDecay{.lr = 0.1, .every = 3}, {.1, .1, .1, .01, .01, .01, .001});
    check_rates(StepDecay{.lr = 0.1, .every = 1, .factor = 0.9}, {.1, .09, .081, .0729, .06561});
    check_rates(MultiStepDecay{.lr = 0.1, .milestones = {2, 5}}, {.1, .1, .01, .01, .01, .001});
}

TEST_CASE("cosine decay ends and stays at its last rate") {
    check_rates(CosineDecay{.lr = 0.1, .steps = 10}, {.1, .0975528258, .0904508497, .0793892626, .0654508497, .05,
                                                      .0345491503, .0206107374, .0095491503, .0024471742, 0, 0, 0});
    const CosineDecay above{.lr = 0.1, .steps = 10, .last = 0.001};
    CHECK(above(5) == doctest::Approx(.0505));
    CHECK(above(10) == .001);
    CHECK(above(1000) == .001);
}

TEST_CASE("warm-up, PyTorch's and Goyal's") {
    check_rates(LinearWarmup{.lr = 0.1, .steps = 5}, {.1 / 3, .14 / 3, .06, .22 / 3, .26 / 3, .1, .1});
    check_rates(GradualWarmup{.lr = 0.4, .steps = 5}, {.08, .16, .24, .32, .40, .40});
}

TEST_CASE("schedules compose") {
    check_rates(
        Then{GradualWarmup{.lr = 0.4, .steps = 4}, 4, CosineDecay{.lr = 0.4, .steps = 8}},
        {.1, .2, .3, .4, .4, .3847759065, .3414213562, .2765366865, .2, .1234633135, .0585786438, .0152240935, 0, 0});
    const Then three{ConstantRate{1}, 1, Then{ConstantRate{2}, 2, ConstantRate{3}}};
    check_rates(three, {1, 2, 2, 3, 3});
}

TEST_CASE("a schedule is any function of the step") {
    const auto sawtooth = [](Index step) { return step % 2 == 0 ? 0.1 : 0.2; };
    check_rates(Then{sawtooth, 3, ConstantRate{0.3}}, {.1, .2, .1, .3});
}

TEST_CASE("a schedule refuses a step before the first, and half a composition") {
    CHECK_THROWS_AS(MultiStepDecay({.lr = 1, .milestones = {2}})(-1), Error);
    CHECK_THROWS_AS(Then({ConstantRate{1}, 2, ConstantRate{2}})(-1), Error);
    CHECK_THROWS_WITH_AS(Then({{}, 2, ConstantRate{2}})(0), "then: needs two schedules and a step from 0 on, got 0",
                         Error);
}

TEST_CASE("linear scaling") {
    CHECK(linear_scaled_lr(0.1, 1024) == doctest::Approx(0.4));
    CHECK(linear_scaled_lr(0.1, 2048) == doctest::Approx(0.8));
    CHECK(linear_scaled_lr(0.1, 256) == 0.1);
}

TEST_CASE("a schedule over no steps is an error") {
    CHECK_THROWS_AS((CosineDecay{.lr = 0.1, .steps = 0}(0)), Error);
    CHECK_THROWS_AS((StepDecay{.lr = 0.1, .every = 0}(0)), Error);
    CHECK_THROWS_AS((GradualWarmup{.lr = 0.1, .steps = 0}(0)), Error);
    CHECK_THROWS_WITH_AS((LinearWarmup{.lr = 0.1, .steps = 5}(-1)), "linear warm-up: over 5 steps, step is -1", Error);
}
