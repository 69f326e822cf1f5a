// What the rungs of the matrix product ask of memory: sectors and banks, counted; and that they have no races. Compiled
// and linked as race_checker_test.cpp.
#include "gradus/core/tensor.hpp"
#include "gradus/linear/matmul_cuda.cuh"
#include "gradus/linear/tiled_matmul_cuda.cuh"
#include "gradus/machine/emulator/race_checker.hpp"
#include "machine/emulator/emulator_checks.hpp"

using namespace gradus;

namespace {

template <class T>
using Product = void (*)(Cuda, Matrix<const T>, bool, Matrix<const T>, bool, Matrix<T>, Write);

template <class T>
emulator::KernelCounts counts(Product<T> multiply, Index size, bool flip_a, bool flip_b) {
    const std::vector<T> values(static_cast<std::size_t>(size * size), T(1.0f));
    const DeviceArray<T> a(values), b(values), c(values);
    emulator::take_kernel_counts();
    multiply(Cuda{}, Matrix<const T>(a.data(), {size, size}), flip_a, Matrix<const T>(b.data(), {size, size}), flip_b,
             Matrix<T>(c.data(), {size, size}), Write::overwrite);
    cudaDeviceSynchronize();
    const std::vector<emulator::KernelCounts> all = emulator::take_kernel_counts();
    REQUIRE(all.size() == 1);
    return all[0];
}

// Of odd sizes, in every order of threads: the checker's findings are Errors.
template <class T>
void check_races(Product<T> multiply) {
    const Index M = 37, N = 70, K = 41;  // two steps along k, or more
    const DeviceArray<T> a(std::vector<T>(M * K, T(1.0f))), b(std::vector<T>(K * N, T(1.0f))),
        c(std::vector<T>(M * N, T(1.0f)));
    in_every_order([&] {
        for (const bool flip_a : {false, true})
            for (const bool flip_b : {false, true})
                CHECK(message_of([&] {
                          multiply(Cuda{}, Matrix<const T>(a.data(), {flip_a ? K : M, flip_a ? M : K}), flip_a,
                                   Matrix<const T>(b.data(), {flip_b ? N : K, flip_b ? K : N}), flip_b,
                                   Matrix<T>(c.data(), {M, N}), Write::add);
                      }) == "");
    });
}

}  // namespace

TEST_CASE("the rungs have no races, and stay within their matrices") {
    check_races<float>(tiled_matmul<float>);
    check_races<double>(tiled_matmul<double>);
    check_races<Half>(tiled_matmul<Half>);
    check_races<float>(register_blocked_matmul<float>);
    check_races<double>(register_blocked_matmul<double>);
    check_races<Half>(register_blocked_matmul<Half>);
}

// Products of 128 x 128 matrices, of which every float is 4 bytes of a sector of 32.
TEST_CASE("tiled: each number is read once for 32 uses, in whole sectors, without a conflict of banks") {
    for (const bool flip_a : {false, true})
        for (const bool flip_b : {false, true}) {
            const emulator::KernelCounts c = counts(tiled_matmul<float>, 128, flip_a, flip_b);
            CHECK(c.kernel == "gradus::tiled_matmul_kernel<float>");
            CHECK(c.load_sectors == 2 * 128 * 128 * (128 / 32) / 8);
            CHECK(c.store_sectors == 128 * 128 / 8);
            CHECK(c.sectors_per_least() == 1.0);
            CHECK(c.passes_per_request() == 1.0);
            CHECK(c.partial_requests == 0);
        }
    const emulator::KernelCounts in_double = counts(tiled_matmul<double>, 64, true, false);
    CHECK(in_double.passes_per_request() == 1.0);
    CHECK(in_double.sectors_per_least() == 1.0);
    CHECK(counts(tiled_matmul<Half>, 64, false, true).sectors_per_least() == 1.0);
}

TEST_CASE("register-blocked: half the reads of memory, few of shared memory, no conflict") {
    for (const bool flip_a : {false, true})
        for (const bool flip_b : {false, true}) {
            const emulator::KernelCounts c = counts(register_blocked_matmul<float>, 128, flip_a, flip_b);
            CHECK(c.kernel == "gradus::register_blocked_matmul_kernel<float>");
            CHECK(c.load_sectors == 2 * 128 * 128 * (128 / 64) / 8);
            // For each k a warp reads 16 bytes of A and of B a lane, in quarters. Beside that tiles are written: by
            // 128 threads each, 16 bytes at once and again in quarters where k is a row, else 4 times 4 bytes.
            const std::uint64_t warp_steps = 4 * 128 * 8;            // blocks, k, warps
            const std::uint64_t writes = 4 * (128 / 8) * 4 * 4 * 2;  // blocks, tiles, warps, requests, operands
            CHECK(c.shared_requests == 8 * warp_steps + writes);
            CHECK(c.store_sectors == 128 * 128 / 8);
            CHECK(c.sectors_per_least() == 1.0);
            CHECK(c.passes_per_request() == 1.0);
            CHECK(c.partial_requests == 0);
        }
    const emulator::KernelCounts in_double = counts(register_blocked_matmul<double>, 64, true, true);
    CHECK(in_double.passes_per_request() == 1.0);
    CHECK(in_double.sectors_per_least() == 1.0);
    // A pack of 8 halves becomes 8 floats: there two lanes meet in a bank, when a tile is written.
    const emulator::KernelCounts in_half = counts(register_blocked_matmul<Half>, 64, false, false);
    CHECK(in_half.sectors_per_least() == 1.0);
    CHECK(in_half.passes_per_request() < 1.1);
}

TEST_CASE("the race checker sees what cuBLAS reads and writes") {
    const DeviceArray<float> written(std::vector<float>{2, 3});
    const auto product = [&](const float* a, float* c) {
        matmul(Cuda{}, Matrix<const float>(a, {1, 2}), false, Matrix<const float>(written.data(), {2, 1}), false,
               Matrix<float>(c, {1, 1}), Write::overwrite);
    };
    float *fresh = nullptr, *result = nullptr;
    REQUIRE(cudaMalloc(&fresh, 2 * sizeof(float)) == cudaSuccess);
    REQUIRE(cudaMalloc(&result, sizeof(float)) == cudaSuccess);
    CHECK(contains(message_of([&] { product(fresh, result); }), "is read, but nobody has written all of column 0"));
    product(written.data(), result);
    const float* const c = result;
    float* const target = fresh;
    CHECK(message_of([&] {
              tiled_matmul(Cuda{}, Matrix<const float>(c, {1, 1}), false, Matrix<const float>(c, {1, 1}), false,
                           Matrix<float>(target, {1, 1}), Write::overwrite);
          }) == "");
    cudaFree(fresh);
    cudaFree(result);
}
