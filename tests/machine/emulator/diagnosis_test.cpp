// Messages: names of kernels and places, and what happens to the errors of a kernel's own code.
#include "gradus/machine/emulator/diagnosis.hpp"

#include "emulator_checks.hpp"
#include "gradus/machine/emulator/site.hpp"
#include "gradus/machine/emulator/symbols.hpp"

using namespace gradus;

namespace {

template <class T, int N>
__global__ void named_kernel(T*) {}

__global__ void plain_kernel(int) {}

template <int>
__global__ void checking_kernel(const int* x) {
    GRADUS_CHECK(x[threadIdx.x] >= 0, "checking_kernel: x is negative at ", threadIdx.x);
    __syncthreads();
}

template <int>
__global__ void recursive_kernel(int) {
    launch(plain_kernel, 1, 1, 0, nullptr, 1);
}

template <class Kernel>
std::string name_of(Kernel* kernel) {
    return emulator::kernel_name(reinterpret_cast<const void*>(kernel));
}

}  // namespace

TEST_CASE("a kernel's name is found at its address, without parameters and namespaces of no interest") {
    CHECK(name_of(named_kernel<float, 3>) == "named_kernel<float, 3>");
    CHECK(name_of(plain_kernel) == "plain_kernel");
    CHECK(emulator::short_name("_ZN6gradus5scaleIfEEvPT_i") == "gradus::scale<float>");
    int nothing = 0;
    CHECK(contains(emulator::kernel_name(&nothing), "kernel at 0x"));
}

TEST_CASE("a place in the source is written without its folder; two names of one file are the same place") {
    CHECK(text(emulator::Site{"a/b/reduce.cuh", 12}) == "reduce.cuh:12");
    const std::string copy = "reduce.cuh";
    CHECK(emulator::same_site({"reduce.cuh", 3}, {copy.c_str(), 3}));
    CHECK(!emulator::same_site({"reduce.cuh", 3}, {copy.c_str(), 4}));
    CHECK(text(dim3(1, 2), uint3{4, 5, 6}) == "(1, 2, 1)(4, 5, 6)");
}

TEST_CASE("a check that fails inside a kernel ends the launch with its message, while other threads wait") {
    in_every_order([] {
        const DeviceArray<int> x(std::vector<int>{1, 2, 3, 4, -5, 6, 7, 8});
        CHECK(message_of([&] { launch(checking_kernel<0>, 1, 8, 0, nullptr, x.data()); }) ==
              "checking_kernel: x is negative at 4");
        CHECK(message_of([&] { launch(checking_kernel<0>, 1, 4, 0, nullptr, x.data()); }) == "");
    });
}

TEST_CASE("a kernel cannot launch a kernel") {
    CHECK(contains(message_of([] { launch(recursive_kernel<0>, 1, 1, 0, nullptr, 1); }),
                   "a kernel cannot launch a kernel"));
}
