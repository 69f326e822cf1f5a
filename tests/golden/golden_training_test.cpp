// SGD and the learning-rate schedules against PyTorch: training.safetensors, which make_golden.py has written.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "golden/fill_rule.hpp"
#include "golden/golden_file.hpp"
#include "gradus/training/schedule.hpp"
#include "gradus/training/sgd.hpp"

using namespace gradus;

namespace {

struct SgdCase {
    const char* name;
    SgdConfig config;
    double weight_decay;
};

// The weights after each of six steps; the rate changes twice.
template <class P, class D>
std::vector<double> trajectory(const SgdCase& c) {
    const Tensor<P, Cpu> start = Tensor<double>::from({5}, golden::draw("sgd/weight", 5)).as<P>();
    const Tensor<P, Cpu> gradients = Tensor<double>::from({6, 5}, golden::draw("sgd/gradients", 30)).as<P>();
    Variable<P, D> weight(start.template to<D>(), true);
    Sgd<P, D> sgd({{{weight}, c.weight_decay}}, c.config);
    std::vector<double> all;
    Index step = 0;
    for (const double lr : {0.1, 0.1, 0.05, 0.05, 0.2, 0.2}) {
        weight.mutable_grad() = gradients.slice(step, step + 1).reshape({5}).template to<D>();
        sgd.step(lr);
        for (const P w : weight.value().to_vector()) all.push_back(static_cast<double>(w));
        ++step;
    }
    return all;
}

void check_trajectory(const SgdCase& c, const std::vector<double>& got, const std::vector<double>& peer, double eps) {
    INFO(c.name);
    REQUIRE(got.size() == peer.size());
    // The numbers of a step, w, g and v, stay below 6. Formula (1) to (3) rounds 8 times, and so does PyTorch's; an
    // error of v goes on for 1/(1 - 0.9) steps at a rate of at most 0.2, which makes it twice as large in w.
    for (std::size_t i = 0; i < got.size(); ++i) {
        const double steps = static_cast<double>(i / 5 + 1);
        CHECK(std::abs(got[i] - peer[i]) <= steps * 8 * (1 + 2) * eps * 6);
    }
}

// PyTorch's schedules step from one rate to the next, each with up to 8 roundings of numbers that are at most the
// largest rate; a rate of ours has as many in all.
void check_rates(const char* name, const Schedule& schedule, const std::vector<double>& peer) {
    const double largest = *std::max_element(peer.begin(), peer.end());
    for (std::size_t i = 0; i < peer.size(); ++i) {
        const double roundings = 8 * static_cast<double>(i + 1);
        const double bound = roundings * std::numeric_limits<double>::epsilon() / 2 * largest;
        const double lr = schedule(static_cast<Index>(i));
        CHECK_MESSAGE(std::abs(lr - peer[i]) <= bound, name << ", step " << i << ": " << lr << " for " << peer[i]);
    }
}

}  // namespace

TEST_CASE("SGD and every schedule give PyTorch's numbers") {
    golden::GoldenFile file("training");
    const SgdCase cases[] = {
        {"sgd", {}, 0},
        {"sgd with decay", {}, 0.01},
        {"sgd with momentum", {.momentum = 0.9}, 0},
        {"sgd with momentum and decay", {.momentum = 0.9}, 0.01},
        {"sgd with dampening", {.momentum = 0.9, .dampening = 0.5}, 0.01},
        {"sgd of nesterov", {.momentum = 0.9, .nesterov = true}, 0},
        {"sgd of nesterov with decay", {.momentum = 0.9, .nesterov = true}, 0.01},
    };
    for (const SgdCase& c : cases) {
        const std::vector<double> peer = file.values(c.name);
        check_trajectory(c, trajectory<double, Reference>(c), peer, std::numeric_limits<double>::epsilon());
        check_trajectory(c, trajectory<double, Cpu>(c), peer, std::numeric_limits<double>::epsilon());
        check_trajectory(c, trajectory<float, Cpu>(c), peer, std::numeric_limits<float>::epsilon());
    }

    const auto check = [&](const char* name, const Schedule& schedule) {
        check_rates(name, schedule, file.values(name));
    };
    const MultiStepDecay multi_step{.lr = 0.1, .milestones = {2, 5, 9}, .factor = 0.2};
    const CosineDecay cosine{.lr = 0.1, .steps = 10, .last = 0.001};
    const LinearWarmup warm_up{.lr = 0.1, .steps = 5, .start = 0.1};
    check("schedule step", StepDecay{.lr = 0.1, .every = 3});
    check("schedule exponential", StepDecay{.lr = 0.1, .every = 1, .factor = 0.9});
    check("schedule multi-step", multi_step);
    check("schedule cosine", cosine);
    check("schedule linear", LinearWarmup{.lr = 0.1, .steps = 5});
    check("schedule gradual", GradualWarmup{.lr = 0.4, .steps = 5});
    check("schedule linear, then cosine", Then{warm_up, 5, cosine});
    check("schedule linear, then multi-step", Then{warm_up, 5, multi_step});
    file.check_all_used();
}
