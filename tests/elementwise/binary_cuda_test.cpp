// What the small samples of the table of operations do not reach in binary_cuda.cuh, dropout_cuda.cuh and
// broadcast_map.hpp: several blocks, operands in packs and element by element, memory that is not aligned to a pack.
#include "gradus/elementwise/binary_cuda.cuh"
#include "gradus/elementwise/dropout_cuda.cuh"

#include <doctest/doctest.h>

#include <vector>

#include "gradus/core/print.hpp"

using namespace gradus;

namespace {

// Whole numbers from 1 to 4, from an element on that is not aligned where `skipped` is 1.
template <class T, class D>
Tensor<T, D> small_numbers(const Shape& shape, Index skipped) {
    Generator generator{3, 0, 0};
    const Index count = shape.numel() + skipped;
    std::vector<T> values(static_cast<std::size_t>(count));
    for (T& value : values) value = static_cast<T>(static_cast<float>(generator.below(4)) + 1.0f);
    return Tensor<T, D>::from({count}, values).slice(skipped, count).reshape(shape);
}
template <class Tensor>
std::vector<double> numbers_of(const Tensor& x) {
    const auto values = x.to_vector();
    return std::vector<double>(values.begin(), values.end());
}

// z and both gradients; sums of small whole numbers have the same bits in any order.
template <class T, class D>
std::vector<std::vector<double>> product(const Shape& x_shape, const Shape& y_shape, Index skipped) {
    Variable<T, D> x(small_numbers<T, D>(x_shape, skipped), true), y(small_numbers<T, D>(y_shape, skipped), true);
    const Variable<T, D> z = mul(x, y);
    for (int pass = 0; pass < 2; ++pass) mul(x, y).backward(small_numbers<T, D>(z.shape(), skipped));
    return {numbers_of(z.value()), numbers_of(x.grad()), numbers_of(y.grad())};
}

}  // namespace

TEST_CASE_TEMPLATE("products of broadcast operands on Cuda are those of Reference", T, float, double, Half) {
    const std::vector<std::pair<Shape, Shape>> pairs = {{{4, 7, 9, 32}, {32}},           // a bias, in packs
                                                        {{4, 7, 9, 32}, {4, 1, 1, 32}},  // a gate
                                                        {{4, 7, 9, 5}, {4, 1, 1, 5}},    // whose channels are no packs
                                                        {{40, 64}, {40, 1}},             // one number for a row
                                                        {{40, 33}, {40, 1}},
                                                        {{64, 1}, {1, 48}},
                                                        {{3000}, {3000}},
                                                        {{3000}, {}}};
    for (const auto& [x_shape, y_shape] : pairs)
        for (const Index skipped : {0, 1}) {
            const Shape x = x_shape, y = y_shape;
            CAPTURE(x);
            CAPTURE(y);
            CAPTURE(skipped);
            const bool same = product<T, Cuda>(x, y, skipped) == product<T, Reference>(x, y, skipped);
            CHECK(same);
        }
}

TEST_CASE_TEMPLATE("the mask of dropout on Cuda is that of Reference", T, float, double, Half, BFloat16) {
    for (const std::uint64_t position : {0u, 6u, 7u}) {
        Generator generator{9, 2, position}, reference_generator = generator;
        Variable<T, Cuda> x(Tensor<T, Cuda>::ones({5003}), true);
        const Variable<T, Reference> x_reference(Tensor<T, Reference>::ones({5003}));
        const Variable<T, Cuda> y = dropout(x, 0.3, true, generator);
        const auto expected = numbers_of(dropout(x_reference, 0.3, true, reference_generator).value());
        CHECK(generator.position == reference_generator.position);
        CHECK(numbers_of(y.value()) == expected);
        y.backward(Tensor<T, Cuda>::ones({5003}));
        CHECK(numbers_of(x.grad()) == expected);
    }
}
