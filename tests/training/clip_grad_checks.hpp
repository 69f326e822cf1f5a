// What clip_grad_test.cpp and clip_grad_cuda_test.cpp check on their devices.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "gradus/core/random.hpp"
#include "gradus/training/clip_grad.hpp"
#include "worst_difference.hpp"

template <class P, class D>
gradus::Variable<P, D> with_gradient(const std::vector<double>& gradient) {
    using namespace gradus;
    const Shape shape{static_cast<Index>(gradient.size())};
    Variable<P, D> parameter(Tensor<P, D>::zeros(shape), true);
    parameter.mutable_grad() = Tensor<P, D>::from(shape, std::vector<P>(gradient.begin(), gradient.end()));
    return parameter;
}

// torch.nn.utils.clip_grad_norm_ of PyTorch 2.15, in double.
template <class P, class D>
void check_pytorch(double epsilon) {
    using namespace gradus;
    const auto close = [&](const Variable<P, D>& parameter, const std::vector<double>& expected) {
        const std::vector<P> gradient = parameter.grad().to_vector();
        REQUIRE(gradient.size() == expected.size());
        for (std::size_t i = 0; i < expected.size(); ++i)
            CHECK(static_cast<double>(gradient[i]) == doctest::Approx(expected[i]).epsilon(epsilon));
    };
    const Variable<P, D> pair = with_gradient<P, D>({3, 4});
    CHECK(clip_grad_norm<P, D>({{{pair}}}, 1) == 5);
    close(pair, {.59999988, .79999984});  // not .6 and .8: the 1e-6

    const Variable<P, D> a = with_gradient<P, D>({1, -2, 2}), b = with_gradient<P, D>({4}),
                         c = with_gradient<P, D>({-.5, .25});
    const std::vector<ParameterGroup<P, D>> groups = {{{a, b}}, {{c}}};
    for (const double enough : {5.1, std::numeric_limits<double>::infinity()}) {
        CHECK(clip_grad_norm(groups, enough) == doctest::Approx(5.03115294937).epsilon(1e-11));
        close(a, {1, -2, 2});
    }
    CHECK(clip_grad_norm(groups, 2.5) == doctest::Approx(5.03115294937).epsilon(1e-11));
    close(a, {.496903896235, -.993807792469, .993807792469});
    close(b, {1.98761558494});
    close(c, {-.248451948117, .124225974059});
}

struct Clipped {
    double norm;
    std::vector<float> gradients;
};

// Two gradients clipped to half their norm or less; the first begins `offset` elements into its memory.
template <class P, class D>
Clipped clipped(gradus::Index size, gradus::Index offset) {
    using namespace gradus;
    Generator generator{5, 0, 0};
    Variable<P, D> large(Tensor<P, D>::zeros({size}), true), small(Tensor<P, D>::zeros({3}), true);
    large.mutable_grad() = Tensor<P, D>::randn({size + offset}, generator).slice(offset, size + offset);
    small.mutable_grad() = Tensor<P, D>::randn({3}, generator);
    const double norm = clip_grad_norm<P, D>({{{large}}, {{small}}}, 0.5);
    std::vector<P> all = large.grad().to_vector();
    for (const P value : small.grad().to_vector()) all.push_back(value);
    return {norm, std::vector<float>(all.begin(), all.end())};
}

// Less than a pack, a chunk, a little more, several chunks.
inline const std::vector<gradus::Index> clip_sizes = {
    0, 1, 5, gradus::norm_chunk<float>, gradus::norm_chunk<float> + 1, 3 * gradus::norm_chunk<float> + 77};

// Sums of at most 16,384 + 5 positive numbers in double are right to so many times 2^-53: 1.8e-12.
inline void check_agrees(const Clipped& fast, const Clipped& slow) {
    CHECK(fast.norm == doctest::Approx(slow.norm).epsilon(4e-12));
    // Values up to 0.5: the factor may be rounded to its neighbour, and the product too.
    CHECK(worst_difference(fast.gradients, slow.gradients) <= 1.2e-7);
}
