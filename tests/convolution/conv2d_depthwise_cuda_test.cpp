// Depthwise convolution on Cuda against Reference: whole and broken packs of channels, large windows, several blocks.
#include "gradus/convolution/conv2d_depthwise_cuda.cuh"

#include "convolution/conv2d_cuda_checks.hpp"
#include "convolution/conv2d_cuda_rungs.hpp"

using namespace gradus;

namespace {

ConvCase depthwise(const char* name, Index N, Index H, Index W, Index C, Index kernel, Conv2dOptions options,
                   bool is_aligned = true) {
    options.groups = C;
    return {name, {N, H, W, C}, {C, kernel, kernel, 1}, options, is_aligned};
}
std::vector<ConvCase> depthwise_cases() {
    return {depthwise("one channel", 1, 3, 3, 1, 3, {.padding = 1}),
            depthwise("broken packs", 2, 6, 7, 5, 3, {.padding = 1}),
            depthwise("stride 2", 2, 7, 9, 16, 3, {.stride = 2, .padding = 1}),
            depthwise("5x5, stride 2", 1, 9, 8, 24, 5, {.stride = 2, .padding = 2}),
            depthwise("stride 3, 2x2, some pixels unread", 1, 8, 7, 8, 2, {.stride = 3}),
            depthwise("dilation 2", 1, 9, 9, 8, 3, {.padding = 2, .dilation = 2}),
            depthwise("not aligned", 1, 5, 5, 16, 3, {.padding = 1}, false),
            depthwise("large window", 1, 12, 13, 9, 11, {.padding = 5}),
            depthwise("one pack at a time", 1, 6, 21, 17, 17, {.padding = 8}),
            depthwise("several tiles, stride 2", 2, 21, 35, 12, 5, {.stride = 2, .padding = 2}),
            depthwise("empty batch", 0, 5, 5, 8, 3, {.padding = 1}),
            depthwise("blocks", 3, 14, 13, 200, 3, {.padding = 1})};
}

}  // namespace

TEST_CASE("depthwise: float") { check_conv_cases<DepthwiseConvolution, float>(depthwise_cases()); }
TEST_CASE("depthwise: double") { check_conv_cases<DepthwiseConvolution, double>(depthwise_cases()); }
TEST_CASE("depthwise: Half") { check_conv_cases<DepthwiseConvolution, Half>(depthwise_cases()); }
TEST_CASE("depthwise: BFloat16") {
    check_conv_case<DepthwiseConvolution, BFloat16>(depthwise("BFloat16", 2, 6, 7, 12, 3, {.padding = 1}));
}
TEST_CASE("what is depthwise, and fits") {
    CHECK(depthwise_fits<float>({8, 3, 3, 1}, {.groups = 8}));
    CHECK(!depthwise_fits<float>({16, 3, 3, 1}, {.groups = 8}));  // two outputs a channel
    CHECK(!depthwise_fits<float>({8, 3, 3, 2}, {.groups = 8}));
    CHECK(depthwise_fits<Half>({8, 25, 25, 1}, {.groups = 8}));
    CHECK(!depthwise_fits<Half>({8, 27, 27, 1}, {.groups = 8}));
    CHECK(!depthwise_fits<float>({8, 3, 3, 1}, {.dilation = 40, .groups = 8}));  // a tile needs pixels far apart
}
