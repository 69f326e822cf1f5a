// Rung 2, tiles in shared memory, against Reference; the layout of a tile; windows that are too large.
#include "gradus/convolution/conv2d_tiled_cuda.cuh"

#include "convolution/conv2d_cuda_checks.hpp"
#include "convolution/conv2d_cuda_rungs.hpp"

using namespace gradus;

TEST_CASE("tiled: every shape and option, float") { check_conv_cases<TiledConvolution, float>(general_conv_cases()); }
TEST_CASE("tiled: the other types") {
    const ConvCase c{"3 groups, stride 2", {2, 5, 11, 30}, {42, 3, 3, 10}, {.stride = 2, .padding = 1, .groups = 3}};
    check_conv_case<TiledConvolution, double>(c);
    check_conv_case<TiledConvolution, Half>(c);
    check_conv_case<TiledConvolution, BFloat16>(c);
}
TEST_CASE("tiled: a weight gradient in parts, tiles in both directions") {
    check_conv_case<TiledConvolution, float>({"many pixels", {2, 17, 33, 3}, {5, 2, 3, 3}, {.padding = 1}});
}

TEST_CASE("the plan of a tile: the figures of the header, and a window that does not fit") {
    const auto plan_of = [](const Extents4& x, const Extents4& weight, const Conv2dOptions& options) {
        const Extents4 y = result_extents({"", x, weight, options});
        const Conv2dCorrelation shape = forward_correlation_cuda(x, weight, y, options);
        return std::pair(TiledPlan(shape, sizeof(float)), TiledPlan(shape, sizeof(float)).fits(shape));
    };
    const auto [plan, fits] = plan_of({32, 56, 56, 64}, {64, 3, 3, 64}, {.padding = 1});
    CHECK(fits);
    CHECK(plan.rows == 10);
    CHECK(plan.columns == 10);
    CHECK(plan.chunk == 8);
    CHECK(plan.quads == 16);
    CHECK(plan.bytes == (100 * 9 + 9 * 8 * 68) * 4);
    CHECK(plan_of({1, 64, 64, 3}, {64, 12, 12, 3}, {}).second);
    CHECK(!plan_of({1, 64, 64, 3}, {64, 13, 13, 3}, {}).second);
    const std::string message = message_of([] {
        const operations::Numbers numbers = draw_convolution({"", {1, 40, 40, 1}, {64, 13, 13, 1}});
        run_convolution<TiledConvolution, float, Cuda>({"", {1, 40, 40, 1}, {64, 13, 13, 1}}, numbers, 0);
    });
    CHECK(contains(message, "the rung 'direct' takes any window"));
}
