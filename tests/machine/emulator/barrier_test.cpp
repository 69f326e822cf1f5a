// Barriers: what they order, what their variants return, and the message for each way to use them wrongly.
#include "gradus/machine/emulator/barrier.hpp"

#include "emulator_checks.hpp"

using namespace gradus;

namespace {

// Each thread passes its value around the block, one place a round.
template <int>
__global__ void rotate_kernel(int* values, int rounds) {
    GRADUS_SHARED(int, ring, [96]);
    const unsigned t = threadIdx.x;
    int mine = values[t];
    for (int r = 0; r < rounds; ++r) {
        ring[t] = mine;
        __syncthreads();
        mine = ring[(t + 1) % 96];
        __syncthreads();
    }
    values[t] = mine;
}

template <int>
__global__ void vote_kernel(const int* predicate, int* results) {
    const unsigned t = threadIdx.x;
    const int count = __syncthreads_count(predicate[t]);
    const int all = __syncthreads_and(predicate[t]);
    const int any = __syncthreads_or(predicate[t]);
    results[3 * t] = count;
    results[3 * t + 1] = all;
    results[3 * t + 2] = any;
}

constexpr int early_line = __LINE__ + 4;
template <int>
__global__ void early_return_kernel(int* values) {
    if (threadIdx.x >= 100) return;
    __syncthreads();
    values[threadIdx.x] = 1;
}

constexpr int divergent_line = __LINE__ + 4;
template <int>
__global__ void divergent_kernel(int* values) {
    if (threadIdx.x < 40) {
        __syncthreads();
        values[threadIdx.x] = 1;
    } else {
        __syncthreads();
    }
}

template <int>
__global__ void missing_kernel(int* values) {
    if (threadIdx.x % 2 == 0) __syncthreads();
    values[threadIdx.x] = 1;
}

}  // namespace

TEST_CASE("what is written before a barrier is read after it") {
    std::vector<int> values(96), want(96);
    for (int i = 0; i < 96; ++i) values[static_cast<std::size_t>(i)] = i;
    for (int i = 0; i < 96; ++i) want[static_cast<std::size_t>(i)] = (i + 50) % 96;
    in_every_order([&] {
        const DeviceArray<int> x(values);
        launch(rotate_kernel<0>, 1, 96, 0, nullptr, x.data(), 50);
        CHECK(x.host() == want);
    });
}

TEST_CASE("__syncthreads_count, _and and _or") {
    for (const int yes : {0, 1, 63, 64}) {
        std::vector<int> predicate(64);
        for (int i = 0; i < yes; ++i) predicate[static_cast<std::size_t>(i)] = 1 + i;  // not only 1
        const DeviceArray<int> input(predicate), results(3 * 64);
        in_every_order([&] {
            launch(vote_kernel<0>, 1, 64, 0, nullptr, input.data(), results.data());
            const std::vector<int> got = results.host();
            bool good = true;
            for (std::size_t t = 0; t < 64; ++t)
                good = good && got[3 * t] == yes && got[3 * t + 1] == (yes == 64) && got[3 * t + 2] == (yes > 0);
            CHECK(good);
        });
    }
}

TEST_CASE("a return before the barrier: who has left and who waits where") {
    in_every_order([] {
        const DeviceArray<int> x(128);
        const std::string message = message_of([&] { launch(early_return_kernel<0>, 1, 128, 0, nullptr, x.data()); });
        CHECK(contains(message, "early_return_kernel<0>: a barrier that not all threads reach"));
        CHECK(!contains(message, ", thread ("));  // any of the waiting ones would look like the culprit
        CHECK(contains(message, "28 threads, first (100, 0, 0): returned from the kernel"));
        CHECK(contains(message,
                       "100 threads, first (0, 0, 0): waiting at the barrier at " + line_of(__FILE__, early_line)));
        CHECK(contains(message, "launched at barrier_test.cpp:"));
    });
}

TEST_CASE("a barrier in each branch") {
    in_every_order([] {
        const DeviceArray<int> x(64);
        const std::string message = message_of([&] { launch(divergent_kernel<0>, 1, 64, 0, nullptr, x.data()); });
        CHECK(contains(message, "divergent_kernel<0>: divergent barrier"));
        CHECK(contains(message, line_of(__FILE__, divergent_line)));
        CHECK(contains(message, line_of(__FILE__, divergent_line + 3)));
    });
}

TEST_CASE("a barrier that half of the threads miss") {
    in_every_order([] {
        const DeviceArray<int> x(64);
        const std::string message = message_of([&] { launch(missing_kernel<0>, 1, 64, 0, nullptr, x.data()); });
        CHECK(contains(message, "a barrier that not all threads reach"));
        CHECK(contains(message, "32 threads, first (1, 0, 0): returned from the kernel"));
        CHECK(contains(message, "32 threads, first (0, 0, 0): waiting at the barrier"));
    });
}

TEST_CASE("after a fault the next launch works") {
    const DeviceArray<int> x(128);
    for (int i = 0; i < 20; ++i)
        CHECK(message_of([&] { launch(early_return_kernel<0>, 2, 128, 0, nullptr, x.data()); }) != "");
    launch(early_return_kernel<0>, 1, 100, 0, nullptr, x.data());
    CHECK(x.host()[99] == 1);
}
