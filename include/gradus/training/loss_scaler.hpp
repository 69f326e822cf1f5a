// training/loss_scaler.hpp   Loss scaling: small gradients survive in 16 bits.
// Paper    Micikevicius et al. 2017, "Mixed precision training", arXiv 1710.03740, sections 3.1 and 3.2.
// Problem  Half has no number between 0 and 6e-8, and many gradients are smaller than that: they become 0. Its largest
//          number is 65504, so they may not be made larger by just anything either.
// Answer   Backward starts with S instead of 1. By the chain rule every gradient is then S times what it was. Those of
//          the parameters, which are float, are divided by S again (unscale.hpp), and no digit is lost if S is a power
//          of two.
//          A step in which a gradient is not finite is left out. S is one of two:
//     static    S stays as it is.
//     dynamic   S is the largest that works, found by trying: with each step that is left out S *= backoff; after
//               `interval` good steps in a row S *= growth.
//          A step that is left out changes no weight. Where all are left out, the training would stand still: the 40th
//          in a row is an Error with a static S, with a dynamic one the one that takes it below 2^-24: from 65536 the
//          41st.
// Here is only how S moves, which is the same for every network and device. A whole step, scaled_step of unscale.hpp:
//     LossScaler scaler;
//     loss.backward(Tensor<float, D>::scalar(static_cast<float>(scaler.scale())));         D: the device of the loss
//     const bool finite = unscale_gradients(sgd.groups(), scaler.scale());         clip (clip_grad.hpp) after this line
//     if (scaler.update(finite)) sgd.step(lr);
// BFloat16 reaches as far down as float and needs none of this. Weights are no matter here: they are float in every
// network of Gradus ("master weights"), because 1 + 0.0004 is 1 in Half.
#pragma once

#include <algorithm>
#include <cmath>

#include "gradus/core/check.hpp"
#include "gradus/core/shape.hpp"

namespace gradus::inline GRADUS_ABI {

// The defaults are those of PyTorch's GradScaler.
struct LossScalerConfig {
    double scale = 65536;  // the first S
    double growth = 2;
    double backoff = 0.5;
    Index interval = 2000;
    bool dynamic = true;
};

// What a checkpoint has to keep.
struct LossScalerState {
    double scale = 1;
    Index good_steps = 0;  // in a row, since S last moved; below 0: steps left out in a row
    Index skipped = 0;     // steps left out, in all
};

class LossScaler {
public:
    explicit LossScaler(const LossScalerConfig& config = {}) : config_(config), state_{config.scale, 0, 0} {
        GRADUS_CHECK(std::isfinite(config.scale) && config.scale > 0,
                     "loss_scaler: the scale must be finite and above 0, got ", config.scale);
        GRADUS_CHECK(config.growth >= 1 && config.backoff > 0 && config.backoff < 1 && config.interval > 0,
                     "loss_scaler: needs growth of at least 1, backoff between 0 and 1 and an interval above 0, got ",
                     config.growth, ", ", config.backoff, " and ", config.interval);
    }

    double scale() const { return state_.scale; }
    Index skipped() const { return state_.skipped; }

    // After the gradients of a step are there: whether the step is to be made. Errors: gradients that are not finite
    // however small a dynamic S is, so that it is not S that makes them so; or 40 times in a row with a static one.
    bool update(bool gradients_are_finite) {
        if (!gradients_are_finite) {
            ++state_.skipped;
            state_.good_steps = std::min<Index>(state_.good_steps, 0) - 1;
            if (config_.dynamic) state_.scale *= config_.backoff;
            GRADUS_CHECK(state_.scale >= smallest_scale,
                         "loss_scaler: the gradients are not finite even with a scale of ",
                         state_.scale / config_.backoff, "; DetectAnomaly finds the operation");
            GRADUS_CHECK(config_.dynamic || -state_.good_steps < most_left_out, "loss_scaler: the gradients of ",
                         most_left_out, " steps in a row are not finite with the static scale ", state_.scale,
                         "; try a smaller one, or DetectAnomaly, which finds the operation");
            return false;
        }
        state_.good_steps = std::max<Index>(state_.good_steps, 0) + 1;
        if (state_.good_steps == config_.interval) {
            state_.good_steps = 0;
            if (config_.dynamic) state_.scale *= config_.growth;
        }
        return true;
    }

    const LossScalerState& state() const { return state_; }
    void restore(const LossScalerState& state) { state_ = state; }

private:
    static constexpr double smallest_scale = 0x1p-24;  // what is left of a gradient of 1 is then Half's smallest number
    static constexpr Index most_left_out = 40;         // in a row, with a static S

    LossScalerConfig config_;
    LossScalerState state_;
};

}  // namespace gradus::inline GRADUS_ABI
