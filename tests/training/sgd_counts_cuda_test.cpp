// How many launches a step of all parameters takes, and what they move, counted by the emulator and checked for races.
// Covers array_table.hpp, sgd_cuda.cuh and unscale_cuda.cuh. Compiled and linked as race_checker_test.cpp.
#include "gradus/machine/cuda/array_table.hpp"

#include "gradus/training/sgd_cuda.cuh"
#include "gradus/training/unscale_cuda.cuh"
#include "machine/emulator/emulator_checks.hpp"
#include "machine/emulator/kernel_counts.hpp"

using namespace gradus;

namespace {

// The shapes of ResNet-20 for CIFAR: a convolution, gamma and beta, ..., the last layer.
template <class P>
std::vector<Variable<P, Cuda>> resnet20_parameters() {
    std::vector<Variable<P, Cuda>> parameters;
    const auto add = [&](const Shape& shape) {
        parameters.emplace_back(Tensor<P, Cuda>::ones(shape), true);
        parameters.back().mutable_grad() = Tensor<P, Cuda>::ones(shape);
    };
    for (int layer = 0; layer < 19; ++layer) {
        const Index out = layer < 7 ? 16 : layer < 13 ? 32 : 64;
        const Index in = layer == 0 ? 3 : layer == 7 ? 16 : layer == 13 ? 32 : out;
        add({out, 3, 3, in});
        add({out});
        add({out});
    }
    add({10, 64});
    add({10});
    return parameters;
}

template <class P>
double bytes_of(const std::vector<Variable<P, Cuda>>& parameters) {
    double bytes = 0;
    for (const Variable<P, Cuda>& parameter : parameters) bytes += static_cast<double>(parameter.value().bytes());
    return bytes;
}

// One kernel of this name, launched so often: it moves the fewest sectors that hold its words, and so many bytes.
template <class Body>
void check_kernel(const std::string& name, std::uint64_t launches, double bytes, const Body& body) {
    const emulator::KernelCounts counts = counts_of_one(name, body);
    CHECK(counts.launches == launches);
    CHECK(counts.sectors_per_least() <= 1.02);  // a parameter may begin and end within a sector
    CHECK(static_cast<double>(counts.bytes()) <= 1.02 * bytes);
    CHECK(static_cast<double>(counts.bytes()) >= bytes);
    // Packs of 16 bytes: a warp's request is 16 sectors, few have less.
    CHECK(static_cast<double>(counts.load_sectors + counts.store_sectors) >=
          14.0 * static_cast<double>(counts.load_requests + counts.store_requests));
}

}  // namespace

TEST_CASE("a step of ResNet-20's 59 parameters is one launch, with or without momentum, and so is their unscaling") {
    const std::vector<Variable<float, Cuda>> parameters = resnet20_parameters<float>();
    REQUIRE(parameters.size() == 59);
    std::vector<Index> sizes;
    for (const Variable<float, Cuda>& parameter : parameters) sizes.push_back(parameter.value().numel());
    std::sort(sizes.begin(), sizes.end());
    CHECK(sizes[29] == 64);  // as array_table.hpp says
    const double bytes = bytes_of(parameters);

    Sgd<float, Cuda> plain(parameters, {}), momentum(parameters, {.momentum = 0.9, .nesterov = true});
    check_kernel("sgd_kernel", 1, 3 * bytes, [&] { plain.step(0.1); });
    momentum.step(0.1);
    check_kernel("sgd_kernel", 1, 5 * bytes, [&] { momentum.step(0.1); });
    const std::vector<ParameterGroup<float, Cuda>> group = {{parameters}};
    check_kernel("unscale_kernel", 1, 2 * bytes, [&] { CHECK(unscale_gradients(group, 2)); });
    CHECK(parameters[0].grad().to_vector()[0] == 0.5f);
}

TEST_CASE("tables of double are smaller: two launches") {
    const std::vector<Variable<double, Cuda>> parameters = resnet20_parameters<double>();
    Sgd<double, Cuda> sgd(parameters, {});
    check_kernel("sgd_kernel", 2, 3 * bytes_of(parameters), [&] { sgd.step(0.1); });
}
