// What binary_cuda.cuh and dropout_cuda.cuh ask of the memory, and that no two threads race. Linked with the race
// checker.
#include "gradus/elementwise/binary_cuda.cuh"
#include "gradus/elementwise/dropout_cuda.cuh"

#include "machine/emulator/emulator_checks.hpp"
#include "machine/emulator/kernel_counts.hpp"

using namespace gradus;

TEST_CASE_TEMPLATE("packs of both operands, of a bias and of a gate", T, float, Half) {
    const Shape shape{2, 4, 8, 64};
    const std::uint64_t sectors = static_cast<std::uint64_t>(shape.numel()) * sizeof(T) / 32;
    const Variable<T, Cuda> x(Tensor<T, Cuda>::ones(shape));
    in_every_order([&] {
        for (const Shape& other : {shape, Shape{64}, Shape{2, 1, 1, 64}}) {
            const Variable<T, Cuda> y(Tensor<T, Cuda>::ones(other));
            const emulator::KernelCounts counts = counts_of_one("binary_forward_kernel<", [&] { mul(x, y); });
            CHECK(counts.store_sectors == sectors);
            CHECK(counts.store_requests == sectors / 16);
            CHECK(counts.load_requests == 2 * counts.store_requests);
            CHECK(counts.sectors_per_least() == 1.0);
        }
        Generator generator{9, 2, 0};
        const emulator::KernelCounts counts =
            counts_of_one("dropout_kernel<", [&] { dropout(x, 0.5, true, generator); });
        CHECK(counts.load_sectors + counts.store_sectors == 2 * sectors);
        CHECK(counts.store_requests == sectors / 16);
    });
}

TEST_CASE("gradients of broadcast operands: no races") {
    for (const Shape& shape : {Shape{5}, Shape{3, 1, 5}, Shape{3, 40, 1}, Shape{}}) {
        Variable<float, Cuda> x(Tensor<float, Cuda>::ones({3, 40, 5}), true), y(Tensor<float, Cuda>::ones(shape), true);
        mul(x, y).backward(Tensor<float, Cuda>::ones({3, 40, 5}));
        CHECK(y.grad().to_vector()[0] == static_cast<float>(600 / shape.numel()));
    }
}
