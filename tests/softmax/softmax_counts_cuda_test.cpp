// What the kernels of softmax and cross entropy move, counted by the emulator and checked for races: bytes beside those
// that must be moved, and no conflicts of banks. Compiled and linked as race_checker_test.cpp.
#include "gradus/softmax/cross_entropy_cuda.cuh"
#include "gradus/softmax/softmax_cuda.cuh"

#include "machine/emulator/emulator_checks.hpp"
#include "machine/emulator/kernel_counts.hpp"

using namespace gradus;

namespace {

// The body runs one kernel whose name begins so: it moves at most `most` times the ideal number of bytes.
template <class Body>
void check_bytes(const std::string& kernel, double ideal, double most, const Body& body) {
    int found = 0;
    for (const emulator::KernelCounts& counts : counts_of(body)) {
        if (!counts.kernel.starts_with("gradus::" + kernel)) continue;
        ++found;
        INFO(counts.kernel << ": " << counts.bytes() << " bytes for " << ideal);
        CHECK(static_cast<double>(counts.bytes()) <= most * ideal);
        CHECK(static_cast<double>(counts.bytes()) >= ideal);
        CHECK(counts.passes_per_request() == 1.0);
    }
    CHECK(found == 1);
}

template <class T>
void check_kernels(Index N, Index K, double most) {
    INFO(std::string(element_name<T>()) << " " << N << " x " << K);
    Generator generator{4, 0, 0};
    const Tensor<T, Cuda> values = Tensor<float>::randn({N, K}, generator).as<T>().template to<Cuda>();
    std::vector<std::int64_t> numbers;
    for (Index n = 0; n < N; ++n) numbers.push_back(n % K);
    const Tensor<std::int64_t, Cuda> labels = Tensor<std::int64_t, Cuda>::from({N}, numbers);
    const double matrix = static_cast<double>(values.bytes()), rows = static_cast<double>(N);

    const Variable<T, Cuda> x(values, true);
    Variable<T, Cuda> y;
    check_bytes("softmax_forward_kernel", 2 * matrix, most, [&] { y = softmax(x); });
    check_bytes("softmax_backward_kernel", 3 * matrix, most, [&] { y.backward(values); });
    Variable<Sum<T>, Cuda> loss;
    check_bytes("cross_entropy_forward_kernel", matrix + rows * (8 + 3 * 4), most,
                [&] { loss = cross_entropy(Variable<T, Cuda>(values, true), labels); });
    check_bytes("cross_entropy_backward_kernel", 2 * matrix + rows * (8 + 2 * 4), most, [&] { loss.backward(); });
}

}  // namespace

TEST_CASE("softmax and cross entropy move little more than they must") {
    check_kernels<float>(16, 1000, 1.25);
    check_kernels<Half>(16, 1000, 1.25);
    check_kernels<float>(64, 512, 1.25);
    // Not in packs: 32 floats that begin anywhere lie in 5 sectors, not in 4; and 8 warps read a row's numbers.
    check_kernels<float>(16, 2001, 1.25 + 8 * 5 * 32.0 / (2 * 4 * 2001));
}

TEST_CASE("rows of several tiles, and a loss of many rows, run without a race") {
    in_every_order([] {
        const Variable<float, Cuda> x(Tensor<float, Cuda>::ones({2, 9000}), true);
        softmax(x).backward(Tensor<float, Cuda>::ones({2, 9000}));
        CHECK(x.grad().defined());
        const Variable<float, Cuda> z(Tensor<float, Cuda>::ones({5000, 3}), true);
        cross_entropy(z, Tensor<std::int64_t, Cuda>::zeros({5000})).backward();
        CHECK(z.grad().defined());
    });
}
