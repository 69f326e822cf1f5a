// Every rung under the race checker, and what its memory requests cost: sectors of device memory, passes through shared
// memory. Compiled and linked as machine/emulator/race_checker_test.cpp.
#include "gradus/machine/emulator/race_checker.hpp"

#include "convolution/conv2d_cuda_checks.hpp"
#include "convolution/conv2d_cuda_rungs.hpp"

using namespace gradus;

namespace {

// The counts of the kernel whose name contains `kernel`, of a forward and a backward pass.
template <class Rung, class T>
std::vector<emulator::KernelCounts> counts_of(const ConvCase& c, int passes = 1) {
    const operations::Numbers numbers = draw_convolution(c);
    emulator::take_kernel_counts();
    run_convolution<Rung, T, Cuda>(c, numbers, passes);
    cudaDeviceSynchronize();
    return emulator::take_kernel_counts();
}
emulator::KernelCounts of_kernel(const std::vector<emulator::KernelCounts>& counts, const std::string& kernel) {
    for (const emulator::KernelCounts& count : counts)
        if (contains(count.kernel, kernel)) return count;
    FAIL("no kernel " << kernel << " in\n" << emulator::table_of(counts));
    return {};
}

}  // namespace

TEST_CASE("no race in any rung, on odd shapes") {
    const ConvCase odd{"odd", {2, 5, 6, 12}, {9, 3, 3, 4}, {.stride = 2, .padding = 1, .groups = 3}};
    const ConvCase packs{"packs", {1, 5, 6, 16}, {24, 3, 3, 16}, {.padding = 1}};
    const ConvCase depthwise{"depthwise", {2, 5, 6, 9}, {9, 3, 3, 1}, {.stride = 2, .padding = 1, .groups = 9}};
    for (const ConvCase& c : {odd, packs}) {
        check_conv_case<DirectConvolution, float>(c);
        check_conv_case<TiledConvolution, float>(c);
        check_conv_case<ImplicitGemmConvolution, Half>(c);
    }
    check_conv_case<DepthwiseConvolution, float>(depthwise);
    check_conv_case<DepthwiseConvolution, Half>(depthwise);
}

TEST_CASE("direct: forward reads the weights in 32 sectors, backward-data in 4") {
    const ConvCase c{"", {1, 4, 4, 32}, {32, 3, 3, 32}, {.padding = 1}};
    const auto counts = counts_of<DirectConvolution, float>(c);
    const auto forward = of_kernel(counts, "forward"), data = of_kernel(counts, "backward_data");
    const auto sectors = [](const emulator::KernelCounts& k) {
        return static_cast<double>(k.load_sectors) / static_cast<double>(k.load_requests);
    };
    CHECK(sectors(forward) == doctest::Approx((1 + 32) / 2.0).epsilon(0.02));  // x: one for all lanes; a weight: 32
    CHECK(sectors(data) == doctest::Approx((1 + 4) / 2.0).epsilon(0.02));
}

TEST_CASE("tiled: a hundredth of the loads, no conflicts") {
    const ConvCase c{"", {1, 8, 8, 16}, {64, 3, 3, 16}, {.padding = 1}};
    const auto tiled = of_kernel(counts_of<TiledConvolution, float>(c, 0), "tiled_kernel");
    const auto direct = of_kernel(counts_of<DirectConvolution, float>(c, 0), "forward");
    MESSAGE(emulator::table_of({tiled, direct}));
    CHECK(100 * tiled.load_sectors < direct.load_sectors);
    CHECK(tiled.sectors_per_least() <= 1.25);
    CHECK(tiled.passes_per_request() <= 1.1);
}

TEST_CASE("depthwise: 16 bytes a lane, no conflicts") {
    const ConvCase c{"", {2, 8, 8, 128}, {128, 3, 3, 1}, {.padding = 1, .groups = 128}};
    const auto counts = counts_of<DepthwiseConvolution, Half>(c);
    MESSAGE(emulator::table_of(counts));
    const auto forward = of_kernel(counts, "depthwise_kernel"), weights = of_kernel(counts, "backward_weights");
    CHECK(forward.sectors_per_least() <= 1.25);
    CHECK(forward.passes_per_request() <= 1.25);
    CHECK(weights.sectors_per_least() <= 1.25);
    CHECK(weights.passes_per_request() <= 1.2);
}

TEST_CASE("implicit GEMM: tiles in whole sectors, few conflicts") {
    const ConvCase c{"", {2, 8, 8, 64}, {64, 3, 3, 64}, {.padding = 1}};
    const auto counts = counts_of<ImplicitGemmConvolution, Half>(c);
    MESSAGE(emulator::table_of(counts));
    CHECK(of_kernel(counts, "pack_weights").sectors_per_least() <= 1.25);
    CHECK(of_kernel(counts, "pack_weights").passes_per_request() <= 1.1);
    for (const char* kernel : {"gemm_kernel", "gemm_weights_kernel"}) {
        CHECK(of_kernel(counts, kernel).sectors_per_least() <= 1.25);
        CHECK(of_kernel(counts, kernel).passes_per_request() <= 1.1);
    }
}
