// What sgd_test.cpp and sgd_cuda_test.cpp check on their devices.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "gradus/core/random.hpp"
#include "gradus/training/sgd.hpp"
#include "worst_difference.hpp"

// A parameter of shape (1), w = 1, with the gradients .5 -.3 .2 .1 -.4 at rate 0.1.
template <class P, class D>
void check_trajectory(const gradus::SgdConfig& config, double weight_decay, const std::vector<double>& expected) {
    using namespace gradus;
    const Variable<P, D> w(Tensor<P, D>::ones({1}), true);
    Sgd<P, D> sgd({{{w}, weight_decay}}, config);
    std::vector<P> values;
    for (const double g : {0.5, -0.3, 0.2, 0.1, -0.4}) {
        Variable<P, D>(w).mutable_grad() = Tensor<P, D>::full({1}, static_cast<P>(g));
        sgd.step(0.1);
        values.push_back(w.value().item());
    }
    // The table has 10 digits; 5 float steps of values near 1.
    CHECK(worst_difference(values, expected) <= (sizeof(P) == 8 ? 5e-11 : 3e-7));
}

// The values that PyTorch 1.13 gives in double.
template <class P, class D>
void check_pytorch_steps() {
    check_trajectory<P, D>({}, 0, {.95, .98, .96, .95, .99});
    check_trajectory<P, D>({}, .01, {.949, .978051, .957072949, .9461158761, .9851697602});
    check_trajectory<P, D>({.momentum = .9}, 0, {.95, .935, .9015, .86135, .865215});
    check_trajectory<P, D>({.momentum = .9, .dampening = .9}, 0, {.95, .908, .8682, .83138, .802242});
    check_trajectory<P, D>({.momentum = .9, .nesterov = true}, 0, {.905, .9215, .87135, .825215, .8686935});
    check_trajectory<P, D>({.momentum = .9, .nesterov = true}, .01,
                           {.9031, .91707411, .8637211582, .8138877981, .8532687362});
}

// Three steps of a parameter that begins `offset` elements into its memory.
template <class P, class D>
std::vector<P> three_steps(gradus::Index size, gradus::Index offset, const gradus::SgdConfig& config) {
    using namespace gradus;
    Generator generator{7, 0, 0};
    const auto draw = [&] { return Tensor<P, D>::randn({size + offset}, generator).slice(offset, size + offset); };
    Variable<P, D> w(draw(), true);
    Sgd<P, D> sgd({{{w}, 1e-2, 0.5}}, config);
    for (int i = 0; i < 3; ++i) {
        w.mutable_grad() = draw();
        sgd.step(0.1);
    }
    return w.value().to_vector();
}

// A few roundings a step, of values below 8: 8 eps * 4.
constexpr double three_steps_error = 4e-6;
