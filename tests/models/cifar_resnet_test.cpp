// Parameter and multiply-add counts, names, and the identity that zero-initialised residual branches give.
#include "gradus/models/cifar_resnet.hpp"

#include <doctest/doctest.h>

#include "gradus/training/model_summary.hpp"

using namespace gradus;

namespace {

struct Counts {
    Index depth;
    ShortcutKind shortcut;
    Index parameters;
    Index macs;
};

Index total_macs(CifarResNet<float>& model) {
    Index macs = 0;
    for (const SummaryRow& row : summary_rows(model, {1, 32, 32, 3})) macs += row.macs;
    return macs;
}

}  // namespace

TEST_CASE("cifar_resnet: parameters and multiply-adds of every depth, both shortcuts") {
    const Counts table[] = {
        {20, ShortcutKind::pad, 269722, 40551040},    {20, ShortcutKind::projection, 272474, 40813184},
        {32, ShortcutKind::pad, 464154, 68862592},    {32, ShortcutKind::projection, 466906, 69124736},
        {44, ShortcutKind::pad, 658586, 97174144},    {44, ShortcutKind::projection, 661338, 97436288},
        {56, ShortcutKind::pad, 853018, 125485696},   {56, ShortcutKind::projection, 855770, 125747840},
        {110, ShortcutKind::pad, 1727962, 252887680}, {110, ShortcutKind::projection, 1730714, 253149824},
    };
    for (const Counts& row : table) {
        CAPTURE(row.depth);
        CifarResNet<float> model({.depth = row.depth, .shortcut = row.shortcut});
        CHECK(model.parameter_count() == row.parameters);
        CHECK(total_macs(model) == row.macs);
    }
    CHECK(CifarResNet<float>({.classes = 100}).parameter_count() == 275572);
}

TEST_CASE("cifar_resnet: parameter names are torchvision's") {
    CifarResNet<float> model({.shortcut = ShortcutKind::projection});
    std::vector<std::string> names;
    for (const Parameter<float, Cpu>& parameter : model.named_parameters()) names.push_back(parameter.name);
    for (const char* name : {"conv1.weight", "bn1.bias", "layer1.0.conv1.weight", "layer3.2.bn2.weight",
                             "layer2.0.downsample.0.weight", "layer2.0.downsample.1.bias", "fc.weight", "fc.bias"})
        CHECK(std::find(names.begin(), names.end(), name) != names.end());
    CHECK(names.front() == "conv1.weight");
    CHECK(names.back() == "fc.bias");
}

TEST_CASE("cifar_resnet: a depth that is not 6n+2 is refused") {
    CHECK_THROWS_WITH_AS(CifarResNet<float>({.depth = 21}),
                         "cifar_resnet: depth must be 6n+2 (8, 14, 20, 32, ...), got 21", Error);
}

TEST_CASE("cifar_resnet: output shape follows the input, and an error names the layer") {
    CifarResNet<float> model({.depth = 8, .classes = 7, .channels = 1});
    const NoGrad no_grad;
    CHECK(model(Variable<float>(Tensor<float>::zeros({3, 9, 12, 1}))).shape() == Shape{3, 7});
    std::string message;
    try {
        model(Variable<float>(Tensor<float>::zeros({3, 8, 8, 2})));
    } catch (const Error& error) {
        message = error.what();
    }
    CHECK(message.find("conv2d (conv1): ") == 0);
}
