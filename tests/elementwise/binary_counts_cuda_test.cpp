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
            // A row that fits into a block's packs is read once for every two of them.
            const bool is_row = other == Shape{64};
            CHECK(2 * counts.load_requests == (is_row ? 3 : 4) * counts.store_requests);
            CHECK(counts.sectors_per_least() == 1.0);
        }
        Generator generator{9, 2, 0};
        const emulator::KernelCounts counts =
            counts_of_one("dropout_kernel<", [&] { dropout(x, 0.5, true, generator); });
        CHECK(counts.load_sectors + counts.store_sectors == 2 * sectors);
        CHECK(counts.store_requests == sectors / 16);
    });
}

TEST_CASE_TEMPLATE("a row of channels, from either side, adds at most a quarter to the ideal", T, float, Half, double) {
    for (const Index C : {8, 64, 256}) {
        const Shape shape{2, 16, 16, C};
        const Variable<T, Cuda> x(Tensor<T, Cuda>::ones(shape)), row(Tensor<T, Cuda>::ones({C}));
        const double ideal = 2 * static_cast<double>(shape.numel()) * sizeof(T);
        for (const bool is_second : {true, false}) {
            const emulator::KernelCounts counts =
                counts_of_one("binary_forward_kernel<", [&] { is_second ? sub(x, row) : sub(row, x); });
            CHECK(static_cast<double>(counts.bytes()) <= 1.25 * ideal);
        }
    }
}

TEST_CASE("rows that stay in registers: several packs of a thread, and a last one that is incomplete") {
    for (const Index C : {1, 4, 24, 64})
        for (const Index rows : {1, 33, 1021}) {
            Generator generator{5, 1, 0};
            const Tensor<float> x = Tensor<float>::randn({rows, C}, generator),
                                y = Tensor<float>::randn({C}, generator);
            const auto on_card = [](const Tensor<float>& t) { return Variable<float, Cuda>(t.to<Cuda>()); };
            CHECK(div(on_card(x), on_card(y)).value().to<Cpu>().to_vector() ==
                  div(Variable<float>(x), Variable<float>(y)).value().to_vector());
            CHECK(div(on_card(y), on_card(x)).value().to<Cpu>().to_vector() ==
                  div(Variable<float>(y), Variable<float>(x)).value().to_vector());
        }
}

TEST_CASE("gradients of broadcast operands: no races") {
    for (const Shape& shape : {Shape{5}, Shape{3, 1, 5}, Shape{3, 40, 1}, Shape{}}) {
        Variable<float, Cuda> x(Tensor<float, Cuda>::ones({3, 40, 5}), true), y(Tensor<float, Cuda>::ones(shape), true);
        mul(x, y).backward(Tensor<float, Cuda>::ones({3, 40, 5}));
        CHECK(y.grad().to_vector()[0] == static_cast<float>(600 / shape.numel()));
    }
}
