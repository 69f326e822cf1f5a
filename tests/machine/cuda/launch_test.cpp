// launch() and the runtime in both worlds: this file uses nothing that only the emulator has, so nvcc compiles it too.
//     nvcc -x cu -std=c++20 -arch=sm_80 -Iinclude -Itests tests/machine/cuda/launch_test.cpp tests/main.cpp -o t
#include "gradus/machine/cuda/launch.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "gradus/machine/cuda/runtime.hpp"
#include "machine/cuda/device_array.hpp"

using namespace gradus;

namespace {

// y = factor * x, four elements a thread; the tail one by one.
template <class T>
__global__ void __launch_bounds__(128)
    scale_kernel(const float4* __restrict__ x, float4* __restrict__ y, T factor, Index n) {
    const Index i = Index(blockIdx.x) * blockDim.x + threadIdx.x;
    if (4 * i + 3 < n) {
        const float4 v = x[i];
        const float f = static_cast<float>(factor);
        y[i] = make_float4(f * v.x, f * v.y, f * v.z, f * v.w);
    } else {
        for (Index k = 4 * i; k < n; ++k)
            reinterpret_cast<float*>(y)[k] = static_cast<float>(factor) * reinterpret_cast<const float*>(x)[k];
    }
}

// Reverses each group of 64 values in shared memory, and of 32 by a shuffle.
template <int>
__global__ void __launch_bounds__(64) reverse_kernel(const int* x, int* by_shared, int* by_shuffle) {
    GRADUS_SHARED(int, fixed, [64]);
    GRADUS_DYNAMIC_SHARED(int, dynamic);
    const int t = static_cast<int>(threadIdx.x), i = static_cast<int>(blockIdx.x) * 64 + t;
    fixed[t] = x[i];
    __syncthreads();
    dynamic[t] = fixed[63 - t];
    __syncthreads();
    by_shared[i] = dynamic[t];
    by_shuffle[i] = __shfl_sync(0xffffffffu, x[i], 31 - t % 32);
}

}  // namespace

TEST_CASE("arguments are converted to the kernel's parameters, and the grid covers every element") {
    for (const int n : {1, 4, 1023}) {
        std::vector<float> x(static_cast<std::size_t>(n)), want(x.size());
        for (std::size_t i = 0; i < x.size(); ++i) {
            x[i] = static_cast<float>(i);
            want[i] = 3.0f * x[i];
        }
        const DeviceArray<float> in(x), out(x.size());
        launch(scale_kernel<double>, blocks_for((n + 3) / 4, 128), 128, 0, nullptr,
               reinterpret_cast<const float4*>(in.data()), reinterpret_cast<float4*>(out.data()), 3,
               n);  // 3: an int becomes double
        CHECK(out.host() == want);
    }
}

TEST_CASE("shared memory of both kinds, in a stream") {
    cudaStream_t stream = nullptr;
    REQUIRE(cudaStreamCreate(&stream) == cudaSuccess);
    std::vector<int> x(128), reversed_64(128), reversed_32(128);
    for (int i = 0; i < 128; ++i) {
        x[static_cast<std::size_t>(i)] = i;
        reversed_64[static_cast<std::size_t>(i)] = i / 64 * 64 + 63 - i % 64;
        reversed_32[static_cast<std::size_t>(i)] = i / 32 * 32 + 31 - i % 32;
    }
    const DeviceArray<int> in(x), by_shared(x), by_shuffle(x);
    launch(reverse_kernel<0>, dim3(2), dim3(64), 64 * sizeof(int), stream, in.data(), by_shared.data(),
           by_shuffle.data());
    CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
    CHECK(by_shared.host() == reversed_64);
    CHECK(by_shuffle.host() == reversed_32);
    cudaStreamDestroy(stream);
}

TEST_CASE("a launch that cannot start is an Error with the kernel, the place and the sizes") {
    std::string message;
    try {
        const OperationScope scope("reverse");
        launch(reverse_kernel<0>, 1, 2048, 0, nullptr, static_cast<const int*>(nullptr), static_cast<int*>(nullptr),
               static_cast<int*>(nullptr));
    } catch (const Error& error) {
        message = error.what();
    }
    for (const char* part : {"reverse_kernel", "in reverse", "launch_test.cpp:", "2048"}) {
        INFO(part << " in: " << message);
        CHECK(message.find(part) != message.npos);
    }
    CHECK(cudaGetLastError() == cudaSuccess);  // or who asks after his own launch would find it
}

TEST_CASE("blocks_for") {
    CHECK(blocks_for(0, 256) == 0);
    CHECK(blocks_for(1, 256) == 1);
    CHECK(blocks_for(256, 256) == 1);
    CHECK(blocks_for(257, 256) == 2);
}
