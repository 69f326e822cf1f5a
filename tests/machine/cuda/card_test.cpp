#include "gradus/machine/cuda/card.hpp"

#include <doctest/doctest.h>

using namespace gradus;

TEST_CASE("card: what is wrong is said, and what to do") {
    CHECK(card_problem(cudaSuccess, 2, 13000, 13000) == "");
    CHECK(card_problem(cudaErrorNoDevice, 0, 13000, 13000) == "no GPU was found");
    CHECK(card_problem(cudaSuccess, 0, 13010, 13000) == "no GPU was found");
    CHECK(card_problem(cudaErrorInsufficientDriver, 0, 0, 13000) == "no NVIDIA driver is installed");
    CHECK(card_problem(cudaErrorInsufficientDriver, 0, 12080, 13020) ==
          "the driver is for CUDA 12.8 at most, this program was compiled with 13.2: a newer driver or an older "
          "toolkit is needed");
    CHECK(card_problem(cudaErrorInvalidValue, 0, 13000, 13000) == cudaGetErrorString(cudaErrorInvalidValue));
    // A driver that is a little older is good enough to say that there is no card.
    CHECK(card_problem(cudaErrorNoDevice, 0, 13000, 13020) == "no GPU was found");
}

TEST_CASE("card: a program without kernels for the card") {
    CHECK(kernel_problem(cudaSuccess) == "");
    CHECK(kernel_problem(cudaErrorNoKernelImageForDevice) ==
          "this program has no kernels for the card: compile it with nvcc -arch=native, for sm_75 or later");
    CHECK(kernel_problem(cudaErrorUnsupportedPtxVersion) ==
          "the driver cannot translate this program's kernels for the card: compile it with nvcc -arch=native, or "
          "install a newer driver");
    CHECK(kernel_problem(cudaErrorInvalidValue) == cudaGetErrorString(cudaErrorInvalidValue));
}

#if !defined(__CUDACC__)
TEST_CASE("card: auto takes the CPU where the card is only emulated, cuda takes the emulator") {
    CHECK(card_problem(Cuda{}) == "");
    CHECK(resolve_device("auto") == "cpu");
    CHECK(with_device("auto", [](auto device) { return std::string(decltype(device)::name); }) == "cpu");
    CHECK(with_device("cuda", [](auto device) { return std::string(decltype(device)::name); }) == "cuda");
    CHECK(device_names() == std::vector<std::string>{"auto", "cpu", "reference", "cuda"});
}
#endif
