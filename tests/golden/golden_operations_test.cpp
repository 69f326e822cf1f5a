// The operations against PyTorch: results and gradients of operations.safetensors, which make_golden.py has written.
// A row here has the name, the shapes and the options of a row there. Reference in double and Cpu in float may be off
// by what operations/operation.hpp counts: so many roundings, of eps each, in units of the result's scale. A rounding
// is eps/2 at most, so in double that is enough for PyTorch's roundings too. (Cpu in double is compared with Reference,
// as strictly, in tests/operations.)
#include <doctest/doctest.h>

#include "golden/fill_rule.hpp"
#include "golden/golden_file.hpp"
#include "gradus/gradus.hpp"
#include "operations/walk.hpp"

using namespace gradus;

namespace {

using operations::Inputs;
using operations::Results;
using operations::Row;
using operations::Run;
using operations::Sample;
using operations::Scale;

// What golden values are compared with.
struct Runs {
    Run in_double, in_float;
};

// x0, x1, ..., p0, p1, ...: the parts of a golden value's name.
std::vector<std::string> input_names(const Sample& sample) {
    std::vector<std::string> names;
    for (std::size_t k = 0; k < sample.x.size(); ++k) names.push_back("x" + std::to_string(k));
    for (std::size_t k = 0; k < sample.p.size(); ++k) names.push_back("p" + std::to_string(k));
    return names;
}

// peer_error: how far PyTorch's double is from the exact value where it loses digits that Gradus keeps.
void check_row(golden::GoldenFile& file, const Row& row, const Runs& runs, double peer_error) {
    const Sample& sample = row.samples.at(0);
    const std::string prefix = std::string(row.name) + "/";
    const std::vector<std::string> names = input_names(sample);
    operations::Numbers numbers;
    for (std::size_t k = 0; k < names.size(); ++k) {
        const Index count = operations::shapes_of(sample)[k].numel();
        numbers.push_back(row.distinct ? golden::draw_distinct(prefix + names[k], count)
                                       : golden::draw(prefix + names[k], count, row.low, row.high));
    }
    Results peer = {file.values(prefix + "y")};
    for (const std::string& name : names) peer.push_back(file.values(prefix + "d" + name));
    const std::vector<double> dy = golden::draw(prefix + "dy", static_cast<Index>(peer[0].size()), -1, 1);

    const Results in_double = runs.in_double(numbers, dy, 1);
    const Results scale = operations::scale_of(row, runs.in_double, numbers, dy, in_double);
    const auto check = [&](const Results& results, double eps, const char* how) {
        operations::check_close(results, peer, scale, (row.stored + row.roundings) * eps, peer_error,
                                text(row.name, " ", how));
    };
    check(in_double, operations::epsilon<double>(), "in double on reference");
    check(runs.in_float(numbers, dy, 1), operations::epsilon<float>(), "in float on cpu");
}

// Calls check_row for every row that it is shown.
struct Checker {
    golden::GoldenFile& file;
    double peer_error = 0;
    template <class Function>
    void operator()(const Row& row, const Function& function) const {
        const Sample& sample = row.samples.at(0);
        const Runs runs{operations::run_with<double, Reference>(function, sample),
                        operations::run_with<float, Cpu>(function, sample)};
        check_row(file, row, runs, peer_error);
    }
};

void check_convolutions(const Checker& check) {
    // The longest sum is that of a weight's gradient, over N*P*Q pixels, or that of an output, over KH*KW*C/groups
    // products, and the bias.
    const auto row = [](const char* name, const Shape& x, const Shape& weight, double longest, bool has_bias = true) {
        Sample sample{.x = {x}, .p = {weight}};
        if (has_bias) sample.p.push_back({weight[0]});
        return Row{.name = name, .samples = {sample}, .scale = Scale::absolute, .roundings = longest + 1};
    };
    // One function for all, so that it is compiled once.
    const auto conv = [&](const Row& r, const Conv2dOptions& options) {
        check(r, [options]<class T, class D>(const Inputs<T, D>& in) {
            return conv2d(in.x[0], in.p[0], in.p.size() > 1 ? in.p[1] : Variable<Sum<T>, D>(), options);
        });
    };
    conv(row("conv2d", {2, 5, 4, 3}, {4, 3, 2, 3}, 18), {});
    conv(row("conv2d padded", {2, 5, 3, 2}, {3, 3, 3, 2}, 30, false), {.padding = 1});
    // Winograd's transforms make it 32 eps of the largest sum (conv2d_winograd_cpu.hpp); a corner has 4/9 of its terms.
    conv(row("conv2d for Winograd", {1, 6, 5, 12}, {12, 3, 3, 12}, 108), {.padding = 1});
    conv(row("conv2d stride 2", {2, 7, 6, 2}, {3, 3, 3, 2}, 24), {.stride = 2, .padding = 1});
    conv(row("conv2d stride 3, an even kernel", {1, 11, 9, 2}, {3, 4, 2, 2}, 16), {.stride = 3, .padding = 1});
    conv(row("conv2d dilation 2", {1, 7, 6, 2}, {3, 3, 2, 2}, 56), {.padding = 2, .dilation = 2});
    conv(row("conv2d of 3 groups", {2, 4, 4, 6}, {9, 3, 3, 2}, 32), {.padding = 1, .groups = 3});
    conv(row("conv2d of 2 groups, stride, dilation", {1, 9, 8, 4}, {6, 3, 3, 2}, 20),
         {.stride = 2, .padding = 2, .dilation = 2, .groups = 2});
    conv(row("conv2d depthwise", {2, 5, 4, 5}, {5, 3, 3, 1}, 40), {.padding = 1, .groups = 5});
    conv(row("conv2d depthwise 5x5, stride 2", {1, 9, 7, 3}, {3, 5, 5, 1}, 25),
         {.stride = 2, .padding = 2, .groups = 3});
    conv(row("conv2d depthwise, two outputs a channel", {1, 5, 5, 3}, {6, 3, 3, 1}, 25), {.padding = 1, .groups = 3});
    conv(row("conv2d 1x1", {2, 3, 3, 5}, {7, 1, 1, 5}, 18), {});
    conv(row("conv2d 1x1, stride 2", {1, 5, 4, 3}, {2, 1, 1, 3}, 6, false), {.stride = 2});
    conv(row("conv2d 7x7, stride 2", {1, 9, 8, 3}, {2, 7, 7, 3}, 147), {.stride = 2, .padding = 3});
}

void check_products(const Checker& check) {
    const auto row = [](const char* name, const Sample& sample) {
        return Row{.name = name, .samples = {sample}, .scale = Scale::absolute, .roundings = 17 + 1};
    };
    check(row("linear", {.x = {{5, 7}}, .p = {{3, 7}, {3}}}),
          [](const auto& in) { return linear(in.x[0], in.p[0], in.p[1]); });
    check(row("linear without a bias", {.x = {{3, 17}}, .p = {{4, 17}}}),
          [](const auto& in) { return linear(in.x[0], in.p[0]); });
    check(row("matmul", {.x = {{5, 7}, {7, 3}}}), [](const auto& in) { return matmul(in.x[0], in.x[1]); });
    check(row("matmul, both transposed", {.x = {{7, 5}, {3, 7}}}),
          [](const auto& in) { return matmul(in.x[0], in.x[1], {.transpose_a = true, .transpose_b = true}); });
}

template <class T, class D>
Variable<T, D> train(const Inputs<T, D>& in, const BatchNormOptions& options) {
    Tensor<Sum<T>, D> mean = Tensor<Sum<T>, D>::zeros({5}), var = mean.clone();
    return batch_norm(in.x[0], in.p[0], in.p[1], mean, var, options, in.x.size() > 1 ? in.x[1] : Variable<T, D>());
}
template <class T, class D>
Variable<T, D> infer(const Inputs<T, D>& in, const BatchNormOptions& options) {
    const auto mean = Tensor<Sum<T>, D>::full({5}, Sum<T>(0.25)), var = Tensor<Sum<T>, D>::full({5}, Sum<T>(1.5));
    return batch_norm_inference(in.x[0], in.p[0], in.p[1], mean, var, options,
                                in.x.size() > 1 ? in.x[1] : Variable<T, D>());
}

void check_normalizations(const Checker& check) {
    // 12 rows are added up for the mean, the variance and each of the two sums of the backward pass; a dozen roundings
    // combine them.
    const auto row = [](const char* name, bool has_shortcut = false) {
        const std::vector<Shape> x(has_shortcut ? 2 : 1, Shape{2, 3, 2, 5});
        return Row{.name = name, .samples = {{.x = x, .p = {{5}, {5}}}}, .roundings = 4 * 12 + 12};
    };
    const auto training = [&](const Row& r, const BatchNormOptions& options) {
        check(r, [options](const auto& in) { return train(in, options); });
    };
    const auto inference = [&](const Row& r, const BatchNormOptions& options) {
        check(r, [options](const auto& in) { return infer(in, options); });
    };
    training(row("batch_norm"), {});
    training(row("batch_norm of another eps"), {.eps = 0.25});
    training(row("batch_norm with a ReLU"), {.relu = true});
    training(row("batch_norm with a shortcut", true), {});
    training(row("batch_norm with a shortcut and a ReLU", true), {.relu = true});
    inference(row("batch_norm_inference"), {});
    inference(row("batch_norm_inference with a ReLU"), {.relu = true});
    inference(row("batch_norm_inference with a shortcut and a ReLU", true), {.relu = true});
}

void check_poolings(const Checker& check) {
    // At most 9 pixels of a window, or windows of a pixel, are added up.
    const auto row = [](const char* name, double longest = 9) {
        return Row{.name = name, .samples = {{.x = {{1, 5, 7, 2}}}}, .roundings = longest + 2};
    };
    const auto maximum = [&](const char* name, const MaxPool2dOptions& options) {
        Row r = row(name);
        r.distinct = true;
        check(r, [options](const auto& in) { return max_pool2d(in.x[0], options); });
    };
    const auto average = [&](const char* name, const AvgPool2dOptions& options) {
        check(row(name), [options](const auto& in) { return avg_pool2d(in.x[0], options); });
    };
    maximum("max_pool2d", {});
    maximum("max_pool2d with overlap and padding", {.kernel = 3, .stride = 2, .padding = 1});
    maximum("max_pool2d with ceil_mode", {.kernel = 2, .ceil_mode = true});
    average("avg_pool2d", {});
    average("avg_pool2d with overlap and padding", {.kernel = 3, .stride = 2, .padding = 1});
    average("avg_pool2d without counting the padding",
            {.kernel = 3, .stride = 2, .padding = 1, .count_include_pad = false});
    average("avg_pool2d with ceil_mode and padding", {.kernel = 3, .stride = 3, .padding = 1, .ceil_mode = true});
    average("avg_pool2d with ceil_mode, not counting",
            {.kernel = 3, .stride = 3, .padding = 1, .ceil_mode = true, .count_include_pad = false});
    check(row("adaptive_avg_pool2d"), [](const auto& in) { return adaptive_avg_pool2d(in.x[0], 2, 3); });
    check(row("adaptive_avg_pool2d to more pixels"), [](const auto& in) { return adaptive_avg_pool2d(in.x[0], 7, 8); });
    check(row("global_avg_pool2d", 35), [](const auto& in) { return global_avg_pool2d(in.x[0]); });
}

void check_softmax(const Checker& check) {
    // Sums run over 9 classes and 5 rows at most; exp, log and the products around them are some 15 roundings more.
    const auto row = [](const char* name, const Shape& shape) {
        return Row{.name = name, .samples = {{.x = {shape}}}, .low = -4, .high = 4, .roundings = 9 + 5 + 15};
    };
    check(row("softmax", {2, 2, 9}), [](const auto& in) { return softmax(in.x[0]); });
    check(row("log_softmax", {2, 2, 9}), [](const auto& in) { return log_softmax(in.x[0]); });

    const auto loss = [&](const char* name, bool ignores, const CrossEntropyOptions& options) {
        const std::vector<std::int64_t> labels = {1, ignores ? -100 : 3, 5, 0, ignores ? -100 : 2};
        check(row(name, {5, 7}), [labels, options]<class T, class D>(const Inputs<T, D>& in) {
            return cross_entropy(in.x[0], Tensor<std::int64_t, D>::from({5}, labels), options);
        });
    };
    const std::vector<double> weights = {1, 1.5, 2, 1, 1.5, 2, 1};
    loss("cross_entropy", false, {});
    loss("cross_entropy summed", false, {.reduction = Reduction::sum});
    loss("cross_entropy of every row", false, {.reduction = Reduction::none});
    loss("cross_entropy ignoring rows", true, {});
    loss("cross_entropy weighted", false, {.weights = weights});
    loss("cross_entropy smoothed", false, {.label_smoothing = 0.1});
    loss("cross_entropy of everything", true, {.label_smoothing = 0.1, .weights = weights});
    loss("cross_entropy of everything, of every row", true,
         {.label_smoothing = 0.1, .weights = weights, .reduction = Reduction::none});
    loss("cross_entropy smoothed as in the paper", false, {.label_smoothing = 0.1, .form = SmoothingForm::paper});

    const auto soft_loss = [&](const char* name, const CrossEntropyOptions& options) {
        check(row(name, {5, 7}), [options]<class T, class D>(const Inputs<T, D>& in) {
            std::vector<Sum<T>> q;
            for (int i = 0; i < 35; ++i) q.push_back(static_cast<Sum<T>>(i % 4) / 4);
            return soft_cross_entropy(in.x[0], Tensor<Sum<T>, D>::from({5, 7}, q), options);
        });
    };
    soft_loss("soft_cross_entropy", {});
    soft_loss("soft_cross_entropy weighted, of every row", {.weights = weights, .reduction = Reduction::none});
}

void check_functions(const Checker& check) {
    const auto row = [](const char* name) {
        return Row{.name = name, .samples = {{.x = {{33}}}}, .low = -8, .high = 8};
    };
    const auto positive = [](const char* name) {
        return Row{.name = name, .samples = {{.x = {{33}}}}, .low = 0.25, .high = 4};
    };
    check(row("relu"), [](const auto& in) { return relu(in.x[0]); });
    check(row("exp"), [](const auto& in) { return exp(in.x[0]); });
    check(row("square"), [](const auto& in) { return square(in.x[0]); });
    check(row("abs"), [](const auto& in) { return abs(in.x[0]); });
    check(row("softplus"), [](const auto& in) { return softplus(in.x[0]); });
    check(row("silu"), [](const auto& in) { return silu(in.x[0]); });
    check(row("leaky_relu"), [](const auto& in) { return leaky_relu(in.x[0]); });
    // PyTorch computes the derivatives y (1 - y) and 1 - y^2, and gelu as x (1 + erf)/2. Where 1 - y or 1 + erf is
    // small they are off by the roundings of numbers near 1, multiplied by |x| <= 8 for gelu.
    const double eps = operations::epsilon<double>();
    Checker{check.file, eps}(row("sigmoid"), [](const auto& in) { return sigmoid(in.x[0]); });
    Checker{check.file, 2 * eps}(row("tanh"), [](const auto& in) { return tanh(in.x[0]); });
    Checker{check.file, 8 * eps}(row("gelu"), [](const auto& in) { return gelu(in.x[0]); });
    check(positive("log"), [](const auto& in) { return log(in.x[0]); });
    check(positive("sqrt"), [](const auto& in) { return sqrt(in.x[0]); });
    check(positive("reciprocal"), [](const auto& in) { return reciprocal(in.x[0]); });
}

void check_the_rest(const Checker& check) {
    const auto binary_row = [](const char* name, double low, double high = 2) {
        return Row{
            .name = name, .samples = {{.x = {{2, 3, 5}, {3, 1}}}}, .low = low, .high = high, .roundings = 10 + 4};
    };
    check(binary_row("add", -2), [](const auto& in) { return in.x[0] + in.x[1]; });
    check(binary_row("sub", -2), [](const auto& in) { return in.x[0] - in.x[1]; });
    check(binary_row("mul", -2), [](const auto& in) { return in.x[0] * in.x[1]; });
    check(binary_row("div", 0.5), [](const auto& in) { return in.x[0] / in.x[1]; });
    check(binary_row("maximum", 0.5, 3.5), [](const auto& in) { return maximum(in.x[0], in.x[1]); });

    const auto row = [](const char* name, const Shape& shape, bool distinct = false) {
        return Row{.name = name, .samples = {{.x = {shape}}}, .distinct = distinct, .roundings = 20 + 2};
    };
    check(row("sum over three of five", {2, 3, 2, 2, 5}), [](const auto& in) { return sum(in.x[0], {4, 0, 2}); });
    check(row("mean over H and W", {2, 3, 4, 5}), [](const auto& in) { return mean(in.x[0], {1, 2}); });
    check(row("max over two of three, kept", {2, 3, 5}, true), [](const auto& in) {
        return max(in.x[0], {0, 2}, {.keep = true});
    });
    check(row("flatten", {2, 2, 3, 4}), [](const auto& in) { return flatten(in.x[0]); });
    check(row("pad_shortcut", {2, 4, 5, 2}), [](const auto& in) { return pad_shortcut(in.x[0], 5, 2); });
}

}  // namespace

TEST_CASE("every operation gives PyTorch's results and gradients") {
    golden::GoldenFile file("operations");
    const Checker check{.file = file};
    check_convolutions(check);
    check_products(check);
    check_normalizations(check);
    check_poolings(check);
    check_softmax(check);
    check_functions(check);
    check_the_rest(check);
    file.check_all_used();
}
