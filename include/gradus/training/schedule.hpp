// training/schedule.hpp   Learning-rate schedules: the rate as a function of the step.
// Problem  Large steps find a good region, only small ones settle in it.
// A schedule is anything that can be called with the number of steps taken so far (0 at the first) and returns the
// rate: one of the structs below, a composition, or your own function. None has state, so nothing has to be saved to
// resume.
//     const Schedule schedule = Then{GradualWarmup{.lr = 0.4, .steps = 5 * batches}, 5 * batches,
//                                    CosineDecay{.lr = 0.4, .steps = 115 * batches}};
//     sgd.step(schedule(i));
// Whether a step is a batch or an epoch is the caller's choice: schedule(epoch) changes the rate once an epoch.
// Errors   a negative step (a constant rate does not look at it), a schedule over zero steps, half a composition.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <vector>

#include "gradus/core/check.hpp"
#include "gradus/core/shape.hpp"

namespace gradus::inline GRADUS_ABI {

using Schedule = std::function<double(Index step)>;

struct ConstantRate {
    double lr;

    double operator()(Index /*step*/) const { return lr; }
};

// Multiplies the rate by `factor` after every `every` steps.
struct StepDecay {
    double lr;
    Index every;
    double factor = 0.1;

    double operator()(Index step) const {
        GRADUS_CHECK(every > 0 && step >= 0, "step decay: every is ", every, ", step is ", step);
        return lr * std::pow(factor, static_cast<double>(step / every));
    }
};

// Multiplies the rate by `factor` at each milestone: He K. et al. 2015, arXiv 1512.03385, section 4.2, divide by 10 at
// 32k and 48k iterations.
struct MultiStepDecay {
    double lr;
    std::vector<Index> milestones;
    double factor = 0.1;

    double operator()(Index step) const {
        GRADUS_CHECK(step >= 0, "multistep decay: step is ", step);
        Index passed = 0;
        for (const Index milestone : milestones) passed += step >= milestone;
        return lr * std::pow(factor, static_cast<double>(passed));
    }
};

// Half a period of the cosine, from lr to `last`: Loshchilov & Hutter 2016, arXiv 1608.03983, without restarts.
//     lr_t = last + (lr - last) * (1 + cos(pi * t / steps)) / 2
// After `steps` it stays at `last`. (PyTorch's CosineAnnealingLR rises again there.)
struct CosineDecay {
    double lr;
    Index steps;
    double last = 0;

    double operator()(Index step) const {
        GRADUS_CHECK(steps > 0 && step >= 0, "cosine decay: over ", steps, " steps, step is ", step);
        if (step >= steps) return last;
        const double progress = static_cast<double>(step) / static_cast<double>(steps);
        return last + (lr - last) * (1 + std::cos(std::numbers::pi * progress)) / 2;
    }
};

// Warm-up: at the beginning the weights are random and the gradients large; the full rate would throw them far off.
// Goyal et al. 2017, arXiv 1706.02677, section 2.2. The batches i = 1 to m get the rate i/m * lr (He T. et al. 2018,
// "Bag of Tricks", arXiv 1812.01187, section 3.1), so the last of them already has the full rate.
struct GradualWarmup {
    double lr;
    Index steps;

    double operator()(Index step) const {
        GRADUS_CHECK(steps > 0 && step >= 0, "gradual warm-up: over ", steps, " steps, step is ", step);
        return lr * static_cast<double>(std::min(step + 1, steps)) / static_cast<double>(steps);
    }
};

// Warm-up from start * lr at step 0 to lr at step `steps`, as PyTorch's LinearLR.
struct LinearWarmup {
    double lr;
    Index steps;
    double start = 1.0 / 3;

    double operator()(Index step) const {
        GRADUS_CHECK(steps > 0 && step >= 0, "linear warm-up: over ", steps, " steps, step is ", step);
        const double progress = static_cast<double>(std::min(step, steps)) / static_cast<double>(steps);
        return lr * (start + (1 - start) * progress);
    }
};

// The first schedule for `steps` steps, and after that the next one, which counts from 0.
struct Then {
    Schedule first;
    Index steps;
    Schedule next;

    double operator()(Index step) const {
        GRADUS_CHECK(first && next && step >= 0, "then: needs two schedules and a step from 0 on, got ", step);
        return step < steps ? first(step) : next(step - steps);
    }
};

// k times the batch averages the noise of k batches away, so the rate may grow by k: Goyal et al. 2017, section 2.1.
inline double linear_scaled_lr(double lr_at_256, Index batch) { return lr_at_256 * static_cast<double>(batch) / 256; }

}  // namespace gradus::inline GRADUS_ABI
