// Which rung serves which shape, and choosing one by hand.
#include "gradus/convolution/conv2d_cuda.cuh"

#include "convolution/conv2d_cuda_checks.hpp"

using namespace gradus;

namespace {

struct ChosenConvolution {
    template <class... Arguments>
    static void forward(const Arguments&... arguments) {
        conv2d_forward(Cuda{}, arguments...);
    }
    template <class... Arguments>
    static void backward_data(const Arguments&... arguments) {
        conv2d_backward_data(Cuda{}, arguments...);
    }
    template <class... Arguments>
    static void backward_weights(const Arguments&... arguments) {
        conv2d_backward_weights(Cuda{}, arguments...);
    }
};

template <class T>
Conv2dRung choice(const Extents4& x, const Extents4& weight, const Conv2dOptions& options = {}) {
    return conv2d_rung<T>(x, weight, result_extents({"", x, weight, options}), options);
}

}  // namespace

TEST_CASE("the table of rungs") {
    const Extents4 x{32, 14, 14, 64}, square{64, 3, 3, 64};
    CHECK(choice<float>(x, {64, 3, 3, 1}, {.padding = 1, .groups = 64}) == Conv2dRung::depthwise);
    CHECK(choice<Half>(x, {64, 3, 3, 1}, {.padding = 1, .groups = 64}) == Conv2dRung::depthwise);
    CHECK(choice<float>(x, {128, 1, 1, 64}) == Conv2dRung::im2col);
    CHECK(choice<Half>(x, {128, 1, 1, 64}) == Conv2dRung::im2col);
    CHECK(choice<Half>(x, square, {.padding = 1}) == Conv2dRung::implicit_gemm);
    CHECK(choice<BFloat16>(x, {128, 1, 1, 64}, {.stride = 2}) ==
          (has_tensor_cores<BFloat16>() ? Conv2dRung::implicit_gemm : Conv2dRung::im2col));
    CHECK(choice<float>(x, square, {.padding = 1}) == Conv2dRung::im2col);
    CHECK(choice<double>(x, square, {.padding = 1}) == Conv2dRung::im2col);
    CHECK(choice<float>({32, 32, 32, 3}, {64, 3, 3, 3}, {.padding = 1}) == Conv2dRung::tiled);
    CHECK(choice<Half>({32, 32, 32, 3}, {64, 3, 3, 3}, {.padding = 1}) == Conv2dRung::tiled);
    CHECK(choice<float>(x, {64, 3, 3, 4}, {.padding = 1, .groups = 16}) == Conv2dRung::tiled);
    CHECK(choice<float>({1, 40, 40, 1}, {64, 13, 13, 1}) == Conv2dRung::direct);
    // 16 * 9 numbers under each of 2^24 windows are more than im2col can count.
    CHECK(choice<float>({1, 4096, 4096, 16}, {16, 3, 3, 16}, {.padding = 1}) == Conv2dRung::tiled);
    // More blocks of channels than a grid has along y.
    CHECK(choice<float>({1, 16, 16, 1 << 20}, {1 << 20, 11, 11, 1}, {.padding = 5, .groups = 1 << 20}) ==
          Conv2dRung::direct);
}

TEST_CASE("a rung by hand, for a scope") {
    const ConvCase c{"scope", {1, 5, 6, 8}, {8, 3, 3, 8}, {.padding = 1}};
    const operations::Numbers numbers = draw_convolution(c);
    const operations::Results wanted = run_convolution<ReferenceConvolution, float, Reference>(c, numbers, 1);
    for (const Conv2dRung rung : {Conv2dRung::direct, Conv2dRung::tiled, Conv2dRung::im2col}) {
        const Conv2dRungScope scope(rung);
        CHECK(choice<float>(c.x, c.weight, c.options) == rung);
        const operations::Results got = run_convolution<ChosenConvolution, float, Cuda>(c, numbers, 1);
        for (std::size_t r = 0; r < 3; ++r)
            for (std::size_t i = 0; i < wanted[r].size(); ++i)
                CHECK(got[r][i] == doctest::Approx(wanted[r][i]).epsilon(1e-4));
        {
            const Conv2dRungScope inner(Conv2dRung::automatic);
            CHECK(choice<float>(c.x, c.weight, c.options) == Conv2dRung::tiled);
        }
        CHECK(current_conv2d_rung() == rung);
    }
    CHECK(current_conv2d_rung() == Conv2dRung::automatic);
}

TEST_CASE("a rung that cannot") {
    const auto message = [](Conv2dRung rung) {
        const ConvCase c{"", {1, 5, 6, 8}, {8, 3, 3, 8}};
        return message_of([&] {
            const Conv2dRungScope scope(rung);
            run_convolution<ChosenConvolution, float, Cuda>(c, draw_convolution(c), 0);
        });
    };
    CHECK(contains(message(Conv2dRung::depthwise), "the rung 'depthwise' needs groups = channels = outputs"));
    CHECK(contains(message(Conv2dRung::implicit_gemm), "the rung 'implicit_gemm' needs tensor cores for float"));
    CHECK(message(Conv2dRung::tiled) == "");
}

TEST_CASE("a rung that cannot count so far says what it was asked for") {
    const auto correlation = [](const Extents4& x, const Extents4& weight, const Conv2dOptions& options) {
        return forward_correlation_cuda(x, weight, result_extents({"", x, weight, options}), options);
    };
    const float* const none = nullptr;
    CHECK(message_of([&] {
              conv2d_tiled_correlate(correlation({1, 8, 8, 1 << 16}, {1 << 16, 1, 1, 1}, {.groups = 1 << 16}), none,
                                     none, none, static_cast<float*>(nullptr), Write::overwrite);
          }) ==
          "conv2d: the rung 'tiled' counts up to 2^31 tiles of 8 x 8 outputs and 65535 blocks of channels, here 1 "
          "and 65536; the rung 'direct' takes any number");
    CHECK(message_of([&] {
              check_implicit_gemm<Half>(correlation({1 << 10, 1 << 10, 1 << 10, 8}, {8, 1, 1, 8}, {}));
          }) ==
          "conv2d: the rung 'implicit_gemm' counts less than 2^30 pixels, 2^30 taps and channels, and 65536 blocks "
          "of outputs, here 1073741824, 8 and 1");
}

TEST_CASE("the gradient of a bias is a column sum") {
    in_every_order([] {
        const Index M = 300, O = 37;
        std::vector<float> dy(static_cast<std::size_t>(M * O));
        for (std::size_t i = 0; i < dy.size(); ++i) dy[i] = static_cast<float>(i % 23) - 11;
        std::vector<float> wanted(static_cast<std::size_t>(O), 1.0f);
        for (std::size_t i = 0; i < dy.size(); ++i) wanted[i % static_cast<std::size_t>(O)] += dy[i];
        const Tensor<float, Cuda> slopes = Tensor<float, Cuda>::from({M, O}, dy);
        Tensor<float, Cuda> dbias = Tensor<float, Cuda>::ones({O});
        conv2d_backward_bias(Cuda{}, slopes.read<2>(), dbias.write<1>(), Write::add);
        CHECK(dbias.to_vector() == wanted);  // integers: exact in any order
    });
}
