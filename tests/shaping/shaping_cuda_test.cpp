// What the small samples of the table of operations do not reach in rows_cuda.cuh and permute_cuda.cuh, and in their
// maps (stride_map.hpp): several blocks, whole and incomplete tiles, packs, and memory that is not aligned to a pack.
#include "gradus/shaping/permute_cuda.cuh"
#include "gradus/shaping/rows_cuda.cuh"

#include <doctest/doctest.h>

#include <vector>

#include "gradus/core/print.hpp"
#include "gradus/shaping/concat.hpp"
#include "gradus/shaping/pad.hpp"
#include "gradus/shaping/slice.hpp"

using namespace gradus;

namespace {

// Different numbers, exact in 16 bits as far as these count: every element is the remainder of its index by 251.
template <class T>
std::vector<T> counted(Index count) {
    std::vector<T> values;
    for (Index i = 0; i < count; ++i) values.push_back(static_cast<T>(static_cast<float>(i % 251)));
    return values;
}
template <class Tensor>
std::vector<double> numbers_of(const Tensor& x) {
    const auto values = x.to_vector();
    return std::vector<double>(values.begin(), values.end());
}
// A tensor that begins `skipped` elements after an address that is aligned.
template <class T, class D>
Tensor<T, D> counted_tensor(const Shape& shape, Index skipped) {
    const Index count = shape.numel();
    return Tensor<T, D>::from({count + skipped}, counted<T>(count + skipped))
        .slice(skipped, count + skipped)
        .reshape(shape);
}

// The operation on Cuda and on Reference: its result, and its gradient after two passes, of which the second adds.
template <class T, class Operation>
void check_copy(const Shape& shape, const Operation& operation) {
    CAPTURE(shape);
    for (const Index skipped : {0, 1}) {
        CAPTURE(skipped);
        Variable<T, Cuda> x(counted_tensor<T, Cuda>(shape, skipped), true);
        Variable<T, Reference> x_reference(counted_tensor<T, Reference>(shape, skipped), true);
        const auto y = operation(x);
        const auto y_reference = operation(x_reference);
        const bool same = numbers_of(y.value()) == numbers_of(y_reference.value());
        CHECK(same);
        for (int pass = 0; pass < 2; ++pass) {
            operation(x).backward(counted_tensor<T, Cuda>(y.shape(), skipped));
            operation(x_reference).backward(counted_tensor<T, Reference>(y.shape(), skipped));
        }
        const bool same_gradients = numbers_of(x.grad()) == numbers_of(x_reference.grad());
        CHECK(same_gradients);
    }
}

}  // namespace

TEST_CASE_TEMPLATE("permutations on Cuda are those of Reference", T, float, double, Half, BFloat16) {
    const auto permuted = [](const std::vector<int>& order) {
        return [order](const auto& x) { return permute(x, order); };
    };
    check_copy<T>({64, 96}, permuted({1, 0}));
    check_copy<T>({33, 70}, permuted({1, 0}));
    check_copy<T>({1000, 3}, permuted({1, 0}));
    check_copy<T>({3, 1000}, permuted({1, 0}));
    check_copy<T>({2, 9, 11, 40}, permuted({0, 3, 1, 2}));  // NHWC to NCHW
    check_copy<T>({2, 40, 9, 11}, permuted({0, 2, 3, 1}));  // and back
    check_copy<T>({8, 9, 10, 11}, permuted({3, 1, 0, 2}));  // two dimensions of the batch, apart in x and in y
    check_copy<T>({3, 8, 5, 9, 4}, permuted({2, 3, 0, 4, 1}));
    check_copy<T>({7, 5, 16}, permuted({1, 0, 2}));  // packs stay together
    check_copy<T>({7, 5, 6}, permuted({1, 0, 2}));
    check_copy<T>({1, 1}, permuted({1, 0}));
}

TEST_CASE_TEMPLATE("selections of rows on Cuda are those of Reference", T, float, double, Half, BFloat16) {
    const std::vector<Shape> shapes = {{5, 20, 32}, {3, 20, 7}, {300, 20, 8}};
    for (const Shape& shape : shapes) {
        check_copy<T>(shape, [](const auto& x) { return slice(x, 1, {.start = 4, .stop = 16}); });
        check_copy<T>(shape, [](const auto& x) { return slice(x, 1, {.start = 1, .step = 3}); });
        check_copy<T>(shape, [](const auto& x) { return slice(x, 2, {.step = 2}); });
        check_copy<T>(shape, [](const auto& x) { return slice(x, 1, {.start = 3, .stop = 3}); });
        check_copy<T>(shape, [](const auto& x) { return pad(x, 2, {.before = 8, .after = 8}); });
        check_copy<T>(shape, [](const auto& x) { return pad(x, 1, {.before = 1, .after = 2}); });
        check_copy<T>(shape, []<class D>(const Variable<T, D>& x) { return concat<T, D>({x, x}, 2); });
        check_copy<T>(shape, []<class D>(const Variable<T, D>& x) { return concat<T, D>({x, x, x}, 0); });
    }
}
