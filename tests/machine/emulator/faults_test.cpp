// Wild addresses: in a kernel an error, from the host the end of the program, both with a message.
#include "gradus/machine/emulator/faults.hpp"

#include <csignal>

#include "child_process.hpp"
#include "emulator_checks.hpp"
#include "gradus/machine/emulator/device_api.hpp"

using namespace gradus;

namespace {

template <int>
__global__ void store_kernel(int* x) {
    if (threadIdx.x == 5) *x = 1;
    __syncthreads();
}

template <int>
__global__ void wild_kernel(unsigned long long address) {
    if (threadIdx.x == 5) *reinterpret_cast<int*>(address) = 1;
    __syncthreads();
}

template <int>
__global__ void divide_kernel(int* x, int divisor) {
    if (threadIdx.x == 5) *x = 7 / divisor;
    __syncthreads();
}

template <int>
__global__ void assert_kernel(const int* x) {
    if (threadIdx.x == 5 && *x == 0) std::abort();  // what assert() does after its message
}

template <int>
__global__ void below_array_kernel(float* x, int distance) {
    GRADUS_SHARED(float, array, [64]);
    array[threadIdx.x] = 1;
    *x = array[static_cast<int>(threadIdx.x) - distance];
}

template <int Bytes>
__global__ void deep_kernel(char* out) {
    volatile char large[Bytes];
    for (int i = Bytes - 1; i >= 0; i -= 1000) large[i] = static_cast<char>(i);
    __syncthreads();
    out[threadIdx.x] = large[Bytes - 1];
}

template <int>
__global__ void beyond_buffer_kernel(float* x) {
    x[threadIdx.x] = 1;
}
template <int>
__global__ void beyond_array_kernel(float* x) {
    GRADUS_SHARED(float, array, [64]);
    array[threadIdx.x] = 1;
    x[0] = array[0];
}

}  // namespace

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they have handlers and stacks of their own

TEST_CASE("a kernel that follows a wild pointer ends with an error, and the next one runs") {
    in_every_order([] {
        const DeviceArray<int> x(1);
        const std::string message = message_of([&] { launch(wild_kernel<0>, 2, 64, 8, nullptr, 0x1000ull); });
        CHECK(contains(message, "wild_kernel<0>: access to address 0x1000"));
        CHECK(contains(message, "thread (5, 0, 0); launched at faults_test.cpp:"));
        CHECK(contains(message, "; grid (2, 1, 1), block (64, 1, 1), 8 bytes of dynamic shared memory"));
        launch(store_kernel<0>, 1, 64, 0, nullptr, x.data());
        CHECK(x.host()[0] == 1);
    });
}

TEST_CASE("a null pointer, an index far out of a buffer, and one far out of a shared array") {
    const DeviceArray<int> x(1);
    const DeviceArray<float> y(1);
    for (const int distance : {100'000, -200'000})
        CHECK(contains(
            message_of([&] { launch(below_array_kernel<0>, 1, 64, 0, nullptr, y.data(), distance); }),
            "next to it is shared memory, byte " + std::to_string(-4 * distance) + " of array, which has 256"));
    CHECK(contains(message_of([&] { launch(store_kernel<0>, 1, 64, 0, nullptr, static_cast<int*>(nullptr)); }),
                   "access to address 0: a null pointer"));
    CHECK(contains(message_of([&] { launch(store_kernel<0>, 1, 64, 0, nullptr, x.data() + 1'000'000'000); }),
                   "next to it is device memory, byte "));
}

TEST_CASE("an integer divided by zero ends the kernel, not the program") {
    in_every_order([] {
        const DeviceArray<int> x(1);
        const std::string message = message_of([&] { launch(divide_kernel<0>, 2, 64, 0, nullptr, x.data(), 0); });
        CHECK(contains(message, "divide_kernel<0>: an integer is divided by zero"));
        CHECK(contains(message, "thread (5, 0, 0); launched at faults_test.cpp:"));
        launch(divide_kernel<0>, 1, 64, 0, nullptr, x.data(), 2);
        CHECK(x.host()[0] == 3);
    });
}

TEST_CASE("an assertion that fails in a kernel: which thread it was") {
    const DeviceArray<int> x(1);
    int signal_number = 0;
    const std::string message =
        stderr_of_child([&] { launch(assert_kernel<0>, 2, 64, 0, nullptr, x.data()); }, signal_number);
    CHECK(contains(message, "assert_kernel<0>: the kernel ends the program: assert() or abort()"));
    CHECK(contains(message, "in block (0, 0, 0), thread (5, 0, 0); launched at faults_test.cpp:"));
    CHECK(signal_number == SIGABRT);
}

TEST_CASE("a kernel whose local arrays are larger than its stack") {
    const DeviceArray<char> out(32);
    const std::string message = message_of([&] { launch(deep_kernel<100000>, 1, 32, 0, nullptr, out.data()); });
    CHECK(contains(message, "deep_kernel<100000>: stack overflow"));
    CHECK(contains(message, "64 KB of GRADUS_EMULATOR_STACK_KB"));
    emulator::settings().stack_bytes = 256 * 1024;
    launch(deep_kernel<100000>, 1, 32, 0, nullptr, out.data());
    CHECK(out.host()[7] == static_cast<char>(99999));
    emulator::settings() = emulator::Settings{};
}

TEST_CASE("host code that follows a device pointer dies with a message") {
    const DeviceArray<int> x(100);
    launch(store_kernel<0>, 1, 64, 0, nullptr, x.data());
    int signal_number = 0;
    const std::string message = stderr_of_child(
        [&] {
            emulator::install_fault_handler();
            static_cast<volatile int*>(x.data())[25] = 1;
        },
        signal_number);
    CHECK(contains(message, "host code reads or writes device memory"));
    CHECK(contains(message, "byte 100 of a buffer of 400 bytes"));
    CHECK(signal_number == SIGSEGV);
}

TEST_CASE("the same before the first launch") {
    int signal_number = 0;
    const std::string message = stderr_of_child(
        [] {
            int* x = nullptr;
            cudaMalloc(&x, sizeof(int));
            static_cast<volatile int*>(x)[0] = 1;
        },
        signal_number);
    CHECK(contains(message, "host code reads or writes device memory"));
    CHECK(contains(message, "byte 0 of a buffer of 4 bytes"));
    CHECK(signal_number == SIGSEGV);
}

TEST_CASE("protection of device memory can be switched off") {
    const DeviceArray<int> x(100);
    emulator::settings().protect_device_memory = false;
    launch(store_kernel<0>, 1, 64, 0, nullptr, x.data());
    CHECK(x.data()[0] == 1);
    emulator::settings() = emulator::Settings{};
    launch(store_kernel<0>, 1, 64, 0, nullptr, x.data());
    int signal_number = 0;
    stderr_of_child([&] { static_cast<volatile int*>(x.data())[25] = 1; }, signal_number);
    CHECK(signal_number == SIGSEGV);
}

#endif

#if defined(__SANITIZE_ADDRESS__)

TEST_CASE("AddressSanitizer sees what runs out of bounds of a buffer, of a shared array, and what is freed") {
    const auto report = [](const auto& body) {
        int signal_number = 0;
        return stderr_of_child(body, signal_number);
    };
    const DeviceArray<float> x(64);
    CHECK(contains(report([&] { launch(beyond_buffer_kernel<0>, 1, 65, 0, nullptr, x.data()); }), "AddressSanitizer"));
    const std::string of_array = report([&] { launch(beyond_array_kernel<0>, 1, 65, 0, nullptr, x.data()); });
    CHECK((contains(of_array, "AddressSanitizer") || contains(of_array, "out of bounds for type")));  // UBSan is first
    float* freed = nullptr;
    cudaMalloc(&freed, 65 * sizeof(float));
    cudaFree(freed);
    CHECK(contains(report([&] { launch(beyond_buffer_kernel<0>, 1, 65, 0, nullptr, freed); }), "AddressSanitizer"));
    CHECK(report([&] { launch(beyond_buffer_kernel<0>, 1, 64, 0, nullptr, x.data()); }) == "");
}

#endif

TEST_CASE("the emulated card") {
    cudaDeviceProp properties;
    CHECK(cudaGetDeviceProperties(&properties, 0) == cudaSuccess);
    CHECK(properties.major == 8);
    CHECK(properties.warpSize == 32);
    CHECK(properties.sharedMemPerBlock == 48 * 1024);
    int count = 0, value = 0;
    CHECK(cudaGetDeviceCount(&count) == cudaSuccess);
    CHECK(count == 1);
    CHECK(cudaDeviceGetAttribute(&value, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0) == cudaSuccess);
    CHECK(value == 163 * 1024);
    CHECK(cudaSetDevice(0) == cudaSuccess);
    CHECK(cudaSetDevice(1) == cudaErrorInvalidDevice);
    CHECK(cudaGetDeviceProperties(&properties, 3) == cudaErrorInvalidDevice);
    cudaGetLastError();
}
