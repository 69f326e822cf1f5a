// Counted requests against those worked out by hand: coalesced and strided loads, bank conflicts, idle lanes. Compiled
// and linked as race_checker_test.cpp.
#include "gradus/machine/emulator/access_counts.hpp"

#include "emulator_checks.hpp"
#include "gradus/machine/emulator/race_checker.hpp"

using namespace gradus;

namespace {

template <class T>
__global__ void copy_kernel(const T* x, T* y, int stride, int n) {
    const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n) y[i] = x[i * stride];
}
struct alignas(16) Block32 {
    float values[8];
};
template <int>
__global__ void broadcast_kernel(const float* x, float* y) {
    y[threadIdx.x] = x[0];
}
template <int Pitch>
__global__ void transpose_kernel(const float* x, float* y) {
    GRADUS_SHARED(float, tile, [32][Pitch]);
    const unsigned column = threadIdx.x, row = threadIdx.y;
    tile[row][column] = x[row * 32 + column];
    __syncthreads();
    y[row * 32 + column] = tile[column][row];
}
template <class T>
__global__ void shared_copy_kernel(T* y) {
    GRADUS_SHARED(T, s, [64]);
    s[threadIdx.x] = T{};
    __syncthreads();
    y[threadIdx.x] = s[threadIdx.x];
}

template <class Body>
emulator::KernelCounts counts_of(const Body& body) {
    emulator::take_kernel_counts();
    body();
    cudaDeviceSynchronize();
    const std::vector<emulator::KernelCounts> counts = emulator::take_kernel_counts();
    REQUIRE(counts.size() == 1);
    return counts[0];
}

}  // namespace

TEST_CASE("32 neighbouring floats are 4 sectors, 32 scattered ones are 32") {
    in_every_order([] {
        const DeviceArray<float> x(128 * 32), y(128);
        const auto copy = [&](int stride) {
            return counts_of([&] { launch(copy_kernel<float>, 1, 128, 0, nullptr, x.data(), y.data(), stride, 128); });
        };
        const emulator::KernelCounts together = copy(1), apart = copy(32), every_second = copy(2);
        CHECK(together.kernel == "copy_kernel<float>");
        CHECK(together.launches == 1);
        CHECK(together.load_requests == 4);
        CHECK(together.store_requests == 4);
        CHECK(together.load_sectors == 16);
        CHECK(together.store_sectors == 16);
        CHECK(together.sectors_per_least() == 1.0);
        CHECK(together.bytes() == 1024);
        CHECK(apart.load_sectors == 128);
        CHECK(apart.sectors_per_least() == 4.5);  // (128 + 16) / 32
        CHECK(every_second.load_sectors == 32);
        CHECK(apart.active_lanes() == 32.0);
    });
}

TEST_CASE("vector loads need fewer requests, one value for all is one sector, a tail has idle lanes") {
    const DeviceArray<float4> x(64), y(64);
    const emulator::KernelCounts vectors =
        counts_of([&] { launch(copy_kernel<float4>, 1, 64, 0, nullptr, x.data(), y.data(), 1, 64); });
    CHECK(vectors.load_requests == 2);
    CHECK(vectors.load_sectors == 32);
    CHECK(vectors.sectors_per_least() == 1.0);
    const DeviceArray<float> a(64), b(64);
    CHECK(counts_of([&] { launch(broadcast_kernel<0>, 1, 32, 0, nullptr, a.data(), b.data()); }).load_sectors == 1);
    const emulator::KernelCounts tail =
        counts_of([&] { launch(copy_kernel<float>, 2, 32, 0, nullptr, a.data(), b.data(), 1, 40); });
    CHECK(tail.requests() == 4);
    CHECK(tail.active_lanes() == 20.0);
    CHECK(tail.partial_requests == 2);
}

TEST_CASE("a struct moves in pieces of at most 16 bytes, as its address allows") {
    const DeviceArray<Block32> x(32), y(32);
    const emulator::KernelCounts blocks =
        counts_of([&] { launch(copy_kernel<Block32>, 1, 32, 0, nullptr, x.data(), y.data(), 1, 32); });
    CHECK(blocks.load_requests == 2);
    CHECK(blocks.load_sectors == 64);  // of each 16 bytes are wanted
    CHECK(blocks.store_sectors == 64);
    CHECK(blocks.sectors_per_least() == 2.0);
    const DeviceArray<float3> a(32), b(32);
    const emulator::KernelCounts threes =
        counts_of([&] { launch(copy_kernel<float3>, 1, 32, 0, nullptr, a.data(), b.data(), 1, 32); });
    CHECK(threes.load_requests == 3);
    CHECK(threes.load_sectors == 36);  // 3 floats, each 12 bytes after its neighbour's, in 384 bytes
}

TEST_CASE("a column of a 32-wide tile lies in one bank; with one more column there is no conflict") {
    in_every_order([] {
        const DeviceArray<float> x(1024), y(1024);
        const auto transpose = [&](void (*kernel)(const float*, float*)) {
            return counts_of([&] { launch(kernel, 1, dim3(32, 32), 0, nullptr, x.data(), y.data()); });
        };
        const emulator::KernelCounts conflicts = transpose(transpose_kernel<32>),
                                     none = transpose(transpose_kernel<33>);
        CHECK(conflicts.shared_requests == 64);
        CHECK(conflicts.shared_passes == 32 + 32 * 32);
        CHECK(none.shared_passes == 64);
        CHECK(none.passes_per_request() == 1.0);
    });
}

TEST_CASE("wide accesses to shared memory go in halves and quarters, without a conflict") {
    const DeviceArray<double> wide(64);
    const DeviceArray<float4> wider(64);
    const emulator::KernelCounts halves =
        counts_of([&] { launch(shared_copy_kernel<double>, 1, 32, 0, nullptr, wide.data()); });
    CHECK(halves.shared_requests == 4);
    CHECK(halves.shared_passes == 4);
    CHECK(halves.active_lanes() == 32.0);
    const emulator::KernelCounts quarters =
        counts_of([&] { launch(shared_copy_kernel<float4>, 1, 32, 0, nullptr, wider.data()); });
    CHECK(quarters.shared_requests == 8);
    CHECK(quarters.shared_passes == 8);
    CHECK(quarters.active_lanes() == 32.0);
    const emulator::KernelCounts some =
        counts_of([&] { launch(shared_copy_kernel<float4>, 1, 40, 0, nullptr, wider.data()); });
    CHECK(some.active_lanes() == 20.0);
    CHECK(some.instructions == 6);      // two warps write, read and store
    CHECK(some.partial_requests == 0);  // the second warp has 8 lanes, and all take part
}

TEST_CASE("the table has a line for each kernel") {
    emulator::take_kernel_counts();
    const DeviceArray<float> x(64), y(64);
    for (int i = 0; i < 3; ++i) launch(copy_kernel<float>, 1, 64, 0, nullptr, x.data(), y.data(), 1, 64);
    launch(broadcast_kernel<0>, 1, 32, 0, nullptr, x.data(), y.data());
    cudaDeviceSynchronize();
    const std::vector<emulator::KernelCounts> counts = emulator::take_kernel_counts();
    REQUIRE(counts.size() == 2);
    CHECK(counts[0].launches == 3);
    const std::string table = emulator::table_of(counts);
    CHECK(contains(table, "sectors/least"));
    CHECK(contains(table, "copy_kernel<float>\n"));
    CHECK(contains(table, "broadcast_kernel<0>\n"));
}
