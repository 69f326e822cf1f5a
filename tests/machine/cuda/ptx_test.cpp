// Asynchronous copies: a double-buffered sum is right, and one that does not wait reads NaN.
#include "gradus/machine/cuda/ptx.hpp"

#include <algorithm>
#include <cmath>

#if !defined(__CUDACC__)
#include "gradus/machine/emulator/async_copy.hpp"
#endif
#include "machine/emulator/emulator_checks.hpp"

using namespace gradus;

namespace {

// Each block sums its rows of 128 values; the next row is on its way while this one is added.
template <bool Waits>
__global__ void __launch_bounds__(32) sum_kernel(const float* x, float* sums, int rows) {
    GRADUS_SHARED_ALIGNED(16, float, tile, [2][128]);
    const int t = static_cast<int>(threadIdx.x);
    const float* const mine = x + static_cast<int>(blockIdx.x) * rows * 128;
    cp_async<16>(&tile[0][4 * t], mine + 4 * t);
    cp_async_commit();
    float sum = 0;
    for (int r = 0; r < rows; ++r) {
        if (r + 1 < rows) cp_async<16>(&tile[(r + 1) % 2][4 * t], mine + (r + 1) * 128 + 4 * t);
        cp_async_commit();  // an empty group in the last round, so that the count is right
        if (Waits) cp_async_wait<1>();
        __syncthreads();
        for (int i = 0; i < 4; ++i) sum += tile[r % 2][(4 * t + 32 * i) % 128 + i];
        __syncthreads();
    }
    atomicAdd(sums + blockIdx.x, sum);
}

template <int>
__global__ void fill_kernel(const float* x, float* y) {
    GRADUS_SHARED_ALIGNED(16, float, tile, [4]);
    cp_async<16>(tile, x, 8);  // two values, two zeros
    cp_async_commit();
    cp_async_wait<0>();
    for (int i = 0; i < 4; ++i) y[i] = tile[i];
}

// Of x the first threadIdx.x bytes.
template <int Bytes>
__global__ void __launch_bounds__(Bytes + 1) part_kernel(const unsigned char* x, unsigned char* y) {
    GRADUS_SHARED_ALIGNED(16, unsigned char, tile, [Bytes + 1][Bytes]);
    const int n = static_cast<int>(threadIdx.x);
    cp_async<Bytes>(tile[n], x, n);
    cp_async_commit();
    cp_async_wait<0>();
    for (int i = 0; i < Bytes; ++i) y[n * Bytes + i] = tile[n][i];
}
template <int Bytes>
void check_parts() {
    std::vector<unsigned char> x(Bytes), wanted((Bytes + 1) * Bytes, 0);
    for (int i = 0; i < Bytes; ++i) x[static_cast<std::size_t>(i)] = static_cast<unsigned char>(i + 1);
    for (int n = 0; n <= Bytes; ++n) std::copy_n(x.begin(), n, wanted.begin() + n * Bytes);
    const DeviceArray<unsigned char> in(x), out(wanted.size());
    launch(part_kernel<Bytes>, 1, Bytes + 1, 0, nullptr, in.data(), out.data());
    CHECK(out.host() == wanted);
}

template <int>
__global__ void misaligned_kernel(const float* x) {
    GRADUS_SHARED_ALIGNED(16, float, tile, [8]);
    cp_async<16>(tile, x + 1);
}
template <int>
__global__ void wrong_way_kernel(float* x, int kind) {
    GRADUS_SHARED_ALIGNED(16, float, tile, [8]);
    if (kind == 0) cp_async<16>(x, tile);
    if (kind == 1) cp_async<16>(tile, tile + 4);
    if (kind == 2) cp_async<16>(tile, x, 20);
}

}  // namespace

TEST_CASE("double-buffered tiles") {
    std::vector<float> x(2 * 5 * 128);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 7);
    std::vector<float> want(2, 0.0f);
    for (std::size_t i = 0; i < x.size(); ++i) want[i / 640] += x[i];
    const DeviceArray<float> dx(x);
    in_every_order([&] {
        const DeviceArray<float> sums(2);
        launch(sum_kernel<true>, 2, 32, 0, nullptr, dx.data(), sums.data(), 5);
        CHECK(sums.host() == want);
    });
#if !defined(__CUDACC__)  // on a card, what is read too early may be there already
    const DeviceArray<float> sums(2);
    const std::string message =
        message_of([&] { launch(sum_kernel<false>, 1, 32, 0, nullptr, dx.data(), sums.data(), 5); });
    CHECK(contains(message, "the thread has returned, and never waited for its cp.async at ptx_test.cpp:"));
    CHECK(std::isnan(sums.host()[0]));
#endif
}

TEST_CASE("what is not copied becomes zero") {
    const DeviceArray<float> x(std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8}), y(std::vector<float>{9, 9, 9, 9});
    launch(fill_kernel<0>, 1, 1, 0, nullptr, x.data(), y.data());
    CHECK(y.host() == std::vector<float>{1, 2, 0, 0});
}

TEST_CASE("any number of bytes") {
    check_parts<4>();
    check_parts<8>();
    check_parts<16>();
}

#if !defined(__CUDACC__)  // a card would end all later work of the process
TEST_CASE("a misaligned copy is an error, and one that does not go from global to shared memory") {
    const DeviceArray<float> x(std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8});
    const std::string message = message_of([&] { launch(misaligned_kernel<0>, 1, 1, 0, nullptr, x.data()); });
    CHECK(contains(message, "misaligned_kernel<0>: cp.async at ptx_test.cpp:"));
    CHECK(contains(message, "the source is not a multiple of 16 bytes"));
    const auto wrong_way = [&](int kind) {
        return message_of([&] { launch(wrong_way_kernel<0>, 1, 1, 0, nullptr, x.data(), kind); });
    };
    CHECK(contains(wrong_way(0), "the target is not in shared memory"));
    CHECK(contains(wrong_way(1), "the source is not in global memory"));
    CHECK(contains(wrong_way(2), "of 16 bytes, 20 are to be copied"));
}
#endif

namespace {

template <int N>
__global__ void __launch_bounds__(32) store_kernel(float* y) {
    Packed<float, N> word;
    for (int i = 0; i < N; ++i) word[i] = static_cast<float>(static_cast<int>(threadIdx.x) * N + i);
    store_word(y + static_cast<int>(threadIdx.x) * N, word);
}
template <int N>
void check_words() {
    const DeviceArray<float> y(std::vector<float>(32 * N + 1, -1.0f));
    launch(store_kernel<N>, 1, 32, 0, nullptr, y.data());
    const std::vector<float> numbers = y.host();
    for (int i = 0; i < 32 * N; ++i) CHECK(numbers[static_cast<std::size_t>(i)] == static_cast<float>(i));
    CHECK(numbers.back() == -1.0f);
}

}  // namespace

TEST_CASE("words of 4, 8 and 16 bytes are stored where they belong") {
    check_words<1>();
    check_words<2>();
    check_words<4>();
}
