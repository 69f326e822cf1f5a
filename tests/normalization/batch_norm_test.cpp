#include "gradus/normalization/batch_norm.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gradus/autograd/gradcheck.hpp"
#include "gradus/normalization/batch_norm_cpu.hpp"
#include "normalization/batch_norm_checks.hpp"

using namespace gradus;

namespace {

using Values = std::vector<double>;

// Parameters and running statistics of C channels, as a layer would hold them.
template <class T, class D>
struct Layer {
    using S = Sum<T>;
    explicit Layer(Index C)
        : gamma(Tensor<S, D>::ones({C}), true),
          beta(Tensor<S, D>::zeros({C}), true),
          running_mean(Tensor<S, D>::zeros({C})),
          running_var(Tensor<S, D>::ones({C})) {}
    Variable<T, D> train(const Variable<T, D>& x, const BatchNormOptions& options = {},
                         const Variable<T, D>& shortcut = {}) {
        return batch_norm(x, gamma, beta, running_mean, running_var, options, shortcut);
    }
    Variable<T, D> infer(const Variable<T, D>& x, const BatchNormOptions& options = {},
                         const Variable<T, D>& shortcut = {}) {
        return batch_norm_inference(x, gamma, beta, running_mean, running_var, options, shortcut);
    }
    Variable<S, D> gamma, beta;
    Tensor<S, D> running_mean, running_var;
};

// The fixture is x = (2, 4, 1, 2) in NCHW order: sample 0 = 1..8, sample 1 = 18, 20, ..., 32. Here it is (2, 1, 2, 4).
std::vector<double> nhwc(const std::vector<double>& nchw) {
    std::vector<double> result(16);
    for (std::size_t n = 0; n < 2; ++n)
        for (std::size_t c = 0; c < 4; ++c)
            for (std::size_t w = 0; w < 2; ++w) result[(n * 2 + w) * 4 + c] = nchw[(n * 4 + c) * 2 + w];
    return result;
}
template <class T, class D>
Tensor<T, D> fixture_tensor(const std::vector<double>& nchw) {
    return Tensor<double, D>::from({2, 1, 2, 4}, nhwc(nchw)).template as<T>();
}
template <class T, class D>
Variable<T, D> fixture_x() {
    return Variable<T, D>(fixture_tensor<T, D>({1, 2, 3, 4, 5, 6, 7, 8, 18, 20, 22, 24, 26, 28, 30, 32}), true);
}

}  // namespace

TEST_CASE_TEMPLATE("batch norm in training: PyTorch's values", D, Reference, Cpu) {
    Layer<double, D> layer(4);
    const Variable<double, D> y = layer.train(fixture_x<double, D>());
    const std::vector<double> channel_0 = {-1.05285416, -.93903209, .88212105, 1.10976519};
    for (std::size_t m = 0; m < 4; ++m) CHECK(std::abs(y.value().to_vector()[4 * m] - channel_0[m]) < 5e-9);
    Tensor<double, D> mean({4}), var({4});
    batch_norm_statistics(D{}, fixture_x<double, D>().value().template read<2>(), mean.template write<1>(),
                          var.template write<1>());
    CHECK(worst_difference(mean.to_vector(), Values{10.25, 13.25, 16.25, 19.25}) < 1e-12);
    CHECK(worst_difference(var.to_vector(), Values{77.1875, 95.6875, 116.1875, 138.6875}) < 1e-12);
    CHECK(worst_difference(layer.running_mean.to_vector(), Values{1.025, 1.325, 1.625, 1.925}) < 1e-12);
    CHECK(worst_difference(layer.running_var.to_vector(), Values{11.19166667, 13.65833333, 16.39166667, 19.39166667}) <
          5e-9);

    layer.train(fixture_x<double, D>());
    CHECK(std::abs(layer.running_mean.to_vector()[0] - 1.9475) < 1e-12);
    CHECK(std::abs(layer.running_var.to_vector()[0] - 20.36416667) < 5e-9);
    const std::vector<double> inference = layer.infer(fixture_x<double, D>()).value().to_vector();
    CHECK(std::abs(inference[0] - -.20996446) < 5e-9);
    CHECK(std::abs(inference[4] - .01163391) < 5e-9);
}

TEST_CASE_TEMPLATE("batch norm backward: PyTorch's values", D, Reference, Cpu) {
    Layer<double, D> layer(4);
    layer.gamma.mutable_value().copy_from(Tensor<double, D>::from({4}, {1, 2, .5, 1}));
    layer.beta.mutable_value().copy_from(Tensor<double, D>::from({4}, {0, 1, -1, .5}));
    const Variable<double, D> x = fixture_x<double, D>();
    std::vector<double> dy(16);
    for (int i = 0; i < 16; ++i) dy[static_cast<std::size_t>(i)] = (i + 1) % 5;
    layer.train(x).backward(fixture_tensor<double, D>(dy));
    CHECK(
        worst_difference(x.grad().to_vector(), nhwc({-.06746377, .04442286, -.10309661, .1213923, -.01866434, .02113461,
                                                     -.04285899, .04901999, .24110003, -.21805912, -.13140816,
                                                     .11311247, -.0178409, .01537063, -.05250228, .04634129})) < 5e-9);
    const std::vector<double> dx = x.grad().to_vector();
    for (std::size_t c = 0; c < 4; ++c)  // y does not change when all of a channel does
        CHECK(std::abs(dx[c] + dx[c + 4] + dx[c + 8] + dx[c + 12]) < 1e-15);
}

TEST_CASE_TEMPLATE("batch norm gradients: all inputs, every mix of ReLU and shortcut", D, Reference, Cpu) {
    Generator generator{3, 0, 0};
    for (const Shape& shape : {Shape{5, 3}, Shape{2, 3, 2, 4}, Shape{2, 1}})
        for (const bool relu : {false, true})
            for (const int shortcut : {0, 1, 2})  // none, its own variable, x itself
                for (const bool training : {true, false}) {
                    CAPTURE(relu);
                    CAPTURE(shortcut);
                    CAPTURE(training);
                    const Shape channels{shape[-1]};
                    std::vector<Variable<double, D>> inputs;
                    inputs.emplace_back(Tensor<double, D>::uniform(shape, -2, 2, generator), true);
                    inputs.emplace_back(Tensor<double, D>::uniform(channels, .5, 2, generator), true);
                    inputs.emplace_back(Tensor<double, D>::uniform(channels, -1, 1, generator), true);
                    if (shortcut == 1) inputs.emplace_back(Tensor<double, D>::uniform(shape, -2, 2, generator), true);
                    const auto function = [&](const std::vector<Variable<double, D>>& in) {
                        Tensor<double, D> mean = Tensor<double, D>::full(channels, .25),
                                          var = Tensor<double, D>::full(channels, 1.5);
                        const Variable<double, D> added = shortcut == 0   ? Variable<double, D>()
                                                          : shortcut == 1 ? in[3]
                                                                          : in[0];
                        const BatchNormOptions options{.eps = 1e-2, .relu = relu};
                        return training ? batch_norm(in[0], in[1], in[2], mean, var, options, added)
                                        : batch_norm_inference(in[0], in[1], in[2], mean, var, options, added);
                    };
                    gradcheck(function, inputs);
                }
}

TEST_CASE("batch norm backward writes only what is asked for, and adds to what is there") {
    Generator generator{4, 0, 0};
    const Tensor<float> values = random_tensor<float, Cpu>({6, 5}, -1, 1, generator), dy = values.clone();
    Layer<float, Cpu> layer(5);
    const Variable<float> x(values, true);
    layer.train(x, {.relu = true}).backward(dy);
    const std::vector<float> once = x.grad().to_vector(), dgamma = layer.gamma.grad().to_vector();
    layer.train(x, {.relu = true}).backward(dy);
    for (std::size_t i = 0; i < once.size(); ++i) CHECK(x.grad().to_vector()[i] == 2 * once[i]);
    for (std::size_t i = 0; i < dgamma.size(); ++i) CHECK(layer.gamma.grad().to_vector()[i] == 2 * dgamma[i]);

    const Variable<float> constant(values), shortcut(values, true);  // x needs no gradient, the shortcut does
    layer.train(constant, {}, shortcut).backward(dy);
    CHECK(!constant.grad().defined());
    CHECK(shortcut.grad().to_vector() == dy.to_vector());
    CHECK(!shortcut.grad().shares_storage_with(dy));  // passed on, but a leaf keeps a gradient of its own
    layer.train(constant, {.relu = true}, shortcut).backward(dy);
    CHECK(!shortcut.grad().shares_storage_with(dy));
    CHECK(dy.to_vector() == values.to_vector());
}

TEST_CASE("batch norm on Cpu agrees with Reference in double") {
    Generator generator{5, 0, 0};
    for (const Index C : {1, 3, 10, 16, 24, 64, 130})
        for (const Index M : {2, 7, 37, 300, 5000}) {
            const Tensor<float> x = random_tensor<float, Cpu>({M, C}, -1, 3, generator);
            Tensor<float> mean({C}), var({C});
            Tensor<double, Reference> mean2({C}), var2({C});
            batch_norm_statistics(Cpu{}, x.read<2>(), mean.write<1>(), var.write<1>());
            batch_norm_statistics(Reference{}, in_double(x).read<2>(), mean2.write<1>(), var2.write<1>());
            CHECK(worst_difference(mean, mean2) <= 4 * float_eps * largest(mean2));
            CHECK(worst_difference(var, var2) <= 20 * float_eps * largest(var2));
            check_agrees_with_reference<Cpu>(M, C, generator);
        }
}

TEST_CASE("batch norm gives the same bits with any number of threads") {
    Generator generator{7, 0, 0};
    const Tensor<float> x = random_tensor<float, Cpu>({3, 70, 70, 24}, -1, 1, generator), dy = x.clone();
    std::vector<float> y, dx, dgamma;
    const int before = thread_count();
    for (const int threads : {1, 2, 3}) {
        set_threads(threads);
        Layer<float, Cpu> layer(24);
        const Variable<float> input(x, true);
        const Variable<float> output = layer.train(input, {.relu = true}, input);
        output.backward(dy);
        if (threads == 1) {
            y = output.value().to_vector();
            dx = input.grad().to_vector();
            dgamma = layer.gamma.grad().to_vector();
        }
        CHECK(output.value().to_vector() == y);
        CHECK(input.grad().to_vector() == dx);
        CHECK(layer.gamma.grad().to_vector() == dgamma);
    }
    set_threads(before);
}

TEST_CASE_TEMPLATE("batch norm on 16-bit activations keeps float statistics", T, Half, BFloat16) {
    Generator generator{8, 0, 0};
    const Tensor<T> x = random_tensor<T, Cpu>({40, 10}, -2, 2, generator),
                    dy = random_tensor<T, Cpu>({40, 10}, -1, 1, generator);
    Layer<T, Cpu> layer(10);
    Layer<double, Reference> exact(10);
    const Variable<T> in(x, true);
    const Variable<double, Reference> in2(in_double(x), true);
    const Variable<T> y = layer.train(in);
    const Variable<double, Reference> y2 = exact.train(in2);
    y.backward(dy);
    y2.backward(in_double(dy));
    const double eps = std::is_same_v<T, Half> ? 1.0 / (1 << 11) : 1.0 / (1 << 8);  // one rounding to T
    CHECK(worst_difference(y.value(), y2.value()) <= eps * largest(y2.value()) * 1.01);
    CHECK(worst_difference(in.grad(), in2.grad()) <= eps * largest(in2.grad()) * 1.01);
    CHECK(worst_difference(layer.gamma.grad(), exact.gamma.grad()) <= 40 * 8 * float_eps);
    CHECK(worst_difference(layer.running_var, exact.running_var) <= 20 * float_eps);
}

TEST_CASE("batch norm passes a NaN on, and keeps one node's tensors alive, no more") {
    Tensor<float> x = Tensor<float>::ones({4, 2});
    x.write<2>()(1, 0) = std::numeric_limits<float>::quiet_NaN();
    Layer<float, Cpu> layer(2);
    CHECK(std::isnan(layer.train(Variable<float>(x), {.relu = true}).value().to_vector()[0]));

    const std::size_t before = memory_stats(Cpu{}).live_bytes;
    {
        const Variable<float> in(Tensor<float>::ones({64, 8}), true);
        Layer<float, Cpu> other(8);
        const std::size_t inputs = memory_stats(Cpu{}).live_bytes;
        const Variable<float> y = other.train(in, {.relu = true});
        CHECK(memory_stats(Cpu{}).live_bytes - inputs == (64 * 8 + 2 * 8) * sizeof(float));  // y, mean and rstd
    }
    CHECK(memory_stats(Cpu{}).live_bytes == before);
}

TEST_CASE("batch norm refuses what has no meaning") {
    Layer<float, Cpu> layer(3);
    CHECK_THROWS_WITH_AS(layer.train(Variable<float>(Tensor<float>::ones({1, 1, 1, 3}))),
                         "batch_norm: training needs more than 1 value per channel, N*H*W > 1, x is (1, 1, 1, 3)",
                         Error);
    CHECK_THROWS_AS(layer.train(Variable<float>(Tensor<float>::ones({0, 3}))), Error);
    CHECK_NOTHROW(layer.infer(Variable<float>(Tensor<float>::ones({1, 3}))));
    CHECK_NOTHROW(layer.infer(Variable<float>(Tensor<float>::ones({0, 3}))));
    CHECK_THROWS_WITH_AS(layer.train(Variable<float>(Tensor<float>::ones({5, 4}))),
                         "batch_norm: x of shape (5, 4) needs gamma, beta, running_mean and running_var of shape (4,), "
                         "got (3,), (3,), (3,), (3,)",
                         Error);
    CHECK_THROWS_AS(layer.train(Variable<float>(Tensor<float>::ones({3}))), Error);
    const Variable<float> x(Tensor<float>::ones({5, 3})), other(Tensor<float>::ones({5, 1}));
    CHECK_THROWS_WITH_AS(layer.infer(x, {}, other), "batch_norm_inference: the shortcut has shape (5, 1), x has (5, 3)",
                         Error);
    CHECK_THROWS_AS(layer.train(x, {.momentum = 1.5}), Error);
}
