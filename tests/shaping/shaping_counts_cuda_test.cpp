// What rows_cuda.cuh and permute_cuda.cuh ask of the memory, and that no two threads race. Linked with the race
// checker.
#include "gradus/shaping/permute_cuda.cuh"
#include "gradus/shaping/rows_cuda.cuh"

#include "gradus/shaping/pad.hpp"
#include "gradus/shaping/slice.hpp"
#include "machine/emulator/emulator_checks.hpp"
#include "machine/emulator/kernel_counts.hpp"

using namespace gradus;

namespace {

std::uint64_t sectors_of(double elements, std::size_t element_bytes) {
    return static_cast<std::uint64_t>(elements) * element_bytes / 32;
}

}  // namespace

TEST_CASE_TEMPLATE("a transposed matrix is read and written in whole sectors, without conflicts of banks", T, float,
                   double, Half) {
    in_every_order([] {
        const Variable<T, Cuda> x(Tensor<T, Cuda>::ones({64, 96})), images(Tensor<T, Cuda>::ones({2, 4, 16, 32}));
        const emulator::KernelCounts matrix = counts_of_one("transpose_kernel<", [&] { transpose(x); });
        const emulator::KernelCounts channels = counts_of_one("transpose_kernel<", [&] {
            permute(images, {0, 3, 1, 2});
        });
        for (const emulator::KernelCounts& counts : {matrix, channels}) {
            CHECK(counts.sectors_per_least() == 1.0);
            CHECK(counts.passes_per_request() == 1.0);
            CHECK(counts.partial_requests == 0);
        }
        CHECK(matrix.load_sectors == sectors_of(64 * 96, sizeof(T)));
        CHECK(matrix.store_sectors == sectors_of(64 * 96, sizeof(T)));
    });
}

TEST_CASE("runs of packs move 16 bytes a thread") {
    Variable<float, Cuda> x(Tensor<float, Cuda>::ones({8, 16, 32}), true);
    const auto check = [](const emulator::KernelCounts& counts, double elements) {
        CHECK(counts.store_sectors == sectors_of(elements, sizeof(float)));
        CHECK(counts.store_requests == counts.store_sectors / 16);  // 32 lanes, 16 bytes each
        CHECK(counts.sectors_per_least() == 1.0);
    };
    check(counts_of_one("gather_packs_kernel<", [&] { slice(x, 1, {.start = 4, .stop = 12}); }), 8 * 8 * 32);
    check(counts_of_one("gather_packs_kernel<", [&] { permute(x, {1, 0, 2}); }), 8 * 16 * 32);
    check(counts_of_one("place_packs_kernel<", [&] { pad(x, 2, {.before = 8, .after = 24}); }), 8 * 16 * 64);
    const Variable<float, Cuda> y = slice(x, 1, {.start = 4, .stop = 12});
    const Tensor<float, Cuda> dy = Tensor<float, Cuda>::ones({8, 8, 32});
    check(counts_of_one("place_packs_kernel<", [&] { y.backward(dy); }), 8 * 16 * 32);
    const Variable<float, Cuda> again = slice(x, 1, {.start = 4, .stop = 12});
    check(counts_of_one("scatter_packs_kernel<", [&] { again.backward(dy); }), 8 * 8 * 32);
}

TEST_CASE("rows that are no packs: neighbouring threads take neighbours") {
    const Variable<float, Cuda> x(Tensor<float, Cuda>::ones({64, 33}));
    const emulator::KernelCounts counts = counts_of_one("gather_elements_kernel<", [&] { slice(x, 1, {.start = 1}); });
    CHECK(counts.store_sectors == sectors_of(64 * 32, sizeof(float)));
    CHECK(counts.sectors_per_least() <= 1.25);
}

TEST_CASE("odd shapes: no races") {
    Variable<float, Cuda> x(Tensor<float, Cuda>::ones({3, 9, 35}), true);
    permute(x, {2, 1, 0}).backward(Tensor<float, Cuda>::ones({35, 9, 3}));
    permute(x, {0, 2, 1}).backward(Tensor<float, Cuda>::ones({3, 35, 9}));
    pad(x, 2, {.before = 1}).backward(Tensor<float, Cuda>::ones({3, 9, 36}));
    slice(x, 2, {.step = 2}).backward(Tensor<float, Cuda>::ones({3, 9, 18}));
    CHECK(x.grad().to_vector()[0] == 4.0f);
}
