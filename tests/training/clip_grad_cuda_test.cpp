// Covers clip_grad_cuda.cuh: PyTorch's numbers, every size, memory that is not aligned to a pack, every order of
// threads.
#include "gradus/training/clip_grad_cuda.cuh"

#include "machine/emulator/emulator_checks.hpp"
#include "training/clip_grad_checks.hpp"

using namespace gradus;

TEST_CASE("clipping on Cuda takes PyTorch's norm and factor") {
    check_pytorch<double, Cuda>(1e-11);
    check_pytorch<float, Cuda>(2e-7);
}

TEST_CASE("clipping on Cuda agrees with Reference at every size, aligned or not, with the same bits in every order") {
    for (const Index size : clip_sizes)
        for (const Index offset : {0, 1}) {
            const Clipped slow = clipped<float, Reference>(size, offset), first = clipped<float, Cuda>(size, offset);
            check_agrees(first, slow);
            in_every_order([&] {
                const Clipped again = clipped<float, Cuda>(size, offset);
                CHECK(again.norm == first.norm);
                CHECK((again.gradients == first.gradients));
            });
        }
}

TEST_CASE("clipping on Cuda: more gradients than a table holds, each in its place") {
    std::vector<Variable<float, Cuda>> parameters;
    for (int i = 0; i < 400; ++i) parameters.push_back(with_gradient<float, Cuda>({3, 0, i == 399 ? 80.0 : 0}));
    CHECK(clip_grad_norm<float, Cuda>({{parameters}}, 50) == 100);  // sqrt(400 * 9 + 6400)
    for (const Variable<float, Cuda>& parameter : parameters)
        CHECK(parameter.grad().to_vector()[0] == doctest::Approx(1.5).epsilon(1e-6));
    CHECK(parameters[399].grad().to_vector()[2] == doctest::Approx(40).epsilon(1e-6));
}
