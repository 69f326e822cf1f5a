// reduction/max.hpp   The largest element over some dimensions or all of them, and where it is.
//     max(x)   max(x, {1, 2})   max(x, {-1}, {.keep = true})       dimensions as in sum.hpp
//     argmax(logits, 1)                                           the predicted classes of (N, classes)
// Forward  y(j) = max of x(i) over all i that belong to j; position(j) is the first i that has it
// Backward of f = sum dy*y: only the element at position(j) moved y(j), so dx(position(j)) = dy(j), all other dx are 0.
//          At a tie f has no derivative; the first of the largest elements takes it all.
// A NaN is the maximum of whatever it is in, so that it is not lost. Errors: a maximum of no elements.
// Cost     reads x once; keeps one int64 for every element of y. Twins: max_cpu.hpp, max_cuda.cuh
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "gradus/reduction/sum.hpp"

namespace gradus::inline GRADUS_ABI {

template <class S>
GRADUS_HOST_DEVICE bool is_above(S a, S b) {
    return a > b || (a != a && b == b);
}

// positions: of the first largest x, an index into all of x. y's shape and x's are the broadcast (y, x).
template <class T>
void max_positions(Reference, const Broadcast& pairs, Vector<const T> x, Vector<std::int64_t> positions) {
    for (Index j = 0; j < positions.size(); ++j) positions(j) = -1;
    for (Index i = 0; i < x.size(); ++i) {
        std::int64_t& best = positions(pairs.x_index(i));
        if (best < 0 || is_above(Sum<T>(x(i)), Sum<T>(x(best)))) best = i;
    }
}
template <class T>
void max_forward(Reference, Vector<const T> x, Vector<const std::int64_t> positions, Vector<T> y) {
    for (Index j = 0; j < y.size(); ++j) y(j) = x(positions(j));
}
template <class T>
void max_backward(Reference, Vector<const std::int64_t> positions, Vector<const T> dy, Vector<T> dx, Write mode) {
    if (mode == Write::overwrite)
        for (Index i = 0; i < dx.size(); ++i) dx(i) = T(0);
    for (Index j = 0; j < dy.size(); ++j) put(dx(positions(j)), Sum<T>(dy(j)), Write::add);
}

template <class T, class D>
struct MaxNode final : NodeOf<T, D> {
    Edge<T, D> x;
    Saved<std::int64_t, D> positions;

    const char* name() const override { return "max"; }
    void backward(const Tensor<T, D>& dy) override {
        GradientTarget<T, D> dx = x.target();
        max_backward(D{}, positions.get().template read<1>(), dy.template read<1>(), dx.template write<1>(), dx.mode);
    }
};

template <FloatingElement T, Device D>
Variable<T, D> max(const Variable<T, D>& x, const std::vector<int>& dimensions = {},
                   const ReductionOptions& options = {}) {
    const OperationScope operation("max");
    const Broadcast pairs("max", reduced_shape("max", x.shape(), dimensions, true), x.shape());
    const Shape shape = reduced_shape("max", x.shape(), dimensions, options.keep);
    GRADUS_CHECK(x.shape().numel() > 0 || shape.numel() == 0, "max: x has no elements, its shape is ", x.shape());
    Tensor<std::int64_t, D> positions(shape);
    max_positions(D{}, pairs, x.value().template read<1>(), positions.template write<1>());
    Tensor<T, D> y(shape);
    max_forward(D{}, x.value().template read<1>(), Vector<const std::int64_t>(positions.template read<1>()),
                y.template write<1>());
    if (!needs_gradient(x)) return Variable<T, D>(y, nullptr);
    auto node = make_node<MaxNode<T, D>>();
    node->x = node->input(x);
    node->positions = positions;
    return Variable<T, D>(y, std::move(node));
}

// From positions in all of x to those along a dimension of `extent` elements, which are `stride` apart.
inline void positions_along(Reference, Vector<std::int64_t> positions, Index stride, Index extent) {
    for (Index j = 0; j < positions.size(); ++j) positions(j) = positions(j) / stride % extent;
}

// The index of the largest element along one dimension, which disappears. Has no derivative.
template <FloatingElement T, Device D>
Tensor<std::int64_t, D> argmax(const Tensor<T, D>& x, int dimension = -1) {
    const Shape kept = reduced_shape("argmax", x.shape(), {dimension}, true);
    GRADUS_CHECK(x.numel() > 0 || kept.numel() == 0, "argmax: x has no elements, its shape is ", x.shape());
    Tensor<std::int64_t, D> positions(reduced_shape("argmax", x.shape(), {dimension}, false));
    const Vector<std::int64_t> result = positions.template write<1>();
    max_positions(D{}, Broadcast("argmax", kept, x.shape()), x.template read<1>(), result);
    Index stride = 1;
    for (int d = dimension < 0 ? dimension + x.rank() + 1 : dimension + 1; d < x.rank(); ++d) stride *= x.shape()[d];
    positions_along(D{}, result, stride, x.shape()[dimension]);
    return positions;
}

}  // namespace gradus::inline GRADUS_ABI

#include "gradus/reduction/max_cpu.hpp"
