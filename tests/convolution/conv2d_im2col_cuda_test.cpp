// conv2d_im2col_cuda.cuh against the specification in double, at shapes that reach each of its ways: groups, strides,
// dilation, packs and single channels, 1x1, several pieces.
#include "gradus/convolution/conv2d_im2col_cuda.cuh"

#include "machine/emulator/emulator_checks.hpp"
#include "operations/walk.hpp"

using namespace gradus;
using operations::Results;

namespace {

struct Case {
    Index N, H, W, C, O, KH, KW;
    Conv2dOptions options;
    bool has_bias = true;

    Shape x() const { return {N, H, W, C}; }
    Shape weight() const { return {O, KH, KW, C / options.groups}; }
    Shape y() const {
        const auto [s, p, d, G] = options;
        return {N, conv_extent(H, KH, s, p, d), conv_extent(W, KW, s, p, d), O};
    }
    std::string name() const {
        return text(x(), " with ", weight(), ", stride ", options.stride, ", padding ", options.padding, ", dilation ",
                    options.dilation, ", groups ", options.groups);
    }
};

std::vector<double> numbers(const Shape& shape, std::uint32_t seed) {
    Generator generator{seed, 0, 0};
    std::vector<double> values(static_cast<std::size_t>(shape.numel()));
    for (double& value : values) value = generator.uniform(-1, 1);
    return values;
}
std::vector<double> magnitudes(std::vector<double> values) {
    for (double& value : values) value = std::abs(value);
    return values;
}

struct Numbers {
    std::vector<double> x, weight, bias, dy, old_dx, old_dweight;
};

// y, dx and dweight, from what `convolution` does with views of a device.
template <class T, class D, class Forward, class BackwardData, class BackwardWeights>
Results run(const Case& c, const Numbers& in, Write mode, const Forward& forward, const BackwardData& backward_data,
            const BackwardWeights& backward_weights) {
    using operations::numbers_of;
    using operations::tensor_of;
    const auto x = tensor_of<T, D>(c.x(), in.x), dy = tensor_of<T, D>(c.y(), in.dy);
    const auto weight = tensor_of<Sum<T>, D>(c.weight(), in.weight), bias = tensor_of<Sum<T>, D>({c.O}, in.bias);
    auto dx = tensor_of<T, D>(c.x(), in.old_dx);
    auto dweight = tensor_of<Sum<T>, D>(c.weight(), in.old_dweight);
    Tensor<T, D> y(c.y());
    const Vector<const Sum<T>> bias_view = c.has_bias ? bias.template read<1>() : Vector<const Sum<T>>(nullptr, {0});
    forward(x.template read<4>(), weight.template read<4>(), bias_view, c.options, y.template write<4>());
    backward_data(dy.template read<4>(), weight.template read<4>(), c.options, dx.template write<4>(), mode);
    backward_weights(x.template read<4>(), dy.template read<4>(), c.options, dweight.template write<4>(), mode);
    return {numbers_of(y), numbers_of(dx), numbers_of(dweight)};
}
template <class T>
Results run_cuda(const Case& c, const Numbers& in, Write mode) {
    return run<T, Cuda>(
        c, in, mode, [](const auto&... args) { conv2d_im2col_forward<T>(Cuda{}, args...); },
        [](const auto&... args) { conv2d_im2col_backward_data<T>(Cuda{}, args...); },
        [](const auto&... args) { conv2d_im2col_backward_weights<T>(Cuda{}, args...); });
}
Results run_exact(const Case& c, const Numbers& in, Write mode) {
    return run<double, Reference>(
        c, in, mode, [](const auto&... args) { conv2d_forward<double>(Reference{}, args...); },
        [](const auto&... args) { conv2d_backward_data<double>(Reference{}, args...); },
        [](const auto&... args) { conv2d_backward_weights<double>(Reference{}, args...); });
}

template <class T>
Numbers draw(const Case& c) {
    using operations::rounded;
    return {rounded<T>(numbers(c.x(), 1)),      rounded<Sum<T>>(numbers(c.weight(), 2)),
            rounded<Sum<T>>(numbers({c.O}, 3)), rounded<T>(numbers(c.y(), 4)),
            rounded<T>(numbers(c.x(), 5)),      rounded<Sum<T>>(numbers(c.weight(), 6))};
}

// An element passes through at most three roundings to T (weight, bias or old value, result), and a sum of so many
// products through one rounding each, in Sum<T>.
template <class T>
void check(const Case& c, Write mode) {
    const Numbers in = draw<T>(c);
    const Numbers absolute = {magnitudes(in.x),  magnitudes(in.weight), magnitudes(in.bias),
                              magnitudes(in.dy), magnitudes(in.old_dx), magnitudes(in.old_dweight)};
    const Index P = c.y()[1], Q = c.y()[2], G = c.options.groups;
    const Index longest = std::max({c.N * P * Q, c.KH * c.KW * c.C / G, c.KH * c.KW * c.O / G});
    const double tolerance =
        1.5 * operations::epsilon<T>() + static_cast<double>(longest + 2) * operations::epsilon<Sum<T>>();
    operations::check_close(run_cuda<T>(c, in, mode), run_exact(c, in, mode), run_exact(c, absolute, mode), tolerance,
                            3 * operations::underflow<T>(), c.name() + " in " + element_name<T>());
}

template <class T>
void check_all() {
    const std::vector<Case> cases = {
        {3, 7, 5, 3, 5, 3, 3, {1, 1}},           // nothing divides anything
        {2, 5, 4, 16, 8, 3, 3, {1, 1}},          // packs of every type
        {2, 6, 5, 5, 7, 1, 1, {1, 0}, false},    // 1x1: x is cols
        {2, 4, 3, 12, 9, 1, 1, {1, 0, 1, 3}},    // 1x1 in groups
        {2, 5, 6, 7, 6, 1, 1, {2, 0}},           // 1x1 of stride 2: most of dx is 0
        {2, 5, 4, 6, 5, 1, 1, {1, 2}},           // 1x1 with a border
        {2, 11, 9, 4, 12, 3, 3, {2, 1}, false},  // stride 2
        {1, 13, 12, 3, 4, 5, 4, {3, 2}},         // an even kernel, stride 3
        {1, 9, 8, 5, 6, 3, 3, {1, 2, 2}},        // dilation
        {1, 14, 11, 4, 8, 3, 2, {2, 2, 3}},      // dilation and stride
        {2, 6, 5, 12, 18, 3, 3, {1, 1, 1, 3}},   // groups
        {1, 6, 5, 32, 8, 3, 3, {2, 1, 1, 4}},    // groups in packs
        {1, 7, 6, 5, 5, 3, 3, {1, 1, 1, 5}},     // depthwise
        {1, 1, 1, 1, 1, 1, 1, {1, 0}},           // ones
        {2, 2, 3, 3, 4, 3, 3, {1, 3}},           // a border wider than the kernel
        {1, 3, 3, 2, 3, 1, 1, {5, 0}},           // a stride larger than the image
        {0, 5, 5, 3, 4, 3, 3, {1, 1}},           // an empty batch
    };
    for (const Case& c : cases) check<T>(c, (c.H + c.O) % 2 == 0 ? Write::add : Write::overwrite);
    check<T>(cases[0], Write::add);
    check<T>(cases.back(), Write::add);
}

}  // namespace

TEST_CASE("im2col on Cuda agrees with the specification: float") { check_all<float>(); }
TEST_CASE("im2col on Cuda agrees: double") { check_all<double>(); }
TEST_CASE("im2col on Cuda agrees: Half") { check_all<Half>(); }
TEST_CASE("im2col on Cuda agrees: BFloat16") { check_all<BFloat16>(); }

TEST_CASE("im2col on Cuda: the same bits in every order of threads") {
    const Case c{2, 6, 5, 12, 8, 3, 3, {2, 1, 1, 2}};
    const Numbers in = draw<float>(c);
    const Results first = run_cuda<float>(c, in, Write::add);
    in_every_order([&] { CHECK(run_cuda<float>(c, in, Write::add) == first); });
}

TEST_CASE("im2col on Cuda: memory that is not aligned to 16 bytes is read element by element") {
    const Case c{3, 3, 3, 4, 4, 3, 3, {1, 1}};
    const Numbers in = draw<float>(c);
    const Results want = run_cuda<float>(c, in, Write::overwrite);
    std::vector<double> moved = in.x;
    moved.insert(moved.begin(), 0.0);
    const auto x = operations::tensor_of<float, Cuda>({static_cast<Index>(moved.size())}, moved);
    const auto weight = operations::tensor_of<float, Cuda>(c.weight(), in.weight);
    const auto bias = operations::tensor_of<float, Cuda>({c.O}, in.bias);
    Tensor<float, Cuda> y(c.y());
    const Array4<const float> view(x.read<1>().data() + 1, {c.N, c.H, c.W, c.C});
    conv2d_im2col_forward<float>(Cuda{}, view, weight.read<4>(), bias.read<1>(), c.options, y.write<4>());
    CHECK(operations::numbers_of(y) == want[0]);
}

TEST_CASE("im2col on Cuda: a batch in pieces is the same as its images one by one") {
    // 96 * 96 pixels with 9 * 64 numbers under each window are 5.3 million: three images make a piece of 2^24.
    const Index N = 4, H = 96, C = 64, K = 9 * C;
    const Im2colPlan plan({N, H, H, C}, {1, 3, 3, C}, {N, H, H, 1}, {.padding = 1});
    CHECK(plan.column_numbers() == 3 * H * H * K);
    std::vector<Index> pieces;
    plan.for_each_piece([&](Index first, Index images) { pieces.insert(pieces.end(), {first, images}); });
    CHECK(pieces == std::vector<Index>{0, 3, 3, 1});
    // The addresses of a later piece.
    const DeviceArray<float> array(1);
    const float* const y = array.data();
    const MatrixBatch<const float> outputs = plan.outputs(y, 3, 1);
    CHECK(outputs.data - y == 3 * H * H);
    CHECK(outputs.rows == H * H);
    CHECK_THROWS_WITH_AS(Im2colPlan({1, 1 << 16, 1 << 16, 1}, {1, 3, 3, 1}, {1, 1 << 16, 1 << 16, 1}, {.padding = 1}),
                         "conv2d by im2col: an image with 38654705664 numbers under its windows is too large; x is "
                         "(1, 65536, 65536, 1), weight (1, 3, 3, 1)",
                         Error);
}
