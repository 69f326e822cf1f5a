// training/clip_grad.hpp   Gradient clipping: the gradient of all weights together is no longer than a bound.
// Paper    Pascanu, Mikolov, Bengio 2013, "On the difficulty of training recurrent neural networks", arXiv 1211.5063,
//          section 3.2, algorithm 1.
// Problem  Where the loss has a cliff, one batch's gradient is many times as long as those before it, and one step
//          along it undoes theirs.
// Formula  (1) norm = sqrt(sum of g^2 over all elements of all gradients)
//          (2) c = min(1, max_norm / (norm + 1e-6))
//          (3) g = c g
//          One c for all: the direction of the step stays. The norm is that of the whole network, a bound for each
//          gradient by itself would turn the step.
// Deviates as PyTorch's clip_grad_norm_: the 1e-6 is not in the paper; it is there for a norm of 0. Where a gradient is
//          not finite, c is 0 or NaN and so is what (3) makes of it: look at the norm, or let a LossScaler leave the
//          step out.
// Order    Gradients of a scaled loss are S times too long: unscale first, then clip (unscale.hpp, scaled_step).
// Sums     Squares are formed and added in double, where that of a float is exact and can neither overflow nor vanish.
//          Each gradient is cut into chunks of 64 KB; the sums of the chunks are added in the order of the parameters.
//          The cuts depend on the shapes alone, so the norm has the same bits for any number of threads.
// Cost     reads each gradient once, and once more to scale it where c < 1. On a device with memory of its own one
//          number for each chunk is copied to the host, which waits for it: not for a CudaGraph.
//          Twins: clip_grad_cpu.hpp, clip_grad_cuda.cuh
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "gradus/training/sgd.hpp"

namespace gradus::inline GRADUS_ABI {

// 64 KB of a gradient.
template <class P>
inline constexpr Index norm_chunk = 65536 / Index{sizeof(P)};
template <class P>
Index norm_chunks(Index elements) {
    return (elements + norm_chunk<P> - 1) / norm_chunk<P>;
}

// partial(0), partial(1), ...: the sum of the squares of each chunk, the chunks of the first gradient first.
template <class P>
void sum_of_squares(Reference, const std::vector<Vector<const P>>& gradients, Vector<double> partial) {
    Index chunk = 0;
    for (const Vector<const P>& g : gradients)
        for (Index begin = 0; begin < g.size(); begin += norm_chunk<P>, ++chunk) {
            partial(chunk) = 0;
            for (Index i = begin; i < std::min(g.size(), begin + norm_chunk<P>); ++i)
                partial(chunk) += static_cast<double>(g(i)) * static_cast<double>(g(i));
        }
}
template <class P>
void scale_gradients(Reference, const std::vector<Vector<P>>& gradients, P c) {
    for (const Vector<P>& g : gradients)
        for (Index i = 0; i < g.size(); ++i) g(i) *= c;
}

//     loss.backward();  clip_grad_norm(sgd.groups(), 1.0);  sgd.step(lr);
// Returns the norm that the gradients had. Parameters without a gradient are passed over. Errors: a max_norm that is
// not above 0; with an infinite one, the norm is only measured.
template <FloatingElement P, Device D>
double clip_grad_norm(const std::vector<ParameterGroup<P, D>>& groups, double max_norm) {
    GRADUS_CHECK(max_norm > 0, "clip_grad_norm: max_norm must be above 0, got ", max_norm);
    const OperationScope operation("clip_grad_norm");
    std::vector<Vector<const P>> gradients;
    Index chunks = 0;
    for (const ParameterGroup<P, D>& group : groups)
        for (const Variable<P, D>& parameter : group.parameters)
            if (parameter.grad().defined()) {
                gradients.push_back(parameter.grad().template read<1>());
                chunks += norm_chunks<P>(parameter.grad().numel());
            }
    Tensor<double, D> partial({chunks});
    sum_of_squares(D{}, gradients, partial.template write<1>());
    double squares = 0;
    for (const double sum : partial.to_vector()) squares += sum;
    const double norm = std::sqrt(squares);                         // (1)
    const double c = max_norm / (norm + 1e-6);                      // (2)
    if (c >= 1) return norm;                                        // not where it is NaN
    scale_gradients(D{}, gradients_of(groups), static_cast<P>(c));  // (3)
    return norm;
}

}  // namespace gradus::inline GRADUS_ABI

#include "gradus/training/clip_grad_cpu.hpp"
