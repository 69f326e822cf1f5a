#include "gradus/training/unscale.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "gradus/elementwise/binary.hpp"
#include "gradus/linear/linear.hpp"
#include "gradus/reduction/sum.hpp"
#include "gradus/softmax/cross_entropy.hpp"

using namespace gradus;

namespace {

Variable<float> parameter_with_gradient(const std::vector<float>& gradient) {
    const Shape shape{static_cast<Index>(gradient.size())};
    Variable<float> parameter(Tensor<float>::zeros(shape), true);
    parameter.mutable_grad() = Tensor<float>::from(shape, gradient);
    return parameter;
}

// A classifier of one feature that is sure of the right class: p of the wrong one is e^-18.4 = 1.02e-8, which is the
// gradient of its logit.
template <class T>
Variable<float> sure_loss(const Variable<float>& w) {
    const Variable<T> x(Tensor<T>::ones({1, 1}));
    return cross_entropy(linear(x, w), Tensor<std::int64_t>::from({1}, {0}));
}
Variable<float> sure_weight() { return Variable<float>(Tensor<float>::from({2, 1}, {18.4f, 0}), true); }

}  // namespace

TEST_CASE("unscale: gradients are divided by the scale, those that are not there are passed over") {
    const Variable<float> a = parameter_with_gradient({8, -4}), b(Tensor<float>::zeros({3}), true);
    CHECK(unscale_gradients<float, Cpu>({{{a, b}}}, 4));
    CHECK(a.grad().to_vector() == std::vector<float>{2, -1});
    CHECK(!b.grad().defined());
}

TEST_CASE("unscale: one value that is not finite is found, wherever it is") {
    const float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
    for (const float bad : {infinity, -infinity, nan}) {
        const Variable<float> good = parameter_with_gradient({1, 2}), first = parameter_with_gradient({bad, 0, 0});
        const Variable<float> last = parameter_with_gradient({0, 0, bad});
        CHECK(!unscale_gradients<float, Cpu>({{{good}}, {{last}}}, 2));
        CHECK(!unscale_gradients<float, Cpu>({{{first, good}}}, 2));
        CHECK(unscale_gradients<float, Cpu>({{{good}}}, 2));
    }
}

TEST_CASE("unscale: a gradient below Half's smallest number is 0 without a scale, and right with one") {
    Variable<float> exact = sure_weight(), lost = sure_weight(), saved = sure_weight();
    sure_loss<float>(exact).backward();
    sure_loss<Half>(lost).backward();
    sure_loss<Half>(saved).backward(Tensor<float>::scalar(65536));
    CHECK(unscale_gradients<float, Cpu>({{{saved}}}, 65536));
    const double gradient = exact.grad().to_vector()[1];
    CHECK(gradient == doctest::Approx(1.02e-8).epsilon(0.01));
    CHECK(lost.grad().to_vector() == std::vector<float>{0, 0});
    // Both 18.4 and the gradient are rounded to 11 bits: the first moves p by 18.4 / 2048.
    CHECK(saved.grad().to_vector()[1] == doctest::Approx(gradient).epsilon(18.4 / 2048 + 1.0 / 2048));

    Variable<float> brain = sure_weight();  // BFloat16 reaches as far down as float
    sure_loss<BFloat16>(brain).backward();
    CHECK(brain.grad().to_vector()[1] == doctest::Approx(gradient).epsilon(18.4 / 256 + 1.0 / 256));
}

TEST_CASE("scaled step: a step that overflows is left out, and the scale goes down until one does not") {
    Variable<float> w = sure_weight();
    Sgd<float> sgd({w}, {});
    LossScaler scaler({.scale = 0x1p44});  // 1.02e-8 * 2^44 is above 65504, and so is half of it, and a quarter
    int skipped = 0;
    while (!scaled_step(sure_loss<Half>(w), sgd, scaler, 1e6)) {
        CHECK(w.value().to_vector() == sure_weight().value().to_vector());
        sgd.zero_grad();
        ++skipped;
    }
    CHECK(skipped == 2);
    CHECK(scaler.skipped() == 2);
    CHECK(scaler.scale() == 0x1p42);
    CHECK(w.value().to_vector()[1] == doctest::Approx(-0.0102).epsilon(0.02));
}

TEST_CASE("scaled step: gradients are clipped after they are unscaled, and not at all where the step is left out") {
    const auto step = [](std::optional<double> max_norm, float x, bool expected) {
        Variable<float> w(Tensor<float>::zeros({2}), true);
        Sgd<float> sgd({w}, {});
        LossScaler scaler({.scale = 65536});
        const Variable<float> gradient(Tensor<float>::from({2}, {3, x}));
        CHECK(scaled_step(sum(mul(w, gradient)), sgd, scaler, 1, max_norm) == expected);
        return w.value().to_vector();
    };
    CHECK(step(std::nullopt, 4, true) == std::vector<float>{-3, -4});
    CHECK(step(6, 4, true) == std::vector<float>{-3, -4});  // the norm is 5; 5 * 65536 while it is scaled
    const std::vector<float> clipped = step(1, 4, true);
    CHECK(clipped[0] == doctest::Approx(-0.6).epsilon(1e-6));
    CHECK(clipped[1] == doctest::Approx(-0.8).epsilon(1e-6));
    CHECK(step(1, std::numeric_limits<float>::infinity(), false) == std::vector<float>{0, 0});
}

TEST_CASE("master weights: steps of 0.0004 leave a weight of 1 in Half where it is, the float one arrives") {
    Half half = static_cast<Half>(1.0f);
    Variable<float> master = parameter_with_gradient({-0.0004f});
    master.mutable_value() = Tensor<float>::ones({1});
    Sgd<float> sgd({master}, {});
    for (int i = 0; i < 1000; ++i) {
        half = static_cast<Half>(static_cast<float>(half) + 0.0004f);
        sgd.step(1);
    }
    CHECK(static_cast<float>(half) == 1);
    CHECK(master.value().item() == doctest::Approx(1.4).epsilon(1e-4));
}
