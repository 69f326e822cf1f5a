// training/clip_grad.hpp   Gradient clipping: no step is longer than a bound allows.
// Paper    Pascanu, Mikolov, Bengio 2013, "On the difficulty of training recurrent neural networks", arXiv 1211.5063,
//          section 3.2, algorithm 1.
// Problem  Where the loss has a cliff, one batch's gradient is many times as long as those before it, and one step
//          along it undoes theirs.
// Formula  (1) norm = sqrt(sum of g^2 over all elements of all gradients)
//          (2) c = min(1, max_norm / (norm + 1e-6))
//          (3) g = c g
//          One c for all: the direction of the step stays. The norm is that of the whole network, a bound for each
//          gradient by itself would turn it.
// Deviates as PyTorch's clip_grad_norm_: the 1e-6 is not in the paper; it is there for a norm of 0. Where a gradient is
//          not finite, c is 0 or NaN and so is what (3) makes of it: look at the norm, or let a LossScaler leave the
//          step out.
// Order    Gradients of a scaled loss are S times too long: unscale first, then clip (unscale.hpp, scaled_step).
// Sums     Squares are formed and added in double, where that of a float is exact and can neither overflow nor vanish.
//          Each gradient is cut into chunks of 16,384 elements; the sums of the chunks are added in the order of the
//          parameters. So the cuts depend on the shapes alone.
// Cost     reads each gradient once, and once more to scale it where c < 1. On a device with memory of its own one
//          number for each chunk is copied to the host. Twins: clip_grad_cpu.hpp, clip_grad_cuda.cuh
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "gradus/training/sgd.hpp"

namespace gradus::inline GRADUS_ABI {

inline constexpr Index norm_chunk = 16384;  // elements: 64 KB of float
inline Index norm_chunks(Index elements) { return (elements + norm_chunk - 1) / norm_chunk; }

// partial(c) = the sum of the squares of chunk c.
template <class P>
void sum_of_squares(Reference, Vector<const P> g, Vector<double> partial) {
    for (Index c = 0; c < partial.size(); ++c) {
        partial(c) = 0;
        for (Index i = c * norm_chunk; i < std::min(g.size(), (c + 1) * norm_chunk); ++i)
            partial(c) += static_cast<double>(g(i)) * static_cast<double>(g(i));
    }
}
template <class P>
void scale_gradient(Reference, Vector<P> g, P c) {
    for (Index i = 0; i < g.size(); ++i) g(i) *= c;
}

//     loss.backward();  clip_grad_norm(sgd.groups(), 1.0);  sgd.step(lr);
// Returns the norm that the gradients had. Parameters without a gradient are passed over. Errors: a max_norm that is
// not above 0; with an infinite one, the norm is only measured.
template <FloatingElement P, Device D>
double clip_grad_norm(const std::vector<ParameterGroup<P, D>>& groups, double max_norm) {
    GRADUS_CHECK(max_norm > 0, "clip_grad_norm: max_norm must be above 0, got ", max_norm);
    const OperationScope operation("clip_grad_norm");
    std::vector<Variable<P, D>> parameters;  // that have a gradient
    Index chunks = 0;
    for (const ParameterGroup<P, D>& group : groups)
        for (const Variable<P, D>& parameter : group.parameters)
            if (parameter.grad().defined()) {
                parameters.push_back(parameter);
                chunks += norm_chunks(parameter.grad().numel());
            }
    Tensor<double, D> partial({chunks});
    double* to = partial.template write<1>().data();
    for (const Variable<P, D>& parameter : parameters) {
        const Index count = norm_chunks(parameter.grad().numel());
        sum_of_squares(D{}, parameter.grad().template read<1>(), Vector<double>(to, {count}));
        to += count;
    }
    double squares = 0;
    for (const double sum : partial.to_vector()) squares += sum;
    const double norm = std::sqrt(squares);       // (1)
    const double c = max_norm / (norm + 1e-6);    // (2)
    if (c >= 1) return norm;                      // NaN is not
    for (Variable<P, D>& parameter : parameters)  // (3)
        scale_gradient(D{}, parameter.mutable_grad().template write<1>(), static_cast<P>(c));
    return norm;
}

}  // namespace gradus::inline GRADUS_ABI

#include "gradus/training/clip_grad_cpu.hpp"
