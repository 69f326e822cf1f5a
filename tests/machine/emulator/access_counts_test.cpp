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

// Straight code through every operation of a block, of a warp and of one thread.
template <int>
__global__ void straight_kernel(float* x, unsigned* count) {
    GRADUS_SHARED(float, s, [64]);
    const unsigned t = threadIdx.x;
    s[t] = x[t];
    __syncthreads();
    const float v = s[63 - t] + __shfl_xor_sync(0xffffffffu, s[t], 1);
    atomicAdd(count, 1u);
    __threadfence();
    __syncwarp();
    x[t] = __any_sync(0xffffffffu, v > 0) ? v : 0.0f;
}
// Nothing but arithmetic, in two branches of which each lane takes one.
template <int>
__global__ void two_ways_kernel(float* y, unsigned period, int n) {
    float v = 1;
    if (threadIdx.x % period == 0)
        for (int i = 0; i < n; ++i) v = v * 3 + 1;
    else
        for (int i = 0; i < n; ++i) v = v / 3 - 1;
    y[threadIdx.x] = v;
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

// A warp loads a matrix of halves from shared memory, whose lines are `Pitch` elements apart, and stores sums there.
template <int Pitch>
__global__ void fragment_kernel(const __half* from) {
    using namespace nvcuda;
    GRADUS_SHARED_ALIGNED(32, __half, tile, [16 * Pitch]);
    for (int i = threadIdx.x; i < 16 * Pitch; i += 32) tile[i] = from[i];
    __syncwarp();
    wmma::fragment<wmma::matrix_a, 16, 16, 16, __half, wmma::row_major> a;
    wmma::load_matrix_sync(a, tile, Pitch);
}
template <int Pitch, bool ByColumn>
__global__ void sums_kernel() {
    using namespace nvcuda;
    GRADUS_SHARED_ALIGNED(32, float, tile, [16 * Pitch]);
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> sum;
    wmma::fill_fragment(sum, 1.0f);
    wmma::store_matrix_sync(tile, sum, Pitch, ByColumn ? wmma::mem_col_major : wmma::mem_row_major);
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

TEST_CASE("divergent branches: none in straight code, and all of the work where lanes take two ways") {
    in_every_order([] {
        const DeviceArray<float> x(64);
        const DeviceArray<unsigned> count(1);
        const emulator::KernelCounts straight =
            counts_of([&] { launch(straight_kernel<0>, 1, 64, 0, nullptr, x.data(), count.data()); });
        CHECK(straight.code_blocks >= 2);  // at least one in each warp
        CHECK(straight.divergent_blocks == 0);
        CHECK(straight.active_threads() == 32.0);
        const auto two_ways = [&](unsigned period) {
            return counts_of([&] { launch(two_ways_kernel<0>, 1, 64, 0, nullptr, x.data(), period, 1000); });
        };
        const emulator::KernelCounts together = two_ways(1), halves = two_ways(2), one_of_four = two_ways(4);
        CHECK(together.divergent_blocks == 0);
        CHECK(halves.divergent_share() > 0.99);  // the loops' 2 * 2 * 1000 blocks
        CHECK(halves.active_threads() == doctest::Approx(16).epsilon(0.01));
        CHECK(halves.code_blocks > 2 * together.code_blocks - 20);
        CHECK(one_of_four.active_threads() == doctest::Approx(16).epsilon(0.01));  // 8 one way, 24 the other
        CHECK(halves.partial_requests == 0);                                       // memory alone shows nothing of it
        const DeviceArray<float> y(64);
        const emulator::KernelCounts tail =
            counts_of([&] { launch(copy_kernel<float>, 2, 32, 0, nullptr, x.data(), y.data(), 1, 40); });
        CHECK(tail.divergent_blocks >= 1);  // the guarded copy, by 8 lanes of the second warp
        CHECK(tail.divergent_blocks <= 2);
    });
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
    CHECK(contains(table, "divergent  active threads"));
    CHECK(contains(table, "copy_kernel<float>\n"));
    CHECK(contains(table, "broadcast_kernel<0>\n"));
}

TEST_CASE("a fragment is loaded in 4 requests of 8 lines, its sums stored in rows of 8") {
    const DeviceArray<__half> values(std::vector<__half>(16 * 64, __half(1.0f)));
    const auto passes = [&](auto kernel, int pitch) {
        const emulator::KernelCounts counts = counts_of([&] { launch(kernel, 1, 32, 0, nullptr, values.data()); });
        const std::uint64_t fill = static_cast<std::uint64_t>(pitch) / 2;  // requests, 2 bytes a lane
        CHECK(counts.shared_requests == fill + 4);
        return counts.shared_passes - fill;
    };
    CHECK(passes(fragment_kernel<16>, 16) == 4 * 2);  // lines 32 bytes apart: 4 of them fill the banks
    CHECK(passes(fragment_kernel<24>, 24) == 4);      // 48: none meets another
    CHECK(passes(fragment_kernel<64>, 64) == 4 * 8);  // 128: all in the same four banks
    const auto stored = [](auto kernel) {
        const emulator::KernelCounts counts = counts_of([&] { launch(kernel, 1, 32, 0, nullptr); });
        return std::pair(counts.shared_requests, counts.shared_passes);
    };
    // Four squares of 8 x 8; by rows a lane has 8 bytes, two requests each, by columns twice 4 bytes.
    CHECK(stored(sums_kernel<24, false>) == std::pair<std::uint64_t, std::uint64_t>(8, 8));
    CHECK(stored(sums_kernel<32, false>) == std::pair<std::uint64_t, std::uint64_t>(8, 8 * 4));
    CHECK(stored(sums_kernel<20, true>) == std::pair<std::uint64_t, std::uint64_t>(8, 8));
    CHECK(stored(sums_kernel<16, true>) == std::pair<std::uint64_t, std::uint64_t>(8, 8 * 4));
}
