// What im2col and col2im ask of memory, counted, and that they have no races. Compiled and linked as
// race_checker_test.cpp.
#include "gradus/convolution/conv2d_im2col_cuda.cuh"
#include "gradus/core/tensor.hpp"
#include "gradus/machine/emulator/race_checker.hpp"
#include "machine/emulator/emulator_checks.hpp"

using namespace gradus;

namespace {

// All three of a convolution of 3x3 with a border of 1; y has 4 channels for each group.
template <class T>
void run_all(Index N, Index H, Index C, const Conv2dOptions& options, Write mode) {
    const Index P = conv_extent(H, 3, options.stride, options.padding, options.dilation), O = 4 * options.groups;
    const auto x = Tensor<T, Cuda>::zeros({N, H, H, C}), dy = Tensor<T, Cuda>::zeros({N, P, P, O});
    const auto weight = Tensor<Sum<T>, Cuda>::zeros({O, 3, 3, C / options.groups});
    const auto bias = Tensor<Sum<T>, Cuda>::zeros({O});
    Tensor<T, Cuda> y({N, P, P, O}), dx = Tensor<T, Cuda>::zeros({N, H, H, C});
    Tensor<Sum<T>, Cuda> dweight = Tensor<Sum<T>, Cuda>::zeros(weight.shape());
    conv2d_im2col_forward<T>(Cuda{}, x.template read<4>(), weight.template read<4>(), bias.template read<1>(), options,
                             y.template write<4>());
    conv2d_im2col_backward_data<T>(Cuda{}, dy.template read<4>(), weight.template read<4>(), options,
                                   dx.template write<4>(), mode);
    conv2d_im2col_backward_weights<T>(Cuda{}, x.template read<4>(), dy.template read<4>(), options,
                                      dweight.template write<4>(), mode);
}

emulator::KernelCounts counts_of(const std::string& kernel) {
    synchronize();
    for (const emulator::KernelCounts& counts : emulator::take_kernel_counts())
        if (counts.kernel.find(kernel) == 0) return counts;
    FAIL(kernel << " has not run");
    return {};
}

}  // namespace

TEST_CASE("im2col on Cuda has no races, and stays within its matrices") {
    in_every_order([] {
        for (const Conv2dOptions& options :
             {Conv2dOptions{1, 1, 1, 1}, Conv2dOptions{2, 1, 1, 2}, Conv2dOptions{1, 2, 2, 4}}) {
            CHECK(message_of([&] { run_all<float>(2, 5, 12, options, Write::add); }) == "");
            CHECK(message_of([&] { run_all<Half>(2, 5, 12, options, Write::add); }) == "");
            CHECK(message_of([&] { run_all<double>(1, 5, 8, options, Write::overwrite); }) == "");
        }
    });
}

TEST_CASE("im2col and col2im on Cuda: whole sectors") {
    emulator::take_kernel_counts();
    run_all<float>(2, 8, 16, {.padding = 1}, Write::overwrite);
    const std::uint64_t cols = 2 * 8 * 8 * 9 * 16;
    const emulator::KernelCounts im2col = counts_of("gradus::im2col_kernel<float, 4>");
    CHECK(im2col.launches == 2);  // forward and dweight
    CHECK(im2col.store_sectors == 2 * cols / 8);
    CHECK(im2col.sectors_per_least() == 1.0);

    run_all<float>(2, 8, 16, {.padding = 1}, Write::overwrite);
    const emulator::KernelCounts col2im = counts_of("gradus::col2im_kernel<float, 4>");
    CHECK(col2im.store_sectors == 2 * 8 * 8 * 16 / 8);
    CHECK(col2im.sectors_per_least() == 1.0);
}
