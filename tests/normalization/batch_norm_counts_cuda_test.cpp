// What the kernels of batch norm move, counted by the emulator and checked for races: bytes beside those that must be
// moved, and no conflicts of banks. Compiled and linked as race_checker_test.cpp.
#include "gradus/normalization/batch_norm_cuda.cuh"

#include "machine/emulator/emulator_checks.hpp"
#include "machine/emulator/kernel_counts.hpp"

using namespace gradus;

namespace {

struct Bytes {
    const char* kernel;
    double matrices;  // that it must move
};

// A training step with a ReLU, with or without a shortcut. Every kernel moves at most `most` times the ideal number of
// bytes.
template <class T>
void check_kernels(Index M, Index C, bool has_shortcut, double most) {
    Generator generator{4, 0, 0};
    const Tensor<T, Cuda> values = Tensor<float>::randn({M, C}, generator).as<T>().template to<Cuda>();
    const Variable<T, Cuda> x(values, true), shortcut = has_shortcut ? Variable<T, Cuda>(values, true) : x.detach();
    const Variable<Sum<T>, Cuda> gamma(Tensor<Sum<T>, Cuda>::ones({C}), true),
        beta(Tensor<Sum<T>, Cuda>::zeros({C}), true);
    Tensor<Sum<T>, Cuda> mean = Tensor<Sum<T>, Cuda>::zeros({C}), var = mean.clone();
    const std::vector<emulator::KernelCounts> all = counts_of([&] {
        batch_norm(x, gamma, beta, mean, var, {.relu = true}, has_shortcut ? shortcut : Variable<T, Cuda>())
            .backward(values);
    });
    const double added = has_shortcut ? 1 : 0;
    for (const Bytes& expected :
         {Bytes{"channel_moments_kernel", 1}, Bytes{"batch_norm_forward_kernel", 2 + added},
          Bytes{"batch_norm_sums_kernel", 2 + added}, Bytes{"batch_norm_backward_kernel", 3 + 2 * added}}) {
        int found = 0;
        for (const emulator::KernelCounts& counts : all) {
            if (!counts.kernel.starts_with(std::string("gradus::") + expected.kernel)) continue;
            ++found;
            const double ideal = expected.matrices * static_cast<double>(values.bytes());
            INFO(std::string(element_name<T>()) << " " << M << " x " << C << ", " << counts.kernel << ": "
                                                << counts.bytes() << " bytes for " << ideal);
            CHECK(static_cast<double>(counts.bytes()) <= most * ideal);
            CHECK(static_cast<double>(counts.bytes()) >= ideal);
            CHECK(counts.passes_per_request() == 1.0);
        }
        CHECK(found == 1);
    }
}

}  // namespace

TEST_CASE("batch norm moves little more than it must") {
    check_kernels<float>(16 * 1024, 16, true, 1.25);
    check_kernels<Half>(16 * 1024, 32, false, 1.25);
    check_kernels<Half>(8 * 1024, 256, true, 1.25);
    check_kernels<double>(288, 64, true, 1.25);  // as small as that, since double has 8 rows a lane in any case
    // Not in packs: 32 floats that begin anywhere lie in 5 sectors, not in 4; and the first row is read by all lanes.
    check_kernels<float>(40 * 1024, 3, true, 1.25 + 0.1);
}

TEST_CASE("batch norm runs without a race in every order of threads") {
    in_every_order([] {
        for (const bool has_shortcut : {false, true}) {  // so small that a block's numbers count: twice the ideal
            check_kernels<float>(1000, 16, has_shortcut, 2);
            check_kernels<Half>(300, 40, has_shortcut, 2);
            check_kernels<float>(700, 5, has_shortcut, 2);
        }
    });
}
