// A program as a student writes it: one include, kernels, a main. It compiles unchanged for a GPU and for the emulator:
//     nvcc -std=c++20 -O2 -arch=native -Iinclude tests/machine/emulator/user_kernel.cu -o user_kernel
//     g++ -std=c++20 -O2 -pthread -DGRADUS_EMULATE_CUDA -Iinclude -x c++ tests/machine/emulator/user_kernel.cu
//         -o user_kernel
// The tests build it both ways (tests/CMakeLists.txt).
#include "gradus/machine/cuda/launch.hpp"

#include <cstdio>
#include <cstdlib>
#include <vector>

constexpr int threads = 128;

static void check(cudaError_t error) {
    if (error == cudaSuccess) return;
    std::fprintf(stderr, "%s\n", cudaGetErrorString(error));
    std::exit(1);
}

// y = a x + y
static __global__ void __launch_bounds__(threads) saxpy(float a, const float* x, float* y, int n) {
    const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n) y[i] += a * x[i];
}

// total += sum of x. A block adds up its numbers in shared memory, half as many threads each time; the last 32 of them
// are one warp, which needs no shared memory.
static __global__ void __launch_bounds__(threads) add_up(const int* x, int* total, int n) {
    GRADUS_SHARED(int, partial, [threads]);
    const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    const unsigned t = threadIdx.x;
    partial[t] = i < n ? x[i] : 0;
    __syncthreads();
    for (unsigned half = threads / 2; half >= 32; half /= 2) {
        if (t < half) partial[t] += partial[t + half];
        __syncthreads();
    }
    if (t >= 32) return;  // no barrier follows
    int sum = partial[t];
    for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_down_sync(0xffffffffu, sum, distance);
    if (t == 0) atomicAdd(total, sum);
}

template <class T>
static T* to_device(const std::vector<T>& values) {
    T* memory = nullptr;
    check(cudaMalloc(&memory, values.size() * sizeof(T)));
    check(cudaMemcpy(memory, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice));
    return memory;
}

int main() {
    const int n = 1000;  // not a multiple of the threads of a block
    std::vector<float> x(n), y(n);
    std::vector<int> numbers(n), total = {0};
    for (int i = 0; i < n; ++i) x[i] = static_cast<float>(i), y[i] = 1, numbers[i] = i;

    float* const x_there = to_device(x);
    float* const y_there = to_device(y);
    int* const numbers_there = to_device(numbers);
    int* const total_there = to_device(total);
    const unsigned blocks = gradus::blocks_for(n, threads);
    gradus::launch(saxpy, blocks, threads, 0, nullptr, 0.5f, x_there, y_there, n);
    gradus::launch(add_up, blocks, threads, 0, nullptr, numbers_there, total_there, n);
    check(cudaMemcpy(y.data(), y_there, n * sizeof(float), cudaMemcpyDeviceToHost));
    check(cudaMemcpy(total.data(), total_there, sizeof(int), cudaMemcpyDeviceToHost));
    check(cudaFree(x_there));
    check(cudaFree(y_there));
    check(cudaFree(numbers_there));
    check(cudaFree(total_there));

    int wrong = total[0] != n * (n - 1) / 2;
    for (int i = 0; i < n; ++i) wrong += y[i] != 0.5f * static_cast<float>(i) + 1;  // exact in float
    std::printf("sum %d, %d wrong\n", total[0], wrong);
    return wrong == 0 ? 0 : 1;
}
