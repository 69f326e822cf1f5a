// What the pooling kernels ask of the memory, and that no two threads race. Linked with the race checker.
#include "gradus/pooling/avg_pool2d_cuda.cuh"
#include "gradus/pooling/global_avg_pool2d_cuda.cuh"
#include "gradus/pooling/max_pool2d_cuda.cuh"

#include "machine/emulator/emulator_checks.hpp"
#include "machine/emulator/kernel_counts.hpp"

using namespace gradus;

namespace {

// Windows that do not overlap read and write everything once.
template <class T>
void check_traffic(const emulator::KernelCounts& counts, double elements_and_quarters, double bytes_of_winners) {
    const double least = elements_and_quarters * sizeof(T) + bytes_of_winners;
    CHECK(static_cast<double>(counts.bytes()) <= 1.01 * least);
    CHECK(counts.sectors_per_least() <= 1.01);
    CHECK(counts.partial_requests == 0);
}

}  // namespace

TEST_CASE_TEMPLATE("pools of 2 x 2 pixels move every byte once, forward and backward", T, float, Half) {
    const Shape shape{2, 8, 8, 64};
    const Index n = shape.numel(), outputs = n / 4;
    in_every_order([&] {
        Variable<T, Cuda> x(Tensor<T, Cuda>::ones(shape), true);
        const Tensor<T, Cuda> dy = Tensor<T, Cuda>::ones({2, 4, 4, 64});
        Variable<T, Cuda> y;
        check_traffic<T>(counts_of_one("max_pool2d_forward_kernel<", [&] { y = max_pool2d(x); }), 1.25 * double(n),
                         double(outputs));
        check_traffic<T>(counts_of_one("avg_pool2d_forward_kernel<", [&] { avg_pool2d(x); }), 1.25 * double(n), 0);
        check_traffic<T>(counts_of_one("max_pool2d_backward_kernel<", [&] { y.backward(dy); }), 1.25 * double(n),
                         double(outputs));
        y = avg_pool2d(x);
        check_traffic<T>(counts_of_one("avg_pool2d_backward_kernel<", [&] { y.backward(dy); }), 2.25 * double(n), 0);
        y = global_avg_pool2d(x);
        const Tensor<T, Cuda> dmeans = Tensor<T, Cuda>::ones({2, 64});
        const emulator::KernelCounts global = counts_of_one("sum_backward_rows_kernel<", [&] { y.backward(dmeans); });
        CHECK(global.store_sectors * 32 == static_cast<std::uint64_t>(n) * sizeof(T));
    });
}

TEST_CASE("overlapping windows and an odd number of channels: no races") {
    Variable<float, Cuda> x(Tensor<float, Cuda>::ones({2, 7, 9, 5}), true);
    max_pool2d(x, {.kernel = 3, .stride = 2, .padding = 1}).backward(Tensor<float, Cuda>::ones({2, 4, 5, 5}));
    avg_pool2d(x, {.kernel = 3, .stride = 2, .padding = 1}).backward(Tensor<float, Cuda>::ones({2, 4, 5, 5}));
    global_avg_pool2d(x).backward(Tensor<float, Cuda>::ones({2, 5}));
    float total = 0;
    for (const float value : x.grad().to_vector()) total += value;
    CHECK(total > 0);
}
