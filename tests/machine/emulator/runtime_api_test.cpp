// Device memory and copies: contents, checks of every call, and what device_memory.hpp promises.
#include "gradus/machine/emulator/runtime_api.hpp"

#include <cmath>
#include <cstring>

#include "emulator_checks.hpp"
#include "gradus/machine/emulator/device_memory.hpp"
#include "gradus/machine/emulator/error_codes.hpp"

using namespace gradus;

namespace {

template <int>
__global__ void copy_kernel(const float* x, float* y, int n) {
    const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n) y[i] = x[i];
}

}  // namespace

TEST_CASE("what is copied to the device comes back, and memset writes bytes") {
    const std::vector<int> values = {1, -2, 3, -4, 5};
    DeviceArray<int> x(values), y(5);
    CHECK(x.host() == values);
    CHECK(cudaMemcpy(y.data(), x.data(), 5 * sizeof(int), cudaMemcpyDeviceToDevice) == cudaSuccess);
    CHECK(y.host() == values);
    CHECK(cudaMemset(y.data() + 1, 0x01, 2 * sizeof(int)) == cudaSuccess);
    CHECK(y.host() == std::vector<int>{1, 0x01010101, 0x01010101, -4, 5});
}

TEST_CASE("new device memory is NaN and aligned to 256 bytes, but not to 512") {
    float *x = nullptr, *y = nullptr;
    CHECK(cudaMalloc(&x, 1000 * sizeof(float)) == cudaSuccess);
    CHECK(cudaMalloc(&y, 4) == cudaSuccess);
    std::vector<float> values(1000);
    CHECK(cudaMemcpy(values.data(), x, 4000, cudaMemcpyDeviceToHost) == cudaSuccess);
    bool all_nan = true;
    for (const float value : values) all_nan = all_nan && std::isnan(value);
    CHECK(all_nan);
    for (const float* pointer : {x, y}) CHECK(reinterpret_cast<std::uintptr_t>(pointer) % 512 == 256);
    CHECK((y >= x + 1000 + 64 || x >= y + 1 + 64));  // at least 256 bytes between two buffers
    CHECK(cudaFree(x) == cudaSuccess);
    CHECK(cudaFree(y) == cudaSuccess);
}

TEST_CASE("memory is used again, neighbours are joined, and live bytes are counted") {
    const std::size_t before = emulator::device_memory().live_bytes();
    char* buffers[8];
    for (char*& buffer : buffers) CHECK(cudaMalloc(&buffer, 3000) == cudaSuccess);
    CHECK(emulator::device_memory().live_bytes() == before + 8 * 3000);
    for (const int i : {1, 3, 2, 0, 5, 4, 7, 6}) CHECK(cudaFree(buffers[i]) == cudaSuccess);
    CHECK(emulator::device_memory().live_bytes() == before);
    char* large = nullptr;
    CHECK(cudaMalloc(&large, 8 * 3000) == cudaSuccess);
    CHECK(large == buffers[0]);
    std::size_t free_bytes = 0, total_bytes = 0;
    CHECK(cudaMemGetInfo(&free_bytes, &total_bytes) == cudaSuccess);
    CHECK(total_bytes - free_bytes == before + 8 * 3000);
    CHECK(cudaFree(large) == cudaSuccess);
}

TEST_CASE("a wrong call returns its error and keeps it for cudaGetLastError") {
    const DeviceArray<int> x(10);
    int host[10] = {};
    CHECK(cudaGetLastError() == cudaSuccess);
    CHECK(cudaMemcpy(x.data(), host, 44, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);  // one too many
    CHECK(cudaMemcpy(x.data() + 5, host, 24, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
    CHECK(cudaMemcpy(host, x.data(), 4, cudaMemcpyHostToDevice) == cudaErrorInvalidMemcpyDirection);
    CHECK(cudaPeekAtLastError() == cudaErrorInvalidMemcpyDirection);
    CHECK(cudaGetLastError() == cudaErrorInvalidMemcpyDirection);
    CHECK(cudaGetLastError() == cudaSuccess);
    CHECK(cudaMemcpy(x.data(), nullptr, 4, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
    CHECK(cudaMemset(host, 0, 4) == cudaErrorInvalidValue);
    CHECK(cudaFree(x.data() + 1) == cudaErrorInvalidDevicePointer);
    CHECK(cudaFree(nullptr) == cudaSuccess);
    char* much = host[0] == 0 ? nullptr : reinterpret_cast<char*>(host);
    CHECK(cudaMalloc(&much, std::size_t{1} << 40) == cudaErrorMemoryAllocation);
    CHECK(much == nullptr);
    CHECK(std::string(cudaGetErrorString(cudaGetLastError())) == "out of memory");
    CHECK(std::string(cudaGetErrorName(cudaErrorInvalidValue)) == "cudaErrorInvalidValue");
    CHECK(cudaMalloc(&much, 0) == cudaSuccess);
    CHECK(cudaFreeHost(x.data()) == cudaErrorInvalidValue);
    CHECK(cudaGetLastError() == cudaErrorInvalidValue);
}

TEST_CASE("pinned host memory, copies in both directions, a kernel between them") {
    float* pinned = nullptr;
    CHECK(cudaMallocHost(&pinned, 1000 * sizeof(float)) == cudaSuccess);
    for (int i = 0; i < 1000; ++i) pinned[i] = static_cast<float>(i);
    const DeviceArray<float> x(1000), y(1000);
    CHECK(cudaMemcpyAsync(x.data(), pinned, 4000, cudaMemcpyHostToDevice) == cudaSuccess);
    launch(copy_kernel<0>, blocks_for(1000, 128), 128, 0, nullptr, x.data(), y.data(), 1000);
    CHECK(cudaMemcpyAsync(pinned, y.data(), 4000, cudaMemcpyDefault) == cudaSuccess);
    CHECK(pinned[999] == 999.0f);
    CHECK(cudaFreeHost(pinned) == cudaSuccess);
}
