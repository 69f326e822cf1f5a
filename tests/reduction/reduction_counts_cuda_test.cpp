// What sum_cuda.cuh and max_cuda.cuh ask of the memory, and that no two threads race. Linked with the race checker.
#include "gradus/reduction/max_cuda.cuh"
#include "gradus/reduction/sum_cuda.cuh"

#include "gradus/core/print.hpp"
#include "machine/emulator/emulator_checks.hpp"
#include "machine/emulator/kernel_counts.hpp"

using namespace gradus;

TEST_CASE_TEMPLATE("sums and maxima read x once, in whole sectors, without conflicts of banks", T, float, double,
                   Half) {
    for (const Shape& shape :
         {Shape{1, 300, 64}, Shape{3, 100, 32}, Shape{2, 4096, 1}, Shape{64, 64, 1}, Shape{1, 2, 8192}}) {
        CAPTURE(shape);
        const Variable<T, Cuda> x(Tensor<T, Cuda>::ones(shape));
        const double x_bytes = static_cast<double>(x.value().bytes());
        const double y_bytes = static_cast<double>(shape[0] * shape[2]) * sizeof(T);
        in_every_order([&] {
            const emulator::KernelCounts sums = counts_of_one("sum_kernel<", [&] { sum(x, {1}); });
            CHECK(static_cast<double>(sums.bytes()) <= 1.25 * (x_bytes + y_bytes) + 32 * double(shape[0]));
            CHECK(sums.passes_per_request() == 1.0);
        });
        const std::vector<emulator::KernelCounts> maxima = counts_of([&] { argmax(x.value(), 1); });
        REQUIRE(maxima.size() == 2);
        CHECK(contains(maxima[0].kernel, "max_kernel<"));
        CHECK(double(maxima[0].load_sectors) * 32 <= 1.25 * x_bytes);
        CHECK(maxima[0].passes_per_request() == 1.0);
        CHECK(contains(maxima[1].kernel, "positions_along_kernel<"));
    }
}

TEST_CASE("parts, odd widths and several blocks of dimensions: no races") {
    for (const Shape& shape : {Shape{1, 20003, 1}, Shape{2, 3001, 3}, Shape{70, 5, 1}, Shape{9, 3, 33}}) {
        CAPTURE(shape);
        Variable<float, Cuda> x(Tensor<float, Cuda>::ones(shape), true);
        sum(x, {1}).backward(Tensor<float, Cuda>::ones({shape[0], shape[2]}));
        max(x, {0, 2}).backward(Tensor<float, Cuda>::ones({shape[1]}));
        mean(x).backward();
        CHECK(sum(x).item() == static_cast<float>(shape.numel()));
    }
}

TEST_CASE("the gradient of a sum is written in packs") {
    const Index n = 4096;
    Variable<float, Cuda> x(Tensor<float, Cuda>::ones({n, 8}), true);
    const Variable<float, Cuda> y = sum(x, {0});
    const Tensor<float, Cuda> dy = Tensor<float, Cuda>::ones({8});
    const emulator::KernelCounts counts = counts_of_one("sum_backward_rows_kernel<", [&] { y.backward(dy); });
    CHECK(counts.store_sectors == n * 8 / 8);
    CHECK(counts.store_requests == n * 8 / 4 / 32);
    CHECK(counts.load_sectors == 2 * 8);  // two parts of 256 threads: each warp reads dy, one sector, once
}

TEST_CASE("the gradient of a sum is written in packs where its rows are none, too") {
    const Index n = 4096;
    Variable<float, Cuda> x(Tensor<float, Cuda>::ones({n, 6}), true);
    const Variable<float, Cuda> y = sum(x, {0});
    const Tensor<float, Cuda> dy = Tensor<float, Cuda>::ones({6});
    const emulator::KernelCounts counts = counts_of_one("sum_backward_kernel<", [&] { y.backward(dy); });
    CHECK(counts.store_sectors == n * 6 / 8);
    CHECK(counts.store_requests == n * 6 / 4 / 32);
}
