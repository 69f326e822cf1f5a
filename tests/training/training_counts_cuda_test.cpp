// What sgd_cuda.cuh, clip_grad_cuda.cuh and unscale_cuda.cuh ask of the memory, and that no two threads race. Linked
// with the race checker. The counts are sums over all launches, so they do not depend on how many parameters a launch
// takes.
#include <cmath>

#include "gradus/training/clip_grad_cuda.cuh"
#include "gradus/training/sgd_cuda.cuh"
#include "gradus/training/unscale_cuda.cuh"

#include "machine/emulator/emulator_checks.hpp"
#include "machine/emulator/kernel_counts.hpp"

using namespace gradus;

namespace {

// Parameters of these sizes, with a gradient of `gradient` each.
template <class P>
std::vector<Variable<P, Cuda>> parameters_of(const std::vector<Index>& sizes, P gradient) {
    std::vector<Variable<P, Cuda>> parameters;
    for (const Index size : sizes) {
        parameters.push_back(Variable<P, Cuda>(Tensor<P, Cuda>::ones({size}), true));
        parameters.back().mutable_grad() = Tensor<P, Cuda>::full({size}, gradient);
    }
    return parameters;
}

// The kernels of the body whose names begin like this, added up. There must be one.
template <class Body>
emulator::KernelCounts sum_of(const std::string& name, const Body& body) {
    emulator::KernelCounts sum;
    const std::vector<emulator::KernelCounts> all = counts_of(body);
    for (const emulator::KernelCounts& counts : all)
        if (counts.kernel.find("gradus::" + name) == 0) {
            sum.launches += counts.launches;
            sum.load_sectors += counts.load_sectors;
            sum.store_sectors += counts.store_sectors;
            sum.least_sectors += counts.least_sectors;
            sum.load_requests += counts.load_requests;
            sum.store_requests += counts.store_requests;
            sum.partial_requests += counts.partial_requests;
        }
    INFO(emulator::table_of(all));
    CHECK(sum.launches > 0);
    return sum;
}

// So many reads and writes of every byte of the parameters, in packs of 16 bytes, of which a warp takes 16 sectors.
// One percent more is left for what tells a kernel where its parameters lie.
void check_traffic(const emulator::KernelCounts& counts, std::uint64_t bytes, std::uint64_t reads,
                   std::uint64_t writes) {
    const auto percent_above = [](std::uint64_t value, std::uint64_t least) {
        return 100.0 * (static_cast<double>(value) / static_cast<double>(least) - 1);
    };
    CHECK(counts.store_sectors * 32 == writes * bytes);
    CHECK(counts.store_requests * 16 == counts.store_sectors);
    CHECK(counts.load_sectors * 32 >= reads * bytes);
    CHECK(percent_above(counts.load_sectors * 32, reads * bytes) <= 1);
    CHECK(counts.sectors_per_least() <= 1.01);
    CHECK(counts.partial_requests == 0);
}

const std::vector<Index> even = {4096, 8192}, odd = {1, 1027, 5};  // whole blocks of 256 packs, and tails

}  // namespace

TEST_CASE_TEMPLATE("SGD reads w and g and writes w; with momentum it reads and writes v as well", P, float, double) {
    const std::uint64_t bytes = (4096 + 8192) * sizeof(P);
    in_every_order([&] {
        Sgd<P, Cuda> plain(parameters_of<P>(even, 1), {}), momentum(parameters_of<P>(even, 1), {.momentum = 0.9});
        check_traffic(sum_of("sgd", [&] { plain.step(0.1); }), bytes, 2, 1);
        momentum.step(0.1);  // makes the velocities
        check_traffic(sum_of("sgd", [&] { momentum.step(0.1); }), bytes, 3, 2);
    });
}

TEST_CASE_TEMPLATE("unscaling reads and writes each gradient once", P, float, double) {
    in_every_order([&] {
        const std::vector<ParameterGroup<P, Cuda>> groups = {{parameters_of<P>(even, 8)}};
        check_traffic(sum_of("unscale", [&] { unscale_gradients(groups, 8); }), (4096 + 8192) * sizeof(P), 1, 1);
    });
}

TEST_CASE_TEMPLATE("clipping reads each gradient once, then reads and writes it once", P, float, double) {
    in_every_order([&] {
        const std::vector<ParameterGroup<P, Cuda>> groups = {{parameters_of<P>(even, 8)}};
        const std::uint64_t bytes = (4096 + 8192) * sizeof(P);
        const emulator::KernelCounts sum = sum_of("sum_of_squares_kernel<", [&] { clip_grad_norm(groups, 1e9); });
        CHECK(sum.load_sectors * 32 == bytes);
        CHECK(sum.load_requests * 16 == sum.load_sectors);
        CHECK(sum.store_sectors == 2);  // a partial sum for each gradient, of less than a chunk
        CHECK(sum.launches == 1);
        check_traffic(sum_of("scale_gradients_kernel<", [&] { clip_grad_norm(groups, 1); }), bytes, 1, 1);
    });
}

TEST_CASE("clipping of sizes with a tail, and of more than a chunk: no races") {
    in_every_order([&] {
        const std::vector<ParameterGroup<float, Cuda>> groups = {
            {parameters_of<float>({1, 5, norm_chunk<float> + 10}, 0.5f)}};
        CHECK(clip_grad_norm(groups, 1) == std::sqrt(16400 / 4.0));  // 16,400 times 0.5^2
    });
}

TEST_CASE("SGD and unscaling of sizes with a tail, and of what many threads find: no races") {
    in_every_order([&] {
        const std::vector<Variable<float, Cuda>> parameters = parameters_of<float>(odd, 8);
        for (const SgdConfig& config : {SgdConfig{}, SgdConfig{.momentum = 0.5, .nesterov = true}}) {
            Sgd<float, Cuda> sgd(parameters, config);
            CHECK(unscale_gradients(sgd.groups(), 1));
            sgd.step(0.25);
        }
        CHECK(parameters[2].value().to_vector() == std::vector<float>(5, 1 - 2 - 3.0f));  // 0.25 * 8, then half more
        const std::vector<ParameterGroup<float, Cuda>> overflow = {{parameters_of<float>(odd, HUGE_VALF)}};
        CHECK(!unscale_gradients(overflow, 8));
    });
}
