// What a kernel touches besides shared and device memory: the host's is found, its own and constants are not reported.
// Compiled with -fsanitize=thread and linked with racecheck.cpp.
#include "gradus/machine/emulator/kernel_memory.hpp"

#include "emulator_checks.hpp"
#include "gradus/machine/cuda/ptx.hpp"
#include "gradus/machine/emulator/memory_names.hpp"
#include "gradus/machine/emulator/race_reports.hpp"

using namespace gradus;

namespace {

struct Row {  // as students pass it: by value, with a pointer inside
    const float* numbers;
    int count;
};
constexpr int row_line = __LINE__ + 3;
template <int>
__global__ void row_kernel(Row row, float* y) {
    if (static_cast<int>(threadIdx.x) < row.count) y[threadIdx.x] = 2 * row.numbers[threadIdx.x];
}

template <class Function>
__global__ void function_kernel(Function function, float* y) {
    y[threadIdx.x] = function(static_cast<float>(threadIdx.x));
}
struct Polynomial {  // many numbers, with a copy constructor that reads them
    float factor[40] = {};
    Polynomial() = default;
    Polynomial(const Polynomial& other) {
        for (int i = 0; i < 40; ++i) factor[i] = other.factor[i];
    }
    float operator()(float x) const {
        float sum = 0;
        for (const float f : factor) sum = sum * x + f;
        return sum;
    }
};
struct HoldsReference {
    const float& factor;
    float operator()(float x) const { return factor * x; }
};

template <int>
__global__ void other_stack_kernel(int* y) {
    GRADUS_SHARED(int*, pointer, [1]);
    int mine = static_cast<int>(threadIdx.x);
    if (threadIdx.x == 0) pointer[0] = &mine;
    __syncthreads();
    y[threadIdx.x] = *pointer[0];
    __syncthreads();
}

template <int>
__global__ void far_below_kernel(float* y, int distance) {
    GRADUS_SHARED(float, s, [32]);
    s[threadIdx.x] = 1;
    __syncwarp();
    y[threadIdx.x] = s[static_cast<int>(threadIdx.x) - distance];
}

// Everything that a kernel may touch.
template <int>
__global__ void own_memory_kernel(const float* pinned, float* y) {
    static constexpr float table[] = {1, 2, 3, 4};
    GRADUS_DYNAMIC_SHARED(float, s);
    float local[8];
    for (unsigned i = 0; i < 8; ++i) local[i] = table[(i + threadIdx.x) % 4];
    cp_async<4>(s + threadIdx.x, y + threadIdx.x);
    cp_async_commit();
    cp_async_wait<0>();
    atomicAdd(s + threadIdx.x, local[threadIdx.x % 8]);
    const float other = __shfl_xor_sync(0xffffffffu, s[threadIdx.x], 1);
    y[threadIdx.x] = other + pinned[threadIdx.x] + static_cast<float>(__syncthreads_count(other > 0));
    if (threadIdx.x == 99) std::printf("%f\n", static_cast<double>(other));
}

template <int>
__global__ void checked_kernel(const float* x) {
    GRADUS_CHECK(x[threadIdx.x] > 0, "x[", threadIdx.x, "] is ", x[threadIdx.x], ", which is not positive");
}

template <class Kernel, class... Arguments>
std::string found(Kernel kernel, std::size_t shared_bytes, Arguments... arguments) {
    return message_of([&] { launch(kernel, 2, 32, shared_bytes, nullptr, arguments...); });
}

}  // namespace

TEST_CASE("a pointer to host memory that hides in a struct, or in a functor as a reference") {
    in_every_order([] {
        const std::vector<float> host(32, 1.0f);
        const DeviceArray<float> device(host), y(32);
        const std::string message = found(row_kernel<0>, 0, Row{host.data(), 20}, y.data());
        INFO(message);
        CHECK(contains(message, "row_kernel<0>: the race checker found"));
        CHECK(contains(message, "forbidden access to host memory, which a card does not see\n    read by thread ("));
        CHECK(contains(message, "at " + line_of(__FILE__, row_line)));
        CHECK(!contains(found(row_kernel<0>, 0, Row{device.data(), 20}, y.data()), "forbidden"));
        const float factor = 2;
        CHECK(contains(found(function_kernel<HoldsReference>, 0, HoldsReference{factor}, y.data()), "host memory"));
    });
}

TEST_CASE("a local variable of another thread") {
    const DeviceArray<int> y(32);
    const std::string message = found(other_stack_kernel<0>, 0, y.data());
    CHECK(contains(message, "forbidden access to a local variable of thread (0, 0, 0), which only that thread sees"));
}

TEST_CASE("an index so wrong that it leaves all of shared memory") {
    in_every_order([] {
        const DeviceArray<float> y(32);
        const std::string message = found(far_below_kernel<0>, 0, y.data(), 200);
        INFO(message);
        CHECK(contains(message, "which is no memory of the device; next to it is shared memory, byte -"));
        CHECK(contains(message, "out of bounds on shared memory, byte -"));
        CHECK(contains(message, " of s, which has 128 bytes"));
        CHECK(!contains(found(far_below_kernel<0>, 0, y.data(), 0), "of s"));
    });
}

TEST_CASE("a thread's own memory, arguments, constants, pinned memory and the emulator's variables are not reported") {
    in_every_order([] {
        const DeviceArray<float> y(32);
        float* pinned = nullptr;
        REQUIRE(cudaMallocHost(&pinned, 128) == cudaSuccess);
        std::fill(pinned, pinned + 32, 1.0f);
        CHECK(message_of([&] { launch(own_memory_kernel<0>, 1, 32, 128, nullptr, pinned, y.data()); }) == "");
        CHECK(message_of([&] { launch(function_kernel<Polynomial>, 1, 32, 0, nullptr, Polynomial(), y.data()); }) ==
              "");
        cudaFreeHost(pinned);
    });
}

TEST_CASE("the text of a kernel's own error is made in host memory: no fault") {
    const DeviceArray<float> x(32);
    const std::string message = found(checked_kernel<0>, 0, x.data());
    CHECK(contains(message, "] is 0, which is not positive"));
    CHECK(!contains(message, "the race checker found"));
}

TEST_CASE("names of addresses: the nearest buffer") {
    const DeviceArray<char> x(100);
    CHECK(emulator::describe_device_memory(x.data() + 99) == "device memory, byte 99 of a buffer of 100 bytes");
    CHECK(emulator::describe_device_memory(x.data() + 110) == "device memory, byte 110 of a buffer of 100 bytes");
    CHECK(emulator::describe_device_memory(x.data() - 1) == "device memory, byte -1 of a buffer of 100 bytes");
    CHECK(emulator::distance_to(x.data(), 100, x.data() + 100) == 1);
    CHECK(emulator::distance_to(x.data(), 100, x.data() - 3) == 3);
    CHECK(emulator::RaceReports().of_launch({}) == "");
}
