// Covers clip_grad.hpp and clip_grad_cpu.hpp: PyTorch's numbers, the twins, any number of threads.
#include "gradus/training/clip_grad.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "gradus/core/random.hpp"
#include "gradus/machine/cpu/thread_pool.hpp"
#include "training/clip_grad_checks.hpp"

using namespace gradus;

TEST_CASE_TEMPLATE("clipping takes PyTorch's norm and factor", D, Reference, Cpu) {
    check_pytorch<double, D>(1e-11);
    check_pytorch<float, D>(2e-7);
}

TEST_CASE("clipping: a gradient of zeros, of nothing, and one that is not there") {
    const Variable<float> none(Tensor<float>::zeros({3}), true);
    CHECK(clip_grad_norm<float, Cpu>({{{none}}}, 1) == 0);
    CHECK(!none.grad().defined());
    const Variable<float> zeros = with_gradient<float, Cpu>({0, 0}), empty = with_gradient<float, Cpu>({});
    CHECK(clip_grad_norm<float, Cpu>({{{zeros, empty}}}, 1) == 0);
    CHECK(zeros.grad().to_vector() == std::vector<float>{0, 0});
}

TEST_CASE("clipping: the norm of values whose squares are not in float") {
    const Variable<float> large = with_gradient<float, Cpu>({3e30f, 4e30f}),
                          small = with_gradient<float, Cpu>({3e-30f});
    CHECK(clip_grad_norm<float, Cpu>({{{large}}}, 1) == doctest::Approx(5e30).epsilon(1e-6));
    CHECK(large.grad().to_vector()[1] == doctest::Approx(0.8).epsilon(1e-6));
    CHECK(clip_grad_norm<float, Cpu>({{{small}}}, 1) / 3e-30 == doctest::Approx(1).epsilon(1e-6));
}

TEST_CASE("clipping: what is not finite does not pass for a short gradient") {
    const float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
    const Variable<float> endless = with_gradient<float, Cpu>({3, infinity}),
                          broken = with_gradient<float, Cpu>({3, nan});
    CHECK(clip_grad_norm<float, Cpu>({{{endless}}}, 1) == infinity);
    CHECK(endless.grad().to_vector()[0] == 0);
    CHECK(std::isnan(endless.grad().to_vector()[1]));
    CHECK(std::isnan(clip_grad_norm<float, Cpu>({{{broken}}}, 1)));
    CHECK(std::isnan(broken.grad().to_vector()[0]));
}

TEST_CASE("clipping: an error where max_norm is not above 0") {
    const Variable<float> w = with_gradient<float, Cpu>({3, 4});
    for (const double bad : {0.0, -1.0, std::nan("")})
        CHECK_THROWS_WITH_AS((clip_grad_norm<float, Cpu>({{{w}}}, bad)),
                             doctest::Contains("clip_grad_norm: max_norm must be above 0, got"), Error);
    CHECK(w.grad().to_vector() == std::vector<float>{3, 4});
}

TEST_CASE("clipping on Cpu agrees with Reference at every size, with the same bits for 1 and 3 threads") {
    const int before = thread_count();
    for (const Index size : clip_sizes) {
        const Clipped slow = clipped<float, Reference>(size, 0);
        set_threads(1);
        const Clipped fast = clipped<float, Cpu>(size, 0);
        set_threads(3);
        const Clipped faster = clipped<float, Cpu>(size, 0);
        check_agrees(fast, slow);
        CHECK(faster.norm == fast.norm);
        CHECK((faster.gradients == fast.gradients));
    }
    set_threads(before);
}
