// Atomics: what they return, what they leave, also with several blocks at the same time.
#include "gradus/machine/emulator/atomics.hpp"

#include "emulator_checks.hpp"

using namespace gradus;

namespace {

template <class T>
__global__ void count_kernel(T* total) {
    atomicAdd(total, T(1));
}

template <class T>
__global__ void each_kernel(T* x, T* before) {
    before[0] = atomicAdd(x + 0, T(5));
    before[1] = atomicExch(x + 1, T(6));
    before[2] = atomicMin(x + 2, T(3));
    before[3] = atomicMax(x + 3, T(30));
    before[4] = atomicAnd(x + 4, T(6));
    before[5] = atomicOr(x + 5, T(6));
    before[6] = atomicXor(x + 6, T(6));
    before[7] = atomicCAS(x + 7, T(10), T(99));
    before[8] = atomicCAS(x + 8, T(11), T(99));
}

template <int>
__global__ void signed_kernel(long long* x) {  // of 64 signed bits CUDA has these five
    atomicMin(x + 0, -5ll);
    atomicMax(x + 1, 1ll << 40);
    atomicAnd(x + 2, 6ll);
    atomicOr(x + 3, -16ll);
    atomicXor(x + 4, 6ll);
}

template <int>
__global__ void wrap_kernel(unsigned* x, int* y) {
    atomicInc(x, 2);
    atomicDec(x + 1, 3);
    atomicSub(y, 3);
}
template <class T>
__global__ void pair_kernel(CudaVector2<T>* x) {
    atomicAdd(x, CudaVector2<T>{T(1.0f), T(2.0f)});
}

// A ticket for each block: the last one adds up what the others left (the Programming Guide's example).
template <int>
__global__ void last_block_kernel(int* partial, unsigned* tickets, int* total) {
    partial[blockIdx.x] = static_cast<int>(blockIdx.x);
    __threadfence();
    if (atomicAdd(tickets, 1u) != gridDim.x - 1) return;
    __threadfence();
    int sum = 0;
    for (unsigned b = 0; b < gridDim.x; ++b) sum += partial[b];
    *total = sum;
}

template <class T>
void check_count(T zero) {
    const DeviceArray<T> total(std::vector<T>{zero});
    launch(count_kernel<T>, 8, 64, 0, nullptr, total.data());
    CHECK(static_cast<double>(total.host()[0]) == (sizeof(T) == 2 ? 256 : 512));  // bfloat16: 256 + 1 is 256
}

template <int>
__global__ void wait_kernel(int* flag) {  // for a block, or a thread, that cannot come while this one runs
    if (blockIdx.x == 0 && threadIdx.x == 0)
        while (atomicAdd(flag, 0) == 0) continue;
    else
        atomicExch(flag, 1);
}
template <int>
__global__ void lock_kernel(int* lock, int* sum) {
    while (atomicCAS(lock, 0, 1) != 0) continue;
    __threadfence();
    *sum = *sum + 1;
    __threadfence();
    atomicExch(lock, 0);
}

}  // namespace

TEST_CASE("a thread that waits for another in a loop of atomics: an error instead of for ever") {
    const DeviceArray<int> flag(1), lock(1), sum(1);
    const std::string message = message_of([&] { launch(wait_kernel<0>, 2, 32, 0, nullptr, flag.data()); });
    CHECK(contains(message, "wait_kernel<0>: atomics at atomics_test.cpp:"));
    CHECK(contains(message, "seem to wait for another thread"));
    for (const int blocks : {1, 4}) {  // whoever has the lock runs on
        emulator::settings().blocks_in_flight = blocks;
        launch(lock_kernel<0>, 4, 64, 0, nullptr, lock.data(), sum.data());
        emulator::settings() = emulator::Settings{};
    }
    CHECK(sum.host()[0] == 512);
}

TEST_CASE("no addition is lost, with eight blocks on several threads") {
    emulator::settings().blocks_in_flight = 4;
    check_count(0);
    check_count(0u);
    check_count(0ull);
    check_count(0.0f);
    check_count(0.0);
    check_count(BFloat16(0.0f));
    emulator::settings() = emulator::Settings{};
    const DeviceArray<Half> total(std::vector<Half>{Half(0.0f)});
    launch(count_kernel<Half>, 8, 64, 0, nullptr, total.data());
    CHECK(static_cast<float>(total.host()[0]) == 512.0f);
}

TEST_CASE("each function returns the value before and leaves the right one") {
    const std::vector<int> start(9, 10), left = {15, 6, 3, 30, 2, 14, 12, 99, 10};
    const DeviceArray<int> x(start), before(9);
    launch(each_kernel<int>, 1, 1, 0, nullptr, x.data(), before.data());
    CHECK(before.host() == start);
    CHECK(x.host() == left);
    const DeviceArray<unsigned long long> y(std::vector<unsigned long long>(9, 10)), old(9);
    launch(each_kernel<unsigned long long>, 1, 1, 0, nullptr, y.data(), old.data());
    CHECK(y.host() == std::vector<unsigned long long>(left.begin(), left.end()));
    const DeviceArray<long long> z(std::vector<long long>(5, 10));
    launch(signed_kernel<0>, 1, 1, 0, nullptr, z.data());
    CHECK(z.host() == std::vector<long long>{-5, 1ll << 40, 2, -6, 12});
}

TEST_CASE("atomicInc and atomicDec begin again, atomicSub takes away, two halves are added") {
    const DeviceArray<unsigned> x(std::vector<unsigned>{0, 9});
    const DeviceArray<int> y(1);
    launch(wrap_kernel<0>, 1, 5, 0, nullptr, x.data(), y.data());
    CHECK(x.host()[0] == 2);  // 0 1 2 0 1 2
    CHECK(x.host()[1] == 3);  // 9 3 2 1 0 3
    CHECK(y.host()[0] == -15);
    const DeviceArray<half2> pair(std::vector<half2>{{Half(0.0f), Half(1.0f)}});
    launch(pair_kernel<Half>, 1, 64, 0, nullptr, pair.data());
    CHECK(__low2float(pair.host()[0]) == 64.0f);
    CHECK(__high2float(pair.host()[0]) == 129.0f);
}

TEST_CASE("the last block sums up") {
    in_every_order([] {
        const DeviceArray<int> partial(16), total(1);
        const DeviceArray<unsigned> tickets(1);
        launch(last_block_kernel<0>, 16, 1, 0, nullptr, partial.data(), tickets.data(), total.data());
        CHECK(total.host()[0] == 120);
    });
}
