// Whole models against PyTorch: a bottleneck block, three training steps of ResNet-20 and its evaluation after them,
// and a state dict that PyTorch has saved. models.safetensors and state_dict.safetensors are from make_golden.py;
// weights and inputs follow from their names (fill_rule.hpp).
//
// What is allowed is measured on PyTorch itself: the file has the largest relative error of its own float, over all
// tensors (of the norm of the difference, in units of the norm). Roundings in another order may add up to twice that by
// chance. In float Winograd's kernels lose 4 times as much as direct ones (32 eps of the largest sum to 8,
// tests/convolution): 8 times in all. In double there is no Winograd, but PyTorch has roundings too: 4 times, and that
// times 2^-29, the ratio of the two eps. The inputs are such that no ReLU meets a number near 0, where its derivative
// jumps.
#include <doctest/doctest.h>

#include <cmath>

#include "golden/fill_rule.hpp"
#include "golden/golden_file.hpp"
#include "gradus/gradus.hpp"

using namespace gradus;

namespace {

template <class P, class D>
std::vector<double> numbers_of(const Tensor<P, D>& x) {
    const std::vector<P> values = x.to_vector();
    return std::vector<double>(values.begin(), values.end());
}

double norm(const std::vector<double>& x) {
    double squares = 0;
    for (const double value : x) squares += value * value;
    return std::sqrt(squares);
}

// The input of a model, from (N, C, H, W), in which the rule counts, to (N, H, W, C).
template <class T, class D>
Variable<T, D> filled(const std::string& name, const Shape& shape) {
    const Shape nchw{shape[0], shape[3], shape[1], shape[2]};
    const Tensor<double> file = Tensor<double>::from(nchw, golden::fill(name, shape.numel()));
    return Variable<T, D>(oihw_to_ohwi(file).template as<T>().template to<D>(), true);
}

// A gradient as files have it.
template <class T, class D>
Tensor<Sum<T>, Cpu> gradient_of(const Parameter<T, D>& parameter) {
    const Tensor<Sum<T>, Cpu> gradient = parameter.variable->grad().template to<Cpu>();
    return parameter.layout == FileLayout::oihw ? ohwi_to_oihw(gradient) : gradient;
}

// Compares the values of one model, in one type, with the file's.
struct Comparison {
    golden::GoldenFile& file;
    std::string model;
    double tolerance;  // relative
    Index row = 0;     // of the summary

    // Four dimensions are in the file's order, N or O, C, H, W.
    void check(const std::string& name, const std::vector<double>& values) {
        const std::vector<double> peer = file.values(model + "/" + name);
        REQUIRE(values.size() == peer.size());
        std::vector<double> difference = peer;
        for (std::size_t i = 0; i < peer.size(); ++i) difference[i] -= values[i];
        const double error = norm(difference) / norm(peer);
        CHECK_MESSAGE(error <= tolerance, model << "/" << name << ": relative error " << error);
    }

    // The next gradient or buffer of the model: by its norm and its product with a unit vector, and whole if the file
    // has it.
    void check_next(const std::string& name, const std::vector<double>& values) {
        const std::vector<double> unit = golden::fill("unit/" + name, static_cast<Index>(values.size()));
        double product = 0;
        for (std::size_t i = 0; i < values.size(); ++i) product += values[i] * unit[i];
        const Tensor<double> summary = file.tensor(model + "/summary");
        const double peer_norm = summary.read<2>()(row, 0), peer_product = summary.read<2>()(row, 1);
        CHECK_MESSAGE(std::abs(norm(values) - peer_norm) <= tolerance * peer_norm, model << "/" << name);
        CHECK_MESSAGE(std::abs(product / norm(unit) - peer_product) <= tolerance * peer_norm, model << "/" << name);
        if (file.has(model + "/" + name)) check(name, values);
        ++row;
    }
    template <class T, class D>
    void check_gradients(Module<T, D>& module) {
        for (const Parameter<T, D>& p : module.named_parameters())
            check_next("gradient/" + p.name, numbers_of(gradient_of(p)));
    }
    template <class T, class D>
    void check_buffers(Module<T, D>& module) {
        for (const Buffer<T, D>& b : module.named_buffers()) check_next("buffer/" + b.name, numbers_of(*b.tensor));
    }
};

template <class T>
Comparison comparison(golden::GoldenFile& file, const std::string& model) {
    const double float_error = file.tensor(model + "/float_error").item();
    return {file, model, sizeof(T) == 8 ? 4 * float_error * 0x1p-29 : 8 * float_error};
}

template <class T, class D>
void check_bottleneck(golden::GoldenFile& file) {
    Comparison compare = comparison<T>(file, "bottleneck");
    Bottleneck<T, D> block(4, 2, {.stride = 2});
    golden::fill_parameters(block);
    const Variable<T, D> x = filled<T, D>("input", {3, 7, 6, 4});
    const Variable<T, D> y = block(x);
    y.backward(filled<T, D>("dy", y.shape()).value());
    compare.check("y", numbers_of(ohwi_to_oihw(y.value().template to<Cpu>())));
    compare.check("dx", numbers_of(ohwi_to_oihw(x.grad().template to<Cpu>())));
    compare.check_gradients(block);
    compare.check_buffers(block);
    CHECK(compare.row == file.tensor("bottleneck/summary").shape()[0]);
}

template <class T, class D>
void check_resnet20(golden::GoldenFile& file) {
    Comparison compare = comparison<T>(file, "resnet20");
    CifarResNet<T, D> model;
    golden::fill_parameters(model);
    const Variable<T, D> images(filled<T, D>("input 34", {4, 8, 8, 3}).value());
    const Tensor<std::int64_t, D> labels = Tensor<std::int64_t, D>::from({4}, {0, 3, 6, 9});
    std::vector<Variable<Sum<T>, D>> parameters;
    for (const Parameter<T, D>& p : model.named_parameters()) parameters.push_back(*p.variable);
    Sgd<Sum<T>, D> sgd(no_bias_decay(parameters, 1e-4), {.momentum = 0.9, .nesterov = true});
    std::vector<double> losses;
    for (int step = 0; step < 3; ++step) {
        sgd.zero_grad();
        const Variable<T, D> logits = model(images);
        const Variable<Sum<T>, D> loss = cross_entropy(logits, labels);
        loss.backward();
        compare.check(text("step ", step, "/logits"), numbers_of(logits.value()));
        losses.push_back(static_cast<double>(loss.item()));
        if (step == 0) compare.check_gradients(model);
        sgd.step(0.01);
    }
    compare.check("losses", losses);
    compare.check_buffers(model);
    model.eval();
    const NoGrad no_grad;
    compare.check("evaluation/logits", numbers_of(model(images).value()));
    CHECK(compare.row == file.tensor("resnet20/summary").shape()[0]);
}

// The model of state_dict.safetensors. Its linear layer sees the order in which flatten() lays out the channels.
template <class T>
struct Small : Module<T> {
    Conv2d<T> conv1{2, 3, {.kernel = 3, .padding = 1}};
    BatchNorm2d<T> bn1{3, {.relu = true}};
    Linear<T> fc{3 * 4 * 5, 4};

    Small() { this->child("conv1", conv1), this->child("bn1", bn1), this->child("fc", fc); }
    Variable<T> forward(const Variable<T>& x) override { return fc(flatten(bn1(conv1(x)))); }
};

template <class T>
double small_model_error(const std::vector<NamedTensor<float>>& state, const std::vector<double>& peer) {
    std::vector<NamedTensor<Sum<T>>> converted;
    for (const NamedTensor<float>& entry : state) converted.push_back({entry.name, entry.tensor.template as<Sum<T>>()});
    Small<T> model;
    load_state_dict(model, converted);
    model.eval();
    std::vector<double> difference = numbers_of(model(filled<T, Cpu>("input", {2, 4, 5, 2})).value());
    REQUIRE(difference.size() == peer.size());
    for (std::size_t i = 0; i < peer.size(); ++i) difference[i] -= peer[i];
    return norm(difference) / norm(peer);
}

}  // namespace

TEST_CASE("the fill rule gives the numbers of its definition") {
    CHECK(crc32(std::as_bytes(std::span("conv1.weight", 12))) == 0xcb487135u);
    const std::vector<double> input = golden::fill("input", 4), weight = golden::fill("conv1.weight", 3);
    const double expected_input[] = {.9951141895, -.3004053361, .5590885156, -.7847027522};
    const double expected_weight[] = {-.4902197929, -.9494080124, -.07662839815};
    for (std::size_t i = 0; i < 4; ++i) CHECK(std::abs(input[i] - expected_input[i]) <= 5e-11);
    for (std::size_t i = 0; i < 3; ++i) CHECK(std::abs(weight[i] - expected_weight[i]) <= 5e-11);
}

TEST_CASE("a bottleneck block and three steps of ResNet-20 give PyTorch's numbers") {
    golden::GoldenFile file("models");
    check_bottleneck<double, Reference>(file);
    check_bottleneck<double, Cpu>(file);
    check_bottleneck<float, Cpu>(file);
    check_resnet20<double, Reference>(file);
    check_resnet20<double, Cpu>(file);
    check_resnet20<float, Cpu>(file);

    const SafetensorsFile state_file = golden::read_file("state_dict");
    const std::vector<NamedTensor<float>> state = model_tensors<float>(state_file).value();
    const std::vector<double> logits = file.values("small/logits");
    // Sums of 60 and 18 products of numbers of mixed sign: their errors add up like sqrt(60 + 18) eps/2 at most, here
    // as everywhere in units of the norm; eps is Gradus' and, for double, PyTorch's together.
    CHECK(small_model_error<double>(state, logits) <= 9 * std::numeric_limits<double>::epsilon());
    CHECK(small_model_error<float>(state, logits) <= 9 * std::numeric_limits<float>::epsilon());
    file.check_all_used();
}

TEST_CASE("a state dict that PyTorch has saved is saved again as the same bytes") {
    const SafetensorsFile file = golden::read_file("state_dict");
    Small<float> model;
    load_state_dict(model, model_tensors<float>(file).value());
    const std::vector<NamedTensor<float>> state = state_dict(model);
    const Tensor<std::int64_t> batches = file.tensor<std::int64_t>("bn1.num_batches_tracked").value();
    CHECK(batches.item() == 7);
    std::vector<FileTensor> tensors = {file_tensor("bn1.num_batches_tracked", batches)};
    for (const NamedTensor<float>& entry : state) tensors.push_back(file_tensor(entry.name, entry.tensor));
    CHECK(encode_safetensors(tensors, {{"format", "pt"}}) == file.contents);
}
