// Warp-wide operations: who takes part, what a wrong mask or a branch does, __syncwarp and __activemask.
#include "gradus/machine/emulator/warp.hpp"

#include "emulator_checks.hpp"

using namespace gradus;

namespace {

// A sum in shared memory within each warp: needs __syncwarp between the steps.
template <int>
__global__ void warp_sum_kernel(const int* x, int* sums) {
    GRADUS_SHARED(int, values, [64]);
    const unsigned t = threadIdx.x, lane = t % 32;
    values[t] = x[t];
    __syncwarp();
    for (unsigned half = 16; half > 0; half /= 2) {
        const int other = lane < half ? values[t + half] : 0;
        __syncwarp();
        values[t] += other;
        __syncwarp();
    }
    if (lane == 0) sums[t / 32] = values[t];
}

// The two halves of a warp are in different operations at the same time, several times over.
template <int>
__global__ void halves_kernel(int* out) {
    int sum = static_cast<int>(threadIdx.x);
    if (threadIdx.x < 16) {
        for (int i = 0; i < 3; ++i) sum += __shfl_xor_sync(0x0000ffffu, sum, 1);
    } else {
        for (int i = 0; i < 5; ++i) sum += __shfl_xor_sync(0xffff0000u, sum, 2);
    }
    __syncwarp();
    out[threadIdx.x] = sum;
}

template <int>
__global__ void not_in_mask_kernel(int* out) {
    out[threadIdx.x] = __shfl_sync(0x0000ffffu, 1, 0);
}

constexpr int branch_line = __LINE__ + 4;
template <int>
__global__ void branch_kernel(int* out) {
    if (threadIdx.x < 16)
        out[threadIdx.x] = __shfl_sync(0xffffffffu, 1, 0);
    else
        out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1, 1);
}

template <int>
__global__ void two_masks_kernel(int* out) {
    const unsigned mask = threadIdx.x < 16 ? 0xffffffffu : 0xffff0000u;
    out[threadIdx.x] = __shfl_sync(mask, 1, 16);
}

constexpr int deadlock_line = __LINE__ + 4;
template <int>
__global__ void deadlock_kernel(int* out) {
    if (threadIdx.x < 16)
        out[0] = __shfl_sync(0xffffffffu, 1, 0);
    else
        __syncthreads();
}

// Lanes that have returned are waited for no more: allowed, as on a card.
template <int>
__global__ void leaving_kernel(unsigned* out) {
    if (threadIdx.x % 4 == 3) return;
    __syncwarp(0xffffffffu);
    out[threadIdx.x] = __activemask();
    __syncwarp(0xffffffffu);
}

}  // namespace

TEST_CASE("__syncwarp orders what the lanes of a warp write and read") {
    std::vector<int> x(64);
    for (int i = 0; i < 64; ++i) x[static_cast<std::size_t>(i)] = i;
    const DeviceArray<int> dx(x), sums(2);
    in_every_order([&] {
        launch(warp_sum_kernel<0>, 1, 64, 0, nullptr, dx.data(), sums.data());
        CHECK(sums.host() == std::vector<int>{496, 1520});
    });
}

TEST_CASE("lanes with disjoint masks do different things at the same time") {
    std::vector<int> want(32);
    for (int t = 0; t < 32; ++t) {
        const int pair = t < 16 ? t + (t ^ 1) : t + (t ^ 2);
        want[static_cast<std::size_t>(t)] = pair * (t < 16 ? 4 : 16);
    }
    in_every_order([&] {
        const DeviceArray<int> out(32);
        launch(halves_kernel<0>, 1, 32, 0, nullptr, out.data());
        CHECK(out.host() == want);
    });
}

TEST_CASE("a lane that is not in its own mask") {
    in_every_order([] {
        const DeviceArray<int> out(32);
        const std::string message = message_of([&] { launch(not_in_mask_kernel<0>, 1, 32, 0, nullptr, out.data()); });
        CHECK(contains(message, "not_in_mask_kernel<0>: __shfl_sync at warp_test.cpp:"));
        CHECK(contains(message, "is not in its own mask 0000ffff"));
    });
}

TEST_CASE("lanes of one mask in different operations") {
    in_every_order([] {
        const DeviceArray<int> out(32);
        const std::string message = message_of([&] { launch(branch_kernel<0>, 1, 32, 0, nullptr, out.data()); });
        CHECK(contains(message, "branch_kernel<0>: divergent warp operation"));
        CHECK(contains(message, "__shfl_sync at " + line_of(__FILE__, branch_line)));
        CHECK(contains(message, "__shfl_xor_sync at " + line_of(__FILE__, branch_line + 2)));
    });
}

TEST_CASE("lanes of one operation with different masks") {
    emulator::settings().order = emulator::ThreadOrder::forward;  // in others the second half is gone before
    const DeviceArray<int> out(32);
    const std::string message = message_of([&] { launch(two_masks_kernel<0>, 1, 32, 0, nullptr, out.data()); });
    CHECK(contains(message, "divergent warp operation"));
    CHECK(contains(message, "ffff0000"));
    CHECK(contains(message, "ffffffff"));
}

TEST_CASE("deadlock: the table says who waits where") {
    in_every_order([] {
        const DeviceArray<int> out(32);
        const std::string message = message_of([&] { launch(deadlock_kernel<0>, 1, 32, 0, nullptr, out.data()); });
        CHECK(contains(message, "deadlock_kernel<0>: deadlock: no thread of the block can run"));
        CHECK(contains(message,
                       "16 threads, first (0, 0, 0): waiting in __shfl_sync at " + line_of(__FILE__, deadlock_line)));
        CHECK(contains(message, "16 threads, first (16, 0, 0): waiting at the barrier at " +
                                    line_of(__FILE__, deadlock_line + 2)));
    });
}

TEST_CASE("lanes that have returned take no part, nor do those that a short warp does not have") {
    in_every_order([] {
        const DeviceArray<unsigned> out(40);
        launch(leaving_kernel<0>, 1, 40, 0, nullptr, out.data());
        const std::vector<unsigned> masks = out.host();
        CHECK((masks[30] & 0x77777777u) == 0x77777777u);
        CHECK((masks[38] & 0xffffff77u) == 0x00000077u);
    });
}
