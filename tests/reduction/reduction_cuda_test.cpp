// What the small samples of the table of operations do not reach in reduction_plan_cuda.cuh, sum_cuda.cuh and
// max_cuda.cuh: many blocks, parts of rows, all ways to share a block, and memory that is not aligned to a pack.
#include "gradus/reduction/max_cuda.cuh"
#include "gradus/reduction/sum_cuda.cuh"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "gradus/core/print.hpp"
#include "machine/emulator/emulator_checks.hpp"

using namespace gradus;

namespace {

const std::vector<Shape> shapes = {{1, 1, 1},   {3, 200, 1},   {700, 10, 1}, {2, 129, 1},  {1, 50003, 1}, {300, 2, 2},
                                   {2, 7, 5},   {3, 9, 70},    {2, 1, 300},  {1, 3, 5000}, {1, 5001, 3},  {2, 3000, 8},
                                   {5, 40, 33}, {1, 1000, 64}, {40, 4, 1},   {1, 513, 16}};

// Whole numbers, so that a sum has the same bits in any order.
template <class T>
std::vector<T> small_numbers(Index count) {
    Generator generator{3, 0, 0};
    std::vector<T> values(static_cast<std::size_t>(count));
    for (T& value : values) value = static_cast<T>(static_cast<float>(generator.below(7)) - 3.0f);
    return values;
}

// Elements 1, 2, ... of a tensor on D with one element before, so that they are not aligned.
template <class T, class D>
Tensor<T, D> unaligned(const Shape& shape, std::vector<T> values) {
    values.insert(values.begin(), T(0.0f));
    const Index count = shape.numel();
    return Tensor<T, D>::from({count + 1}, values).slice(1, count + 1).reshape(shape);
}

}  // namespace

TEST_CASE("a plan: all threads, no empty part, all rows and columns") {
    for (const Shape& shape : shapes)
        for (const int pack : {2, 4, 8}) {
            CAPTURE(shape);
            CAPTURE(pack);
            const ReductionPlan plan(shape[0], shape[1], shape[2], pack);
            CHECK(plan.columns * plan.lanes * plan.groups == reduction_threads);
            CHECK(plan.parts * plan.part_rows >= plan.rows);
            CHECK((plan.parts - 1) * plan.part_rows < plan.rows);
            CHECK(plan.column_blocks * plan.columns * pack >= plan.width);
            CHECK(plan.group_blocks * plan.groups >= plan.A);
            CHECK(plan.results() == shape[0] * shape[2]);
            CHECK(plan.parts <= 512);
        }
    CHECK(ReductionPlan(1, 50000, 1, 4).parts == 3);  // 12,500 packs, 16 for each of 256 lanes
    CHECK(ReductionPlan(4, 0, 3, 4).blocks() > 0);    // sums of nothing are written too
}

TEST_CASE_TEMPLATE("sums on Cuda are those of Reference", T, float, double, Half, BFloat16) {
    for (const Shape& shape : shapes) {
        CAPTURE(shape);
        const std::vector<T> values = small_numbers<T>(shape.numel());
        Variable<T, Cuda> x(Tensor<T, Cuda>::from(shape, values), true);
        Variable<T, Reference> x_reference(Tensor<T, Reference>::from(shape, values), true);
        const Variable<T, Cuda> y = sum(x, {1});
        const Variable<T, Reference> y_reference = sum(x_reference, {1});
        const auto floats = [](const auto& tensor) {
            const std::vector<T> elements = tensor.to_vector();
            return std::vector<double>(elements.begin(), elements.end());
        };
        const bool same = floats(y.value()) == floats(y_reference.value());
        CHECK(same);
        const Variable<T, Cuda> y_unaligned = sum(Variable<T, Cuda>(unaligned<T, Cuda>(shape, values)), {1});
        const bool same_unaligned = floats(y_unaligned.value()) == floats(y.value());
        CHECK(same_unaligned);
        const std::vector<T> dy = small_numbers<T>(y.shape().numel());
        for (int pass = 0; pass < 2; ++pass) {  // the second adds
            sum(x, {1}).backward(Tensor<T, Cuda>::from(y.shape(), dy));
            sum(x_reference, {1}).backward(Tensor<T, Reference>::from(y.shape(), dy));
        }
        const bool same_gradients = floats(x.grad()) == floats(x_reference.grad());
        CHECK(same_gradients);
    }
}

TEST_CASE("a long sum has the same bits in every order of threads and blocks") {
    Generator generator{3, 0, 0};
    const Tensor<float> host = Tensor<float>::uniform({100003}, 0, 1, generator);
    double exact = 0;
    for (const float value : host.to_vector()) exact += static_cast<double>(value);
    const Variable<float, Cuda> x(host.to<Cuda>());
    const float once = sum(x).item();
    CHECK(std::abs(static_cast<double>(once) - exact) < 1e-6 * exact);
    in_every_order([&] { CHECK(sum(x).item() == once); });
}

// Few different values, so that there are ties within a pack and between packs, lanes, and parts; and NaNs.
template <class T>
void check_positions(const Shape& shape, double share_of_nan) {
    CAPTURE(shape);
    CAPTURE(share_of_nan);
    Generator generator{3, 0, 0};
    std::vector<T> values(static_cast<std::size_t>(shape.numel()));
    for (T& value : values) {
        const bool is_nan = generator.uniform() < share_of_nan;
        value =
            static_cast<T>(is_nan ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(generator.below(5)));
    }
    const Tensor<T, Reference> x = Tensor<T, Reference>::from(shape, values);
    const bool same = argmax(x.template to<Cuda>(), 1).to_vector() == argmax(x, 1).to_vector();
    CHECK(same);
    const bool same_unaligned = argmax(unaligned<T, Cuda>(shape, values), 1).to_vector() == argmax(x, 1).to_vector();
    CHECK(same_unaligned);
}

TEST_CASE_TEMPLATE("positions on Cuda are those of Reference", T, float, double, Half, BFloat16) {
    for (const Shape& shape : shapes)
        for (const double share_of_nan : {0.0, 0.01, 1.0}) check_positions<T>(shape, share_of_nan);
}

TEST_CASE_TEMPLATE("maxima over two blocks of dimensions, with ties, and their gradients", T, float, Half) {
    const Shape shape{5, 3, 70, 2, 9};
    const std::vector<T> values = small_numbers<T>(shape.numel());
    for (const std::vector<int>& dimensions : std::vector<std::vector<int>>{{0, 2, 4}, {1, 4}, {0, 3}, {}}) {
        Variable<T, Cuda> x(Tensor<T, Cuda>::from(shape, values), true);
        Variable<T, Reference> x_reference(Tensor<T, Reference>::from(shape, values), true);
        for (int pass = 0; pass < 2; ++pass) {
            const Variable<T, Cuda> y = max(x, dimensions);
            const Variable<T, Reference> y_reference = max(x_reference, dimensions);
            const std::vector<T> dy = small_numbers<T>(y.shape().numel());
            y.backward(Tensor<T, Cuda>::from(y.shape(), dy));
            y_reference.backward(Tensor<T, Reference>::from(y.shape(), dy));
        }
        const std::vector<T> got = x.grad().to_vector(), expected = x_reference.grad().to_vector();
        const bool same =
            std::vector<float>(got.begin(), got.end()) == std::vector<float>(expected.begin(), expected.end());
        CHECK(same);
    }
}

TEST_CASE("argmax on Cuda along every dimension") {
    const Tensor<float, Cuda> x = Tensor<float, Cuda>::from({2, 3}, {1, 5, 2, 7, -1, 7});
    using Positions = std::vector<std::int64_t>;
    CHECK(argmax(x).to_vector() == Positions{1, 0});
    CHECK(argmax(x, 0).to_vector() == Positions{1, 0, 1});
    CHECK(argmax(x.reshape({2, 1, 3}), -3).to_vector() == Positions{1, 0, 1});
    CHECK(argmax(Tensor<float, Cuda>::zeros({0, 3})).shape() == Shape{0});
}
