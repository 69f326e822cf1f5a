// Rung 1, a thread a number, against Reference.
#include "gradus/convolution/conv2d_direct_cuda.cuh"

#include "convolution/conv2d_cuda_checks.hpp"
#include "convolution/conv2d_cuda_rungs.hpp"

TEST_CASE("direct: every shape and option, float") { check_conv_cases<DirectConvolution, float>(general_conv_cases()); }
TEST_CASE("direct: the other types") {
    const ConvCase c{"3 groups, stride 2", {2, 5, 6, 12}, {9, 3, 3, 4}, {.stride = 2, .padding = 1, .groups = 3}};
    check_conv_case<DirectConvolution, double>(c);
    check_conv_case<DirectConvolution, gradus::Half>(c);
    check_conv_case<DirectConvolution, gradus::BFloat16>(c);
}
TEST_CASE("direct: a weight gradient in parts") {
    check_conv_case<DirectConvolution, float>({"many pixels", {3, 17, 15, 1}, {1, 3, 2, 1}, {.padding = 1}});
}
