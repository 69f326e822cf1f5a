// For the tests of the rungs of convolution on Cuda: every rung against Reference in double, forward and backward.
// A rung is a struct with the three functions: see conv2d_direct_cuda_test.cpp.
#pragma once

#include <string>
#include <vector>

#include "gradus/convolution/conv2d_correlation_cuda.cuh"
#include "machine/emulator/emulator_checks.hpp"
#include "operations/walk_cuda.hpp"

struct ConvCase {
    const char* name;
    gradus::Array4<float>::Extents x, weight;
    gradus::Conv2dOptions options = {};
    bool is_aligned = true;  // or all tensors begin one element behind a multiple of 16 bytes
};

inline gradus::Index volume(const gradus::Array4<float>::Extents& e) { return e[0] * e[1] * e[2] * e[3]; }
inline gradus::Array4<float>::Extents result_extents(const ConvCase& c) {
    const auto [stride, padding, dilation, groups] = c.options;
    return {c.x[0], gradus::conv_extent(c.x[1], c.weight[1], stride, padding, dilation),
            gradus::conv_extent(c.x[2], c.weight[2], stride, padding, dilation), c.weight[0]};
}

// Odd sizes, ones, every option; the last few have more than one block of outputs and of channels in every rung.
inline std::vector<ConvCase> general_conv_cases() {
    return {{"plain", {2, 5, 4, 3}, {4, 3, 2, 3}},
            {"one number", {1, 1, 1, 1}, {1, 1, 1, 1}},
            {"stride 2", {2, 7, 6, 8}, {16, 3, 3, 8}, {.stride = 2, .padding = 1}},
            {"stride 3, some pixels unread", {1, 8, 9, 5}, {3, 2, 2, 5}, {.stride = 3}},
            {"dilation 2", {1, 9, 8, 5}, {9, 3, 3, 5}, {.padding = 2, .dilation = 2}},
            {"stride 4, dilation 2", {1, 11, 10, 2}, {3, 3, 3, 2}, {.stride = 4, .padding = 3, .dilation = 2}},
            {"wide padding", {1, 2, 3, 4}, {5, 2, 2, 4}, {.padding = 3}},
            {"3 groups", {2, 4, 4, 12}, {9, 3, 3, 4}, {.padding = 1, .groups = 3}},
            {"2 groups, 1x1, stride 2", {2, 5, 5, 32}, {16, 1, 1, 16}, {.stride = 2, .groups = 2}},
            {"not aligned", {2, 5, 5, 8}, {16, 3, 3, 8}, {.padding = 1}, false},
            {"empty batch", {0, 5, 5, 8}, {16, 3, 3, 8}, {.padding = 1}},
            {"blocks, odd channels", {2, 9, 10, 37}, {67, 3, 3, 37}, {.padding = 1}},
            {"blocks", {3, 9, 11, 40}, {72, 3, 3, 40}, {.stride = 2, .padding = 1}}};
}

struct ReferenceConvolution {
    template <class... Arguments>
    static void forward(const Arguments&... arguments) {
        gradus::conv2d_forward(gradus::Reference{}, arguments...);
    }
    template <class... Arguments>
    static void backward_data(const Arguments&... arguments) {
        gradus::conv2d_backward_data(gradus::Reference{}, arguments...);
    }
    template <class... Arguments>
    static void backward_weights(const Arguments&... arguments) {
        gradus::conv2d_backward_weights(gradus::Reference{}, arguments...);
    }
};

// x, weight, bias, dy.
inline operations::Numbers draw_convolution(const ConvCase& c) {
    gradus::Generator generator{22, 0, 0};
    operations::Numbers numbers;
    for (const gradus::Index count : {volume(c.x), volume(c.weight), c.weight[0], volume(result_extents(c))}) {
        std::vector<double>& values = numbers.emplace_back(static_cast<std::size_t>(count));
        for (double& value : values) value = generator.uniform(-2, 2);
    }
    return numbers;
}

// A tensor whose elements begin at an address that is a multiple of 16 bytes, or one element behind it.
template <class T, class D>
class PlacedTensor {
public:
    PlacedTensor(const gradus::Array4<float>::Extents& extents, std::vector<double> numbers, bool is_aligned)
        : extents_(extents), shift_(is_aligned ? 0 : 1), count_(static_cast<gradus::Index>(numbers.size())) {
        if (!is_aligned) numbers.insert(numbers.begin(), 0.0);
        tensor_ = operations::tensor_of<T, D>({count_ + shift_}, numbers);
    }
    gradus::Array4<const T> read() const { return {tensor_.template read<1>().data() + shift_, extents_}; }
    gradus::Array4<T> write() { return {tensor_.template write<1>().data() + shift_, extents_}; }
    std::vector<double> numbers() const {
        std::vector<double> all = operations::numbers_of(tensor_);
        all.erase(all.begin(), all.begin() + shift_);
        return all;
    }

private:
    gradus::Array4<float>::Extents extents_;
    gradus::Index shift_, count_;
    gradus::Tensor<T, D> tensor_;
};

// y, dx, dweight; each gradient is first overwritten (what stood there is a large number), then added `passes - 1`
// times.
template <class Rung, class T, class D>
operations::Results run_convolution(const ConvCase& c, const operations::Numbers& numbers, int passes) {
    using S = gradus::Sum<T>;
    const auto filled = [](const gradus::Array4<float>::Extents& e) {
        return std::vector<double>(static_cast<std::size_t>(volume(e)), 1000.0);
    };
    const PlacedTensor<T, D> x(c.x, numbers[0], c.is_aligned), dy(result_extents(c), numbers[3], c.is_aligned);
    const PlacedTensor<S, D> weight(c.weight, numbers[1], c.is_aligned);
    const gradus::Tensor<S, D> bias = operations::tensor_of<S, D>({c.weight[0]}, numbers[2]);
    PlacedTensor<T, D> y(result_extents(c), filled(result_extents(c)), c.is_aligned);
    PlacedTensor<T, D> dx(c.x, filled(c.x), c.is_aligned);
    PlacedTensor<S, D> dweight(c.weight, filled(c.weight), c.is_aligned);

    Rung::forward(x.read(), weight.read(), bias.template read<1>(), c.options, y.write());
    for (int pass = 0; pass < passes; ++pass) {
        const gradus::Write mode = pass == 0 ? gradus::Write::overwrite : gradus::Write::add;
        Rung::backward_data(dy.read(), weight.read(), c.options, dx.write(), mode);
        Rung::backward_weights(x.read(), dy.read(), c.options, dweight.write(), mode);
    }
    return {y.numbers(), dx.numbers(), dweight.numbers()};
}

// Within the error of as many roundings as the longest sum has, in units of sum|a||b|; and under every order of threads
// the same bits.
template <class Rung, class T>
void check_conv_case(const ConvCase& c) {
    using gradus::Cuda;
    operations::Numbers numbers = draw_convolution(c);
    for (std::size_t k = 0; k < 4; ++k)
        numbers[k] =
            k == 0 || k == 3 ? operations::rounded<T>(numbers[k]) : operations::rounded<gradus::Sum<T>>(numbers[k]);
    operations::Numbers absolute = numbers;
    for (std::vector<double>& values : absolute)
        for (double& value : values) value = std::abs(value);

    const gradus::Array4<float>::Extents y = result_extents(c);
    const gradus::Index window = c.weight[1] * c.weight[2] * std::max(c.weight[3], c.weight[0] / c.options.groups);
    const double roundings = static_cast<double>(std::max(window, y[0] * y[1] * y[2])) + 2;
    const double tolerance =
        3 * operations::epsilon<T>() + roundings * operations::epsilon<gradus::Sum<T>>();  // the weight, two stores
    for (const int passes : {1, 2}) {
        const std::string what =
            std::string(c.name) + " in " + gradus::element_name<T>() + ", passes " + std::to_string(passes);
        INFO(what);
        const operations::Results exact =
            run_convolution<ReferenceConvolution, double, gradus::Reference>(c, numbers, passes);
        const operations::Results scale =
            run_convolution<ReferenceConvolution, double, gradus::Reference>(c, absolute, passes);
        const operations::Results computed = run_convolution<Rung, T, Cuda>(c, numbers, passes);
        operations::check_close(computed, exact, scale, tolerance, 4 * operations::underflow<T>(), what);
        if (passes == 1 || under_race_checker) continue;
        in_every_order([&] {
            const bool same_bits = run_convolution<Rung, T, Cuda>(c, numbers, passes) == computed;
            CHECK(same_bits);
        });
    }
}
template <class Rung, class T>
void check_conv_cases(const std::vector<ConvCase>& cases) {
    for (const ConvCase& c : cases) check_conv_case<Rung, T>(c);
}
