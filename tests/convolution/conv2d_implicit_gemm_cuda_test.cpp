// Rung 4, implicit GEMM on tensor cores (its tiles: conv2d_gemm_loader_cuda.cuh, conv2d_gemm_tile_cuda.cuh), against
// Reference in double.
#include "gradus/convolution/conv2d_implicit_gemm_cuda.cuh"

#include "convolution/conv2d_cuda_checks.hpp"
#include "convolution/conv2d_cuda_rungs.hpp"

using namespace gradus;

TEST_CASE("implicit GEMM: every shape and option, Half") {
    check_conv_cases<ImplicitGemmConvolution, Half>(general_conv_cases());
}
TEST_CASE("implicit GEMM: BFloat16") {
    const ConvCase c{"BFloat16", {2, 6, 7, 24}, {32, 3, 3, 24}, {.stride = 2, .padding = 1}};
    if (has_tensor_cores<BFloat16>())
        check_conv_case<ImplicitGemmConvolution, BFloat16>(c);
    else  // on a card before sm_80: no kernel that does nothing
        CHECK(contains(
            message_of([&] { run_convolution<ImplicitGemmConvolution, BFloat16, Cuda>(c, draw_convolution(c), 0); }),
            "the rung 'implicit_gemm' needs tensor cores for BFloat16"));
}
TEST_CASE("implicit GEMM: groups of whole packs, and of broken ones") {
    check_conv_case<ImplicitGemmConvolution, Half>(
        {"3 groups of 8", {2, 5, 7, 24}, {48, 3, 3, 8}, {.padding = 1, .groups = 3}});
    check_conv_case<ImplicitGemmConvolution, Half>(
        {"2 groups of 12", {1, 5, 7, 24}, {18, 3, 3, 12}, {.padding = 1, .groups = 2}});
}
TEST_CASE("implicit GEMM: a weight gradient in parts, of which the last is short") {
    check_conv_case<ImplicitGemmConvolution, Half>({"many pixels", {3, 17, 15, 8}, {8, 3, 3, 8}, {.padding = 1}});
}
TEST_CASE("tensor cores: which types") {
    CHECK(has_tensor_cores<Half>());
#if !defined(__CUDACC__)
    CHECK(has_tensor_cores<BFloat16>());
#endif
    CHECK(!has_tensor_cores<float>());
    CHECK(!has_tensor_cores<double>());
    // What counts is what the kernels were compiled for. A program for compute_75 runs on a later card too, but there
    // its kernels for BFloat16 are empty.
    CHECK(tensor_cores_take<Half>(75));
    CHECK(!tensor_cores_take<BFloat16>(75));
    CHECK(tensor_cores_take<BFloat16>(80));
    CHECK(tensor_cores_take<BFloat16>(kernel_architecture(conv2d_gemm_kernel<BFloat16, true>)) ==
          has_tensor_cores<BFloat16>());
}
