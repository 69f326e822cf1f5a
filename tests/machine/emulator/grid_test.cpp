// Whole launches: the three kernels that every CUDA course begins with, the limits of a launch, its errors.
#include "gradus/machine/emulator/grid.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "emulator_checks.hpp"

using namespace gradus;

namespace {

template <class T>
__global__ void __launch_bounds__(256) add_kernel(const T* a, const T* b, T* sum, int n) {
    const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n) sum[i] = a[i] + b[i];
}

// C = A B for row-major (M, K) and (K, N); one tile of both in shared memory.
template <int Tile>
__global__ void __launch_bounds__(Tile* Tile) matmul_kernel(const float* __restrict__ a, const float* __restrict__ b,
                                                            float* __restrict__ c, int M, int N, int K) {
    GRADUS_SHARED(float, a_tile, [Tile][Tile]);
    GRADUS_SHARED(float, b_tile, [Tile][Tile]);
    const int x = static_cast<int>(threadIdx.x), y = static_cast<int>(threadIdx.y);
    const int row = static_cast<int>(blockIdx.y) * Tile + y, column = static_cast<int>(blockIdx.x) * Tile + x;
    float sum = 0;
    for (int k0 = 0; k0 < K; k0 += Tile) {
        a_tile[y][x] = row < M && k0 + x < K ? a[row * K + k0 + x] : 0.0f;
        b_tile[y][x] = k0 + y < K && column < N ? b[(k0 + y) * N + column] : 0.0f;
        __syncthreads();
        for (int k = 0; k < Tile; ++k) sum += a_tile[y][k] * b_tile[k][x];
        __syncthreads();
    }
    if (row < M && column < N) c[row * N + column] = sum;
}

// One partial sum for each block, a tree in dynamic shared memory (Harris 2007).
template <class T>
__global__ void __launch_bounds__(128) sum_kernel(const T* x, T* partial, int n) {
    GRADUS_DYNAMIC_SHARED(T, tree);
    const unsigned t = threadIdx.x;
    const int i = static_cast<int>(blockIdx.x * blockDim.x + t);
    tree[t] = i < n ? x[i] : T(0);
    __syncthreads();
    for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
        if (t < half) tree[t] += tree[t + half];
        __syncthreads();
    }
    if (t == 0) partial[blockIdx.x] = tree[0];
}

template <int>
__global__ void index_kernel(uint3* seen) {
    const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    seen[block * blockDim.x * blockDim.y * blockDim.z + thread] = threadIdx;
}

template <int>
__global__ void visit_kernel(int* order, int* count) {
    order[(*count)++] = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
}

std::vector<float> pattern(std::size_t count, int seed) {
    std::vector<float> values(count);
    for (std::size_t i = 0; i < count; ++i)
        values[i] = static_cast<float>(static_cast<int>((i * 7919 + static_cast<std::size_t>(seed)) % 13) - 6);
    return values;
}

}  // namespace

TEST_CASE("vector add") {
    in_every_order([] {
        for (const int n : {1, 255, 1000}) {
            const std::vector<double> a(static_cast<std::size_t>(n), 1.5), b(static_cast<std::size_t>(n), 2.0);
            const DeviceArray<double> da(a), db(b), sum(a.size());
            launch(add_kernel<double>, blocks_for(n, 256), 256, 0, nullptr, da.data(), db.data(), sum.data(), n);
            CHECK(sum.host() == std::vector<double>(static_cast<std::size_t>(n), 3.5));
        }
    });
}

TEST_CASE("tiled matrix product, odd sizes, several blocks in flight") {
    const int M = 37, N = 45, K = 51;
    const std::vector<float> a = pattern(37 * 51, 1), b = pattern(51 * 45, 2);
    std::vector<float> want(37 * 45);
    for (int i = 0; i < M; ++i)
        for (int j = 0; j < N; ++j)
            for (int k = 0; k < K; ++k)
                want[static_cast<std::size_t>(i * N + j)] +=
                    a[static_cast<std::size_t>(i * K + k)] * b[static_cast<std::size_t>(k * N + j)];
    const DeviceArray<float> da(a), db(b);
    in_every_order([&] {
        for (const int blocks : {1, 3}) {
            emulator::settings().blocks_in_flight = blocks;
            const DeviceArray<float> c(want.size());
            const dim3 grid(blocks_for(N, 16), blocks_for(M, 16));
            launch(matmul_kernel<16>, grid, dim3(16, 16), 0, nullptr, da.data(), db.data(), c.data(), M, N, K);
            CHECK(c.host() == want);  // sums of small integers: exact in any order
        }
    });
}

TEST_CASE("reduction in dynamic shared memory") {
    const std::vector<float> x = pattern(1000, 3);
    const DeviceArray<float> dx(x), partial(8);
    in_every_order([&] {
        launch(sum_kernel<float>, 8, 128, 128 * sizeof(float), nullptr, dx.data(), partial.data(), 1000);
        const std::vector<float> sums = partial.host();
        CHECK(std::accumulate(sums.begin(), sums.end(), 0.0f) == std::accumulate(x.begin(), x.end(), 0.0f));
    });
}

TEST_CASE("threadIdx and blockIdx count x first, then y, then z") {
    const DeviceArray<uint3> seen(2 * 3 * 2 * 4 * 3 * 2);
    launch(index_kernel<0>, dim3(2, 3, 2), dim3(4, 3, 2), 0, nullptr, seen.data());
    const std::vector<uint3> index = seen.host();
    bool good = true;
    for (unsigned i = 0; i < index.size(); ++i) {
        const unsigned thread = i % 24;
        good = good && index[i].x == thread % 4 && index[i].y == thread / 4 % 3 && index[i].z == thread / 12;
    }
    CHECK(good);
}

TEST_CASE("threads and blocks run forward, in reverse, or at random by seed") {
    const auto visit = [](emulator::ThreadOrder order, unsigned seed) {
        emulator::settings().order = order;
        emulator::settings().seed = seed;
        const DeviceArray<int> visited(192), count(1);
        launch(visit_kernel<0>, 3, 64, 0, nullptr, visited.data(), count.data());
        emulator::settings() = emulator::Settings{};
        return visited.host();
    };
    std::vector<int> forward(192);
    std::iota(forward.begin(), forward.end(), 0);
    const std::vector<int> reverse(forward.rbegin(), forward.rend());
    CHECK(visit(emulator::ThreadOrder::forward, 1) == forward);
    CHECK(visit(emulator::ThreadOrder::reverse, 1) == reverse);
    std::vector<int> random = visit(emulator::ThreadOrder::random, 7);
    CHECK(random == visit(emulator::ThreadOrder::random, 7));
    CHECK(random != visit(emulator::ThreadOrder::random, 8));
    CHECK(random != forward);
    std::sort(random.begin(), random.end());
    CHECK(random == forward);
}

TEST_CASE("a launch beyond the limits of a card is an error that names the kernel and the line") {
    const auto launch_message = [](dim3 grid, dim3 block, std::size_t shared_bytes) {
        return message_of([&] {
            launch(sum_kernel<float>, grid, block, shared_bytes, nullptr, static_cast<const float*>(nullptr),
                   static_cast<float*>(nullptr), 0);
        });
    };
    const std::string message = launch_message(1, 1025, 0);
    CHECK(contains(message, "sum_kernel<float>: launch at grid_test.cpp:"));
    CHECK(contains(message, "at most 1024 threads"));
    CHECK(contains(message, "(1025, 1, 1)"));
    CHECK(contains(launch_message(1, dim3(1, 1, 65), 0), "(1024, 1024, 64)"));
    CHECK(contains(launch_message(0, 32, 0), "an empty grid or block"));
    CHECK(contains(launch_message(dim3(1, 65536), 32, 0), "65535"));
    CHECK(contains(launch_message(1, 32, 48 * 1024 + 1), "asks for 49153 bytes of shared memory"));
    CHECK(contains(launch_message(1, 32, 48 * 1024 + 1), "may have 49152 (more, up to 166912: cudaFuncSetAttribute"));
}

TEST_CASE("a pointer to host memory is no argument for a kernel, unless it is pinned") {
    std::vector<float> host(4);
    const DeviceArray<float> x(4);
    const auto message = [&](const float* a, const float* b) {
        return message_of([&] { launch(add_kernel<float>, 1, 32, 0, nullptr, a, b, x.data(), 4); });
    };
    CHECK(contains(message(x.data(), host.data()), "add_kernel<float>: launch at grid_test.cpp:"));
    CHECK(contains(message(x.data(), host.data()), "argument 2 points to host memory"));
    float* pinned = nullptr;
    REQUIRE(cudaMallocHost(&pinned, 16) == cudaSuccess);
    for (int i = 0; i < 4; ++i) pinned[i] = 1;
    CHECK(message(pinned, x.data()) == "");
    CHECK(x.host()[3] == 1);
    cudaFreeHost(pinned);
}

TEST_CASE("a kernel may ask for more shared memory, as much as the card has") {
    const DeviceArray<float> x(std::vector<float>(128, 1.0f)), partial(1);
    const std::size_t bytes = 100 * 1024;
    CHECK(cudaFuncSetAttribute(sum_kernel<float>, cudaFuncAttributeMaxDynamicSharedMemorySize, 400 * 1024) ==
          cudaErrorInvalidValue);
    CHECK(cudaGetLastError() == cudaErrorInvalidValue);
    CHECK(cudaFuncSetAttribute(sum_kernel<float>, cudaFuncAttributeMaxDynamicSharedMemorySize, 100 * 1024) ==
          cudaSuccess);
    launch(sum_kernel<float>, 1, 128, bytes, nullptr, x.data(), partial.data(), 128);
    CHECK(partial.host()[0] == 128.0f);
}

TEST_CASE("settings from the environment: a value that there is not is an error that lists those that there are") {
    const auto with = [](const char* variable, const char* value, emulator::Settings* settings) {
        setenv(variable, value, 1);
        const std::string message = message_of([&] { *settings = emulator::settings_from_environment(); });
        unsetenv(variable);
        return message;
    };
    emulator::Settings settings;
    for (const char* order : {"forward", "reverse", "random", "random:7"})
        CHECK(with("GRADUS_EMULATOR_ORDER", order, &settings) == "");
    CHECK(settings.order == emulator::ThreadOrder::random);
    CHECK(settings.seed == 7);
    for (const char* order : {"revers", "random:", "random:x", "random7", ""})
        CHECK(with("GRADUS_EMULATOR_ORDER", order, &settings) ==
              "GRADUS_EMULATOR_ORDER=" + std::string(order) +
                  ": the values are forward, reverse, random and random:<seed>");
    CHECK(with("GRADUS_EMULATOR_BLOCKS", "4", &settings) == "");
    CHECK(settings.blocks_in_flight == 4);
    CHECK(contains(with("GRADUS_EMULATOR_BLOCKS", "many", &settings), "the values are numbers from 1"));
    CHECK(with("GRADUS_EMULATOR_STACK_KB", "128", &settings) == "");
    CHECK(settings.stack_bytes == 128 * 1024);
    CHECK(contains(with("GRADUS_EMULATOR_STACK_KB", "8", &settings), "the values are numbers from 16"));
    CHECK(with("GRADUS_EMULATOR_STREAMS", "deferred", &settings) == "");
    CHECK(settings.deferred_streams);
    CHECK(contains(with("GRADUS_EMULATOR_STREAMS", "defered", &settings), "the values are immediate and deferred"));
    CHECK(with("GRADUS_EMULATOR_PROTECT", "0", &settings) == "");
    CHECK(!settings.protect_device_memory);
    CHECK(contains(with("GRADUS_EMULATOR_PROTECT", "off", &settings), "the values are 0 and 1"));
    CHECK(with("GRADUS_EMULATOR_COUNTS", "1", &settings) == "");
    CHECK(settings.print_counts);
    CHECK(with("GRADUS_EMULATOR_COUNTS", "0", &settings) == "");
    CHECK(!settings.print_counts);
    CHECK(contains(with("GRADUS_EMULATOR_COUNTS", "yes", &settings), "the values are 0 and 1"));
}
