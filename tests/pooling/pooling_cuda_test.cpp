// What the small samples of the table of operations do not reach in max_pool2d_cuda.cuh, avg_pool2d_cuda.cuh,
// global_avg_pool2d_cuda.cuh and pixel_packs_cuda.cuh: several blocks, whole and incomplete packs of channels, memory
// that is not aligned to a pack, ties and NaN.
#include "gradus/pooling/avg_pool2d_cuda.cuh"
#include "gradus/pooling/global_avg_pool2d_cuda.cuh"
#include "gradus/pooling/max_pool2d_cuda.cuh"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "gradus/core/print.hpp"

using namespace gradus;

namespace {

// Few whole numbers: many ties, and sums that have the same bits in any order.
template <class T>
std::vector<T> small_numbers(Index count, double share_of_nan) {
    Generator generator{3, 0, 0};
    std::vector<T> values(static_cast<std::size_t>(count));
    for (T& value : values) {
        const bool is_nan = generator.uniform() < share_of_nan;
        value = static_cast<T>(is_nan ? std::numeric_limits<float>::quiet_NaN()
                                      : static_cast<float>(generator.below(9)) - 4.0f);
    }
    return values;
}
template <class T, class D>
Tensor<T, D> images(const Shape& shape, Index skipped, double share_of_nan = 0) {
    const Index count = shape.numel();
    const std::vector<T> values = small_numbers<T>(count + skipped, share_of_nan);
    return Tensor<T, D>::from({count + skipped}, values).slice(skipped, count + skipped).reshape(shape);
}
template <class Tensor>
bool have_same_numbers(const Tensor& x, const auto& y) {
    const auto a = x.to_vector(), b = y.to_vector();
    for (std::size_t i = 0; i < a.size(); ++i) {
        const double u = static_cast<double>(a[i]), v = static_cast<double>(b[i]);
        if (u != v && !(std::isnan(u) && std::isnan(v))) return false;
    }
    return a.size() == b.size();
}

// The operation on Cuda and on Reference: its result, and its gradient after two passes, of which the second adds.
template <class T, class Operation>
void check_pooling(const Operation& operation, double share_of_nan = 0) {
    for (const Shape& shape : {Shape{3, 17, 19, 24}, Shape{2, 9, 8, 5}, Shape{1, 8, 8, 70}})
        for (const Index skipped : {0, 1}) {
            CAPTURE(shape);
            CAPTURE(skipped);
            Variable<T, Cuda> x(images<T, Cuda>(shape, skipped, share_of_nan), true);
            Variable<T, Reference> x_reference(images<T, Reference>(shape, skipped, share_of_nan), true);
            for (int pass = 0; pass < 2; ++pass) {
                const auto y = operation(x);
                const auto y_reference = operation(x_reference);
                CHECK(have_same_numbers(y.value(), y_reference.value()));
                y.backward(images<T, Cuda>(y.shape(), skipped));
                y_reference.backward(images<T, Reference>(y.shape(), skipped));
            }
            CHECK(have_same_numbers(x.grad(), x_reference.grad()));
        }
}

}  // namespace

TEST_CASE_TEMPLATE("max_pool2d on Cuda is that of Reference", T, float, double, Half, BFloat16) {
    for (const double share_of_nan : {0.0, 0.1}) {
        check_pooling<T>([](const auto& x) { return max_pool2d(x); }, share_of_nan);
        check_pooling<T>([](const auto& x) { return max_pool2d(x, {.kernel = 3, .stride = 2, .padding = 1}); },
                         share_of_nan);
    }
    check_pooling<T>([](const auto& x) { return max_pool2d(x, {.kernel = 2, .stride = 3, .ceil_mode = true}); });
}

TEST_CASE("a window of nothing but -infinity") {
    const float infinity = std::numeric_limits<float>::infinity();
    Variable<float, Cuda> x(Tensor<float, Cuda>::full({1, 2, 2, 4}, -infinity), true);
    const Variable<float, Cuda> y = max_pool2d(x);
    CHECK(y.value().to_vector() == std::vector<float>(4, -infinity));
    y.backward(Tensor<float, Cuda>::ones({1, 1, 1, 4}));
    const std::vector<float> dx = x.grad().to_vector();
    for (std::size_t i = 0; i < 16; ++i) CHECK(dx[i] == (i < 4 ? 1.0f : 0.0f));  // the first pixel
}

// Windows of 4 x 4 and 2 x 2 pixels: a mean is exact.
TEST_CASE_TEMPLATE("avg_pool2d on Cuda is that of Reference", T, float, double, Half, BFloat16) {
    check_pooling<T>([](const auto& x) { return avg_pool2d(x); });
    check_pooling<T>([](const auto& x) { return avg_pool2d(x, {.kernel = 4, .stride = 2, .padding = 2}); });
    check_pooling<T>([](const auto& x) { return avg_pool2d(x, {.kernel = 2, .stride = 3}); });
}

TEST_CASE_TEMPLATE("global_avg_pool2d on Cuda is that of Reference", T, float, double, Half, BFloat16) {
    for (const Shape& shape : {Shape{5, 8, 8, 24}, Shape{300, 2, 2, 3}, Shape{2, 16, 16, 67}, Shape{1, 64, 128, 8}})
        for (const Index skipped : {0, 1}) {
            CAPTURE(shape);
            Variable<T, Cuda> x(images<T, Cuda>(shape, skipped), true);
            Variable<T, Reference> x_reference(images<T, Reference>(shape, skipped), true);
            for (int pass = 0; pass < 2; ++pass) {
                const auto y = global_avg_pool2d(x);
                const auto y_reference = global_avg_pool2d(x_reference);
                CHECK(have_same_numbers(y.value(), y_reference.value()));
                y.backward(images<T, Cuda>(y.shape(), skipped));
                y_reference.backward(images<T, Reference>(y.shape(), skipped));
            }
            CHECK(have_same_numbers(x.grad(), x_reference.grad()));
        }
}
