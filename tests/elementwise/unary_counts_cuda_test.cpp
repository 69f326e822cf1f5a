// What unary_cuda.cuh asks of the memory, and that no two threads race. Linked with the race checker.
#include "gradus/elementwise/unary_cuda.cuh"

#include "machine/emulator/emulator_checks.hpp"
#include "machine/emulator/kernel_counts.hpp"

using namespace gradus;

namespace {

// Whole sectors, in as few requests as packs of 16 bytes allow: a request of 32 lanes moves 16 sectors.
void check_packs(const emulator::KernelCounts& counts, std::uint64_t sectors_of_x, std::uint64_t reads) {
    CHECK(counts.load_sectors == reads * sectors_of_x);
    CHECK(counts.store_sectors == sectors_of_x);
    CHECK(counts.load_requests == counts.load_sectors / 16);
    CHECK(counts.store_requests == counts.store_sectors / 16);
    CHECK(counts.sectors_per_least() == 1.0);
    CHECK(counts.partial_requests == 0);
}

}  // namespace

TEST_CASE_TEMPLATE("unary: reads x once and writes y once; backward reads two or, to add, three", T, float, Half) {
    const Shape shape{2, 4, 8, 64};
    const std::uint64_t sectors = static_cast<std::uint64_t>(shape.numel()) * sizeof(T) / 32;
    in_every_order([&] {
        Variable<T, Cuda> x(Tensor<T, Cuda>::ones(shape), true), y;
        const Tensor<T, Cuda> dy = Tensor<T, Cuda>::ones(shape);
        check_packs(counts_of_one("unary_forward_kernel<", [&] { y = gelu(x); }), sectors, 1);
        check_packs(counts_of_one("unary_backward_kernel<", [&] { y.backward(dy); }), sectors, 2);
        y = relu(x);  // its derivative comes from y
        check_packs(counts_of_one("unary_backward_kernel<", [&] { y.backward(dy); }), sectors, 3);
    });
}

TEST_CASE("unary: a tail behind the last pack and memory between packs are read one by one, without a race") {
    in_every_order([&] {
        for (const Index size : {1, 5, 1027})
            for (const Index offset : {0, 1}) {
                const Tensor<float, Cuda> memory = Tensor<float, Cuda>::ones({size + offset});
                Variable<float, Cuda> x(memory.slice(offset, size + offset), true);
                square(x).backward(Tensor<float, Cuda>::ones({size}));
                CHECK(x.grad().to_vector() == std::vector<float>(static_cast<std::size_t>(size), 2.0f));
            }
    });
}
