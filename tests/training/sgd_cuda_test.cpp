// Covers sgd_cuda.cuh: PyTorch's steps, every size, memory that is not aligned to a pack.
#include "gradus/training/sgd_cuda.cuh"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "machine/emulator/emulator_checks.hpp"

using namespace gradus;

namespace {

// As in sgd_test.cpp: a parameter of shape (1), w = 1, with the gradients .5 -.3 .2 .1 -.4 at rate 0.1.
template <class P>
void check_trajectory(const SgdConfig& config, double weight_decay, const std::vector<double>& expected) {
    const Variable<P, Cuda> w(Tensor<P, Cuda>::ones({1}), true);
    Sgd<P, Cuda> sgd({{{w}, weight_decay}}, config);
    const double gradients[] = {0.5, -0.3, 0.2, 0.1, -0.4};
    for (std::size_t i = 0; i < 5; ++i) {
        Variable<P, Cuda>(w).mutable_grad() = Tensor<P, Cuda>::full({1}, static_cast<P>(gradients[i]));
        sgd.step(0.1);
        CHECK(std::abs(static_cast<double>(w.value().item()) - expected[i]) <= (sizeof(P) == 8 ? 5e-11 : 3e-7));
    }
}

// Three steps of a parameter that begins `offset` elements into its memory.
template <class P, class D>
std::vector<P> run(Index size, Index offset, const SgdConfig& config) {
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

}  // namespace

TEST_CASE("SGD on Cuda takes PyTorch's steps") {
    const auto check = [](const SgdConfig& config, double decay, const std::vector<double>& expected) {
        check_trajectory<double>(config, decay, expected);
        check_trajectory<float>(config, decay, expected);
    };
    check({}, 0, {.95, .98, .96, .95, .99});
    check({}, .01, {.949, .978051, .957072949, .9461158761, .9851697602});
    check({.momentum = .9}, 0, {.95, .935, .9015, .86135, .865215});
    check({.momentum = .9, .dampening = .9}, 0, {.95, .908, .8682, .83138, .802242});
    check({.momentum = .9, .nesterov = true}, 0, {.905, .9215, .87135, .825215, .8686935});
    check({.momentum = .9, .nesterov = true}, .01, {.9031, .91707411, .8637211582, .8138877981, .8532687362});
}

TEST_CASE("SGD on Cuda agrees with Reference at every size, aligned or not") {
    const Index whole_grid = Index{8} * multiprocessors() * stride_threads * vector_length<float>;
    const SgdConfig configs[] = {{}, {.momentum = 0.9}, {.momentum = 0.9, .nesterov = true}};
    for (const Index size : {Index{0}, Index{1}, Index{15}, Index{16}, Index{37}, Index{2051}, whole_grid + 5})
        for (const Index offset : {0, 1, 2})
            for (const SgdConfig& config : configs) {
                if (size > 10'000 && (offset > 0 || config.momentum == 0)) continue;
                const std::vector<float> fast = run<float, Cuda>(size, offset, config),
                                         slow = run<float, Reference>(size, offset, config);
                float worst = 0;
                for (std::size_t i = 0; i < fast.size(); ++i) worst = std::max(worst, std::abs(fast[i] - slow[i]));
                CHECK(fast.size() == slow.size());
                CHECK(worst <= 4e-6f);  // 3 steps, a few roundings each, of values below 8: 8 eps * 4
            }
    CHECK(run<double, Cuda>(37, 1, configs[2]).size() == 37);
}

TEST_CASE("SGD on Cuda: the same bits in every order of threads") {
    std::vector<float> weights;
    in_every_order([&] {
        const std::vector<float> now = run<float, Cuda>(5000, 0, {.momentum = 0.9, .nesterov = true});
        if (weights.empty()) weights = now;
        CHECK((now == weights));
    });
}
