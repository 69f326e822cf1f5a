// The convolutions of conv2d.hpp (options: conv2d_options.hpp) on Cpu against the specification in double: forward and
// all three gradients. conv2d_cpu.hpp sends a shape to one of the twins, and the cases below reach them all:
//     conv2d_direct_cpu.hpp, conv2d_weights_cpu.hpp, conv2d_window_cpu.hpp     strides, dilation, groups, few channels
//     conv2d_winograd_cpu.hpp, conv2d_winograd_weights_cpu.hpp                 3x3 of stride 1
//     conv2d_winograd_wide_cpu.hpp                                             the same, large weights
//     conv2d_groups_cpu.hpp                                                    groups of a few channels
//     depthwise_cpu.hpp, depthwise_cells_cpu.hpp, depthwise_weights_cpu.hpp    groups = channels
//     conv2d_im2col_cpu.hpp                                                    double
// Tolerance: c * eps * (largest sum |a||b|). A sum of k products in float is off by at most k * eps/2 * sum |a||b|,
// and by about sqrt(k) * eps/2 of it where roundings are independent; c = 8 serves the direct kernels. Winograd's
// transforms add their own roundings, see conv2d_winograd_cpu.hpp.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "gradus/convolution/conv2d.hpp"
#include "worst_difference.hpp"

using namespace gradus;

namespace {

struct Case {
    Index N, H, W, C, O, KH, KW;
    Conv2dOptions options;
    Index P() const { return conv_extent(H, KH, options.stride, options.padding, options.dilation); }
    Index Q() const { return conv_extent(W, KW, options.stride, options.padding, options.dilation); }
};

std::vector<double> numbers(Index count, unsigned seed) {
    std::vector<double> values(static_cast<std::size_t>(count));
    unsigned state = seed * 2654435761u + 1;
    for (double& value : values) {
        state = state * 1664525u + 1013904223u;
        value = static_cast<float>(static_cast<double>(state >> 8) / (1 << 23) - 1);
    }
    return values;
}
std::vector<double> magnitudes(std::vector<double> values) {
    for (double& value : values) value = std::fabs(value);
    return values;
}
// A device's buffer of T with these values, and back.
template <class T>
Tensor<T, Cpu> tensor_of(const std::vector<double>& values, const Shape& shape) {
    Tensor<T, Cpu> tensor(shape);
    T* data = tensor.template write<1>().data();
    for (std::size_t i = 0; i < values.size(); ++i) data[i] = static_cast<T>(values[i]);
    return tensor;
}

template <class T>
std::vector<double> values_of(const Tensor<T, Cpu>& tensor) {
    const T* data = tensor.template read<1>().data();
    std::vector<double> values(static_cast<std::size_t>(tensor.numel()));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(data[i]);
    return values;
}

struct Outcome {
    std::vector<double> y, dx, dweight, dbias;
};

// All four kernels on a device, from the same numbers, rounded to T first.
template <class T, class D>
Outcome run(D device, const Case& c, const std::vector<double>& x_, const std::vector<double>& w_,
            const std::vector<double>& b_, const std::vector<double>& dy_, Write mode) {
    const Conv2dOptions& o = c.options;
    const Shape x_shape{c.N, c.H, c.W, c.C}, w_shape{c.O, c.KH, c.KW, c.C / o.groups}, y_shape{c.N, c.P(), c.Q(), c.O};
    const auto x = tensor_of<T>(x_, x_shape), dy = tensor_of<T>(dy_, y_shape);
    const auto w = tensor_of<Sum<T>>(w_, w_shape), b = tensor_of<Sum<T>>(b_, {c.O});
    const auto filled = [](Index count) { return std::vector<double>(static_cast<std::size_t>(count), 0.5); };
    auto y = tensor_of<T>(filled(y_shape.numel()), y_shape), dx = tensor_of<T>(filled(x_shape.numel()), x_shape);
    auto dw = tensor_of<Sum<T>>(filled(w_shape.numel()), w_shape), db = tensor_of<Sum<T>>(filled(c.O), {c.O});
    using View4 = Array4<const T>;
    using Parameter4 = Array4<const Sum<T>>;
    const View4 xv = x.template read<4>(), dyv = dy.template read<4>();
    const Parameter4 wv = w.template read<4>();
    conv2d_forward(device, xv, wv, b.template read<1>(), o, y.template write<4>());
    conv2d_backward_data(device, dyv, wv, o, dx.template write<4>(), mode);
    conv2d_backward_weights(device, xv, dyv, o, dw.template write<4>(), mode);
    conv2d_backward_bias(device, dy.template read<2>(), db.template write<1>(), mode);
    return {values_of(y), values_of(dx), values_of(dw), values_of(db)};
}

void close(const char* what, const Case& c, const std::vector<double>& got, const std::vector<double>& want,
           const std::vector<double>& scale, double tolerance) {
    double most = 0;
    for (double s : scale) most = std::max(most, s);
    INFO(what << " of N " << c.N << ", image " << c.H << "x" << c.W << ", channels " << c.C << " to " << c.O
              << ", kernel " << c.KH << "x" << c.KW << ", stride " << c.options.stride << ", padding "
              << c.options.padding << ", dilation " << c.options.dilation << ", groups " << c.options.groups);
    CHECK(worst_difference(got, want) <= tolerance * std::max(1.0, most));
}

template <class T>
void compare(const Case& c, double tolerance) {
    const Index G = c.options.groups;
    const auto as_T = [](std::vector<double> v) {
        for (double& value : v) value = static_cast<double>(T(value));
        return v;
    };
    const auto x = as_T(numbers(c.N * c.H * c.W * c.C, 1)), dy = as_T(numbers(c.N * c.P() * c.Q() * c.O, 2));
    const auto w = numbers(c.O * c.KH * c.KW * c.C / G, 3), b = numbers(c.O, 4);
    const Write mode = (c.H + c.O) % 2 == 0 ? Write::add : Write::overwrite;
    const Outcome got = run<T>(Cpu{}, c, x, w, b, dy, mode);
    const Outcome want = run<double>(Reference{}, c, x, w, b, dy, mode);
    const Outcome scale =
        run<double>(Reference{}, c, magnitudes(x), magnitudes(w), magnitudes(b), magnitudes(dy), Write::add);
    close("y", c, got.y, want.y, scale.y, tolerance);
    close("dx", c, got.dx, want.dx, scale.dx, tolerance);
    close("dweight", c, got.dweight, want.dweight, scale.dweight, tolerance);
    close("dbias", c, got.dbias, want.dbias, scale.dbias, tolerance);
}

constexpr double float_eps = std::numeric_limits<float>::epsilon();

const std::vector<Case>& odd_cases() {
    static const std::vector<Case> cases = {
        {3, 7, 5, 3, 5, 3, 3, {1, 1}},             // nothing divides anything
        {2, 9, 7, 24, 40, 3, 3, {2, 1}},           // one and a half vectors
        {1, 6, 10, 5, 33, 1, 1, {1, 0}},           // 1x1
        {2, 9, 8, 7, 18, 1, 1, {2, 0}},            // 1x1 of stride 2: three of four phases of dx are 0
        {2, 8, 9, 6, 17, 1, 1, {1, 2}},            // 1x1 with a border
        {2, 11, 9, 4, 12, 3, 3, {2, 1}},           // stride 2
        {2, 15, 14, 3, 64, 7, 7, {2, 3}},          // the stem of a ResNet
        {1, 13, 12, 3, 4, 5, 4, {3, 2}},           // even kernel, stride 3
        {2, 12, 11, 5, 6, 3, 3, {1, 2, 2}},        // dilation
        {1, 14, 17, 4, 8, 3, 2, {2, 2, 3}},        // dilation and stride
        {2, 9, 9, 12, 18, 3, 3, {1, 1, 1, 3}},     // groups
        {2, 10, 9, 8, 12, 3, 3, {2, 1, 2, 4}},     // groups, stride, dilation
        {2, 6, 6, 6, 12, 1, 1, {1, 0, 1, 2}},      // grouped 1x1
        {2, 9, 9, 24, 48, 3, 3, {1, 1, 1, 12}},    // groups of 2 to 4 channels, four in a vector
        {2, 8, 9, 40, 40, 3, 3, {1, 1, 1, 20}},    // groups of 2 and 2, neighbouring lanes
        {1, 9, 9, 12, 12, 5, 3, {2, 2, 1, 3}},     // of 4 and 4, stride 2
        {2, 6, 17, 24, 24, 3, 3, {1, 2, 2, 3}},    // of 8 and 8, dilation
        {2, 7, 19, 40, 40, 3, 3, {1, 1, 1, 40}},   // depthwise, pixels of 40 channels two at a time
        {2, 7, 7, 24, 24, 3, 3, {1, 1, 1, 24}},    // depthwise
        {2, 9, 11, 19, 19, 3, 3, {2, 1, 1, 19}},   // depthwise, stride 2
        {2, 9, 7, 19, 19, 3, 3, {2, 1, 1, 19}},    // depthwise, stride 2, rows of 7: taps 0 and 4 lie 8 pixels apart
        {1, 9, 9, 5, 5, 5, 5, {1, 2, 1, 5}},       // depthwise 5x5
        {2, 17, 19, 21, 21, 5, 5, {1, 2, 1, 21}},  // depthwise 5x5, rows of more than one block
        {1, 11, 9, 5, 5, 7, 7, {1, 3, 1, 5}},      // depthwise 7x7: five taps of a row side by side, and two
        {1, 9, 12, 5, 5, 5, 5, {2, 2, 1, 5}},      // depthwise 5x5, stride 2
        {1, 14, 13, 5, 5, 5, 5, {1, 4, 2, 5}},     // depthwise 5x5, dilation
        {1, 9, 8, 5, 10, 3, 3, {1, 2, 2, 5}},      // depthwise with a multiplier, dilation
        {1, 1, 1, 1, 1, 1, 1, {1, 0}},             // ones
        {1, 1, 1, 3, 2, 3, 3, {1, 1}},             // an image smaller than the kernel
        {2, 2, 3, 3, 4, 3, 3, {1, 3}},             // a border wider than the kernel: rows of y that see no pixel
        {1, 3, 3, 2, 3, 1, 1, {5, 0}},             // a stride larger than the image
        {0, 5, 5, 3, 4, 3, 3, {1, 1}},             // an empty batch
        {2, 40, 37, 20, 9, 3, 3, {1, 1}},          // several bands of rows
    };
    return cases;
}

const std::vector<Case>& winograd_cases() {
    static const std::vector<Case> cases = {
        {2, 8, 8, 16, 16, 3, 3, {1, 1}},    // whole vectors, whole tiles
        {2, 9, 7, 24, 40, 3, 3, {1, 1}},    // one and a half vectors
        {3, 8, 12, 32, 48, 3, 3, {1, 0}},   // no border
        {2, 14, 6, 48, 33, 3, 3, {1, 2}},   // a wide border
        {5, 7, 7, 64, 64, 3, 3, {1, 1}},    // tiles that stick out, several images in a unit
        {2, 5, 6, 130, 120, 3, 3, {1, 1}},  // a weight gradient without partial sums
        {0, 5, 5, 16, 16, 3, 3, {1, 1}},    // an empty batch
    };
    return cases;
}

}  // namespace

TEST_CASE("conv2d: Winograd's kernels agree with the specification in double") {
    for (const Case& c : winograd_cases()) compare<float>(c, 32 * float_eps);
}

TEST_CASE("conv2d: Winograd's kernel for large weights gives the bits of the one for small weights") {
    for (const Case& c : winograd_cases()) {
        if (c.N == 0) continue;  // conv2d_forward does not get so far
        const Index p = c.options.padding;
        const auto x = tensor_of<float>(numbers(c.N * c.H * c.W * c.C, 1), {c.N, c.H, c.W, c.C});
        const auto w = tensor_of<float>(numbers(c.O * 9 * c.C, 2), {c.O, 3, 3, c.C});
        const auto b = tensor_of<float>(numbers(c.O, 3), {c.O});
        const std::vector<Tap> taps = forward_correlation(3, 3, 1, p, 1, c.P(), c.Q()).front().taps;
        const WeightMatrix matrix = forward_weights(w.read<4>(), 1);
        const std::vector<double> before = numbers(c.N * c.P() * c.Q() * c.O, 4);
        for (bool add : {false, true}) {
            auto narrow = tensor_of<float>(before, {c.N, c.P(), c.Q(), c.O}), wide = narrow.clone();
            winograd_correlate(x.read<4>(), matrix, taps, p, b.read<1>().data(), narrow.write<4>(), add);
            winograd_correlate_wide(x.read<4>(), matrix, taps, p, b.read<1>().data(), wide.write<4>(), add);
            CHECK(values_of(narrow) == values_of(wide));
        }
    }
}

TEST_CASE("conv2d: the float kernels agree with the specification in double") {
    for (const Case& c : odd_cases()) compare<float>(c, 8 * float_eps);
}
TEST_CASE("conv2d: the double kernels agree with the specification") {
    for (const Case& c : odd_cases()) compare<double>(c, 8 * std::numeric_limits<double>::epsilon());
}

TEST_CASE("conv2d: 16-bit kernels agree with the specification, to the rounding of their results") {
    for (const Case& c : odd_cases()) {
        compare<Half>(c, 0x1p-11 + 8 * float_eps);
        compare<BFloat16>(c, 0x1p-8 + 8 * float_eps);
    }
}

TEST_CASE("conv2d: the same bits with any number of threads") {
    const std::vector<Case> cases = {
        {37, 8, 8, 32, 32, 3, 3, {1, 1}},          // Winograd, weights in parts
        {3, 14, 14, 128, 128, 3, 3, {1, 1}},       // Winograd, weights point by point
        {37, 9, 9, 16, 24, 3, 3, {2, 1}},          // direct
        {3, 7, 7, 256, 192, 3, 3, {2, 1}},         // direct, a large weight
        {5, 7, 7, 272, 256, 3, 3, {1, 1}},         // Winograd, a large weight
        {5, 30, 30, 3, 16, 3, 3, {1, 1}},          // few channels
        {9, 14, 14, 24, 24, 3, 3, {1, 1, 1, 24}},  // depthwise
        {9, 14, 14, 32, 32, 3, 3, {1, 1, 1, 8}},   // narrow groups
        {9, 8, 8, 64, 48, 1, 1, {1, 0}},           // a matrix product
    };
    for (const Case& c : cases) {
        const auto x = numbers(c.N * c.H * c.W * c.C, 1), dy = numbers(c.N * c.P() * c.Q() * c.O, 2);
        const auto w = numbers(c.O * c.KH * c.KW * c.C / c.options.groups, 3), b = numbers(c.O, 4);
        set_threads(1);
        const Outcome one = run<float>(Cpu{}, c, x, w, b, dy, Write::add);
        for (int threads : {2, 3, 7}) {
            set_threads(threads);
            const Outcome other = run<float>(Cpu{}, c, x, w, b, dy, Write::add);
            CHECK(one.y == other.y);
            CHECK(one.dx == other.dx);
            CHECK(one.dweight == other.dweight);
            CHECK(one.dbias == other.dbias);
        }
    }
}

namespace {

// 1, 2, 3, ..., of this shape.
template <class T, class D>
Variable<T, D> counting(const Shape& shape) {
    std::vector<T> values;
    for (Index i = 1; i <= shape.numel(); ++i) values.push_back(static_cast<T>(i));
    return Variable<T, D>(Tensor<T, D>::from(shape, values), true);
}

// PyTorch's values. All are integers or halves, so every order of sums gives exactly them.
template <class T, class D>
void check_known_values() {
    using Values = std::vector<T>;
    const Variable<T, D> x = counting<T, D>({1, 5, 5, 1});
    const Variable<T, D> kernel = counting<T, D>({1, 3, 3, 1});
    const auto values = [&](const Conv2dOptions& options) {
        return conv2d(x, kernel, {}, options).value().to_vector();
    };
    CHECK(values({}) == Values{411, 456, 501, 636, 681, 726, 861, 906, 951});
    CHECK(values({.stride = 2}) == Values{411, 501, 861, 951});
    CHECK(values({.dilation = 2}) == Values{777});
    Values first_row = values({.padding = 2, .dilation = 2});
    first_row.resize(5);
    CHECK(first_row == Values{228, 256, 365, 224, 248});

    const Variable<T, D> y = conv2d(x, kernel, {}, {.stride = 2, .padding = 1});
    CHECK(y.value().to_vector() == Values{128, 241, 184, 441, 681, 453, 320, 457, 280});
    y.backward(counting<T, D>({1, 3, 3, 1}).value());
    CHECK(kernel.grad().to_vector() == Values{396, 560, 344, 552, 777, 474, 240, 326, 188});
    CHECK(x.grad().to_vector() ==
          Values{5, 14, 10, 24, 15, 16, 40, 26, 60, 36, 20, 44, 25, 54, 30, 46, 100, 56, 120, 66, 35, 74, 40, 84, 45});
}

// Depthwise, then 1x1: the two channels of the image are 1 to 9 and 10 to 18, their kernels 1 to 9 and -1 to -9.
template <class T, class D>
void check_depthwise_separable() {
    using Values = std::vector<T>;
    Values image, kernels;
    for (int pixel = 1; pixel <= 9; ++pixel)
        for (const int channel : {0, 1}) image.push_back(static_cast<T>(9 * channel + pixel));
    for (const int sign : {1, -1})
        for (int k = 1; k <= 9; ++k) kernels.push_back(static_cast<T>(sign * k));
    const Variable<T, D> x(Tensor<T, D>::from({1, 3, 3, 2}, image));
    const Variable<T, D> depthwise(Tensor<T, D>::from({2, 3, 3, 1}, kernels));
    const Variable<T, D> pointwise(Tensor<T, D>::from({3, 1, 1, 2}, {1, 2, 0, -1, T(.5), T(.5)}));
    const auto channel = [](const Variable<T, D>& y, std::size_t c) {
        Values values;
        const Values all = y.value().to_vector();
        for (std::size_t i = c; i < all.size(); i += all.size() / 9) values.push_back(all[i]);
        return values;
    };
    const Variable<T, D> middle = conv2d(x, depthwise, {}, {.padding = 1, .groups = 2});
    CHECK(channel(middle, 0) == Values{94, 154, 106, 186, 285, 186, 106, 154, 94});
    CHECK(channel(middle, 1) == Values{-346, -505, -322, -483, -690, -429, -250, -343, -202});
    const Variable<T, D> y = conv2d(middle, pointwise);
    CHECK(channel(y, 0) == Values{-598, -856, -538, -780, -1095, -672, -394, -532, -310});
    CHECK(channel(y, 1) == Values{346, 505, 322, 483, 690, 429, 250, 343, 202});
}

// Sobel's kernel is a column times a row, so two thin convolutions make it; on a slope of 1 a column it is 8.
template <class T, class D>
void check_separable() {
    const Variable<T, D> x = counting<T, D>({1, 5, 5, 1});
    const Variable<T, D> column(Tensor<T, D>::from({1, 3, 1, 1}, {1, 2, 1}));
    const Variable<T, D> row(Tensor<T, D>::from({1, 1, 3, 1}, {-1, 0, 1}));
    const Variable<T, D> sobel(Tensor<T, D>::from({1, 3, 3, 1}, {-1, 0, 1, -2, 0, 2, -1, 0, 1}));
    CHECK(conv2d(conv2d(x, column), row).value().to_vector() == std::vector<T>(9, 8));
    CHECK(conv2d(x, sobel).value().to_vector() == std::vector<T>(9, 8));
}

}  // namespace

TEST_CASE_TEMPLATE("conv2d gives PyTorch's values and gradients", D, Reference, Cpu) {
    check_known_values<float, D>();
    check_known_values<double, D>();
}

TEST_CASE_TEMPLATE("conv2d: depthwise separable and spatially separable", D, Reference, Cpu) {
    check_depthwise_separable<float, D>();
    check_depthwise_separable<double, D>();
    check_separable<float, D>();
    check_separable<double, D>();
}
