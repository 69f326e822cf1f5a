// training/unscale.hpp   Divides the gradients of a scaled loss by the scale, and finds those that are not finite.
//     const bool finite = unscale_gradients(sgd.groups(), scaler.scale());         loss_scaler.hpp has the whole step
// Cost     reads and writes each gradient once; on a device with memory of its own one number is copied to the host.
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

#include "gradus/training/clip_grad.hpp"
#include "gradus/training/loss_scaler.hpp"
#include "gradus/training/sgd.hpp"

namespace gradus::inline GRADUS_ABI {

// g *= factor for every gradient; found(0) = 1 where an element is not finite, before or after. Small beside a training
// step: no twin for the Cpu.
template <HostDevice D, class P>
void unscale(D, const std::vector<Vector<P>>& gradients, P factor, Vector<std::int64_t> found) {
    for (const Vector<P>& g : gradients)
        for (Index i = 0; i < g.size(); ++i) {
            g(i) *= factor;
            if (!std::isfinite(g(i))) found(0) = 1;
        }
}

// Whether all gradients of the groups are finite. Parameters without a gradient are passed over.
template <FloatingElement P, Device D>
bool unscale_gradients(const std::vector<ParameterGroup<P, D>>& groups, double scale) {
    const OperationScope operation("unscale_gradients");
    Tensor<std::int64_t, D> found = Tensor<std::int64_t, D>::zeros({1});
    unscale(D{}, gradients_of(groups), static_cast<P>(1 / scale), found.template write<1>());
    return found.to_vector()[0] == 0;
}

// backward and step of a scaled loss; with a max_norm, gradients are clipped to it once they are unscaled. Returns
// whether the step was made.
template <FloatingElement P, Device D>
bool scaled_step(const Variable<P, D>& loss, Sgd<P, D>& sgd, LossScaler& scaler, double lr,
                 std::optional<double> max_norm = std::nullopt) {
    loss.backward(Tensor<P, D>::full(loss.shape(), static_cast<P>(scaler.scale())));
    const bool finite = unscale_gradients(sgd.groups(), scaler.scale());
    const bool steps = scaler.update(finite);
    if (steps && max_norm) clip_grad_norm(sgd.groups(), *max_norm);
    if (steps) sgd.step(lr);
    return steps;
}

}  // namespace gradus::inline GRADUS_ABI
