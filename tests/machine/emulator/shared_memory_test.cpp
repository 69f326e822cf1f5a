// Shared memory: one array for each block, NaN where nobody wrote, exactly aligned, limited.
#include "gradus/machine/emulator/shared_memory.hpp"

#include <cmath>

#include "gradus/core/half.hpp"

#include "emulator_checks.hpp"

using namespace gradus;

namespace {

template <class T>
__global__ void uninitialised_kernel(T* out) {
    GRADUS_SHARED(T, array, [8]);
    GRADUS_DYNAMIC_SHARED(T, dynamic);
    if (threadIdx.x == 3) array[3] = T(3.0f);
    __syncthreads();
    if (threadIdx.x < 8) out[blockIdx.x * 16 + threadIdx.x] = array[threadIdx.x];
    if (threadIdx.x < 8) out[blockIdx.x * 16 + 8 + threadIdx.x] = dynamic[threadIdx.x];
    __syncthreads();
    array[threadIdx.x % 8] = T(1.0f);  // the next block must not see it
    dynamic[threadIdx.x % 8] = T(1.0f);
}

template <int>
__global__ void alignment_kernel(unsigned long long* addresses) {
    GRADUS_SHARED(char, bytes, [3]);
    GRADUS_SHARED(float, floats, [5]);
    GRADUS_SHARED_ALIGNED(16, float, vectors, [8]);
    GRADUS_DYNAMIC_SHARED(float, dynamic);
    addresses[0] = reinterpret_cast<unsigned long long>(&bytes);
    addresses[1] = reinterpret_cast<unsigned long long>(&floats);
    addresses[2] = reinterpret_cast<unsigned long long>(&vectors);
    addresses[3] = reinterpret_cast<unsigned long long>(dynamic);
}

template <int Bytes>
__global__ void large_kernel(char* out) {
    GRADUS_SHARED(char, array, [Bytes]);
    array[threadIdx.x] = 1;
    out[threadIdx.x] = array[threadIdx.x];
}

template <int>
__global__ void whose_arena_kernel(int* is_own) {
    GRADUS_SHARED(float, array, [16]);
    const char* const arena = emulator::running_block->arena;
    const char* const place = reinterpret_cast<const char*>(&array);
    is_own[blockIdx.x] = place >= arena && place < arena + emulator::arena_bytes ? 1 : 0;
}

// The plain keyword works too, without the checks.
template <int>
__global__ void plain_kernel(int* out) {
    __shared__ int array[64];
    array[threadIdx.x] = static_cast<int>(blockIdx.x * 100 + threadIdx.x);
    __syncthreads();
    out[blockIdx.x * 64 + threadIdx.x] = array[63 - threadIdx.x];
}

// Different blocks of one kernel, and two instances of a template, have arrays of their own.
template <class T>
__device__ T* own_array() {
    GRADUS_SHARED(T, array, [4]);
    return array;
}
template <int>
__global__ void two_arrays_kernel(int* out) {
    float* const floats = own_array<float>();
    int* const ints = own_array<int>();
    if (threadIdx.x == 0) floats[0] = 1.0f;
    if (threadIdx.x == 1) ints[0] = 5;
    __syncthreads();
    out[threadIdx.x] = ints[0] + static_cast<int>(floats[0]);
}

}  // namespace

TEST_CASE("what nobody wrote is NaN, in every block") {
    in_every_order([] {
        const DeviceArray<float> out(3 * 16);
        launch(uninitialised_kernel<float>, 3, 32, 8 * sizeof(float), nullptr, out.data());
        const std::vector<float> got = out.host();
        bool good = true;
        for (std::size_t i = 0; i < got.size(); ++i) good = good && (i % 16 == 3 ? got[i] == 3.0f : std::isnan(got[i]));
        CHECK(good);
    });
    const DeviceArray<Half> out(16);
    launch(uninitialised_kernel<Half>, 1, 32, 8 * sizeof(Half), nullptr, out.data());
    CHECK(std::isnan(static_cast<float>(out.host()[0])));
}

TEST_CASE("an array is aligned as its type asks, and no better") {
    const DeviceArray<unsigned long long> addresses(4);
    launch(alignment_kernel<0>, 1, 1, 64, nullptr, addresses.data());
    const std::vector<unsigned long long> got = addresses.host();
    CHECK(got[1] % 4 == 0);
    CHECK(got[1] % 8 == 4);
    CHECK(got[2] % 16 == 0);
    CHECK(got[2] % 32 == 16);
    CHECK(got[3] % 16 == 0);
}

TEST_CASE("48 KB of shared memory, not a byte more") {
    const DeviceArray<char> out(32);
    launch(large_kernel<48 * 1024>, 1, 32, 0, nullptr, out.data());
    CHECK(out.host()[31] == 1);
    const std::string message = message_of([&] { launch(large_kernel<48 * 1024 + 1>, 1, 32, 0, nullptr, out.data()); });
    CHECK(contains(message, "shared memory: array makes it 49153 bytes of static"));
    CHECK(contains(message, "a block has 49152"));
    CHECK(message_of([&] { launch(large_kernel<40 * 1024>, 1, 32, 9 * 1024, nullptr, out.data()); }) != "");
}

TEST_CASE("a plain __shared__ array") {
    const DeviceArray<int> out(128);
    launch(plain_kernel<0>, 2, 64, 0, nullptr, out.data());
    CHECK(out.host()[64] == 163);
}

TEST_CASE("each instance of a template has its own array") {
    const DeviceArray<int> out(32);
    launch(two_arrays_kernel<0>, 1, 32, 0, nullptr, out.data());
    CHECK(out.host()[17] == 6);
}

TEST_CASE("a thread that gets another block than in the last launch finds its arrays there") {
    const DeviceArray<int> is_own(1);
    std::vector<std::unique_ptr<emulator::BorrowedBlock>> others;
    for (int i = 0; i < 3; ++i) {
        while (!emulator::free_blocks().blocks.empty()) others.push_back(std::make_unique<emulator::BorrowedBlock>());
        launch(whose_arena_kernel<0>, 1, 1, 0, nullptr, is_own.data());  // in a new block
        CHECK(is_own.host()[0] == 1);
    }
}
