// reduction/sum.hpp   The sum or the mean over some dimensions or all of them.
//     sum(x)                        of all elements: a scalar
//     mean(x, {1, 2})               over H and W of (N, H, W, C): (N, C)
//     sum(x, {-1}, {.keep = true})  over the last dimension, which stays with extent 1
// Forward  y(j) = f * sum of x(i) over all i that belong to j,  f = 1, or 1/count for the mean
// Backward of g = sum dy*y: every x(i) is in one y(j) only, so dx(i) = f * dy(j).
// Deviates the order of a sum depends on the shape alone; sums are in Sum<T>, also of Half. A mean of no elements is
//          0/0, as it is in numpy; a sum of none is 0.
// Cost     reads x once; keeps nothing for backward. Twins: sum_cpu.hpp, sum_cuda.cuh
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "gradus/autograd/variable.hpp"
#include "gradus/core/broadcast.hpp"

namespace gradus::inline GRADUS_ABI {

struct ReductionOptions {
    bool keep = false;  // reduced dimensions stay, with extent 1
};

// The shape of x after a reduction over `dimensions`, which may count from the end; none means all.
inline Shape reduced_shape(const char* operation, const Shape& x, const std::vector<int>& dimensions, bool keep) {
    bool reduced[Shape::max_rank] = {};
    for (const int dimension : dimensions) {
        const int d = dimension < 0 ? dimension + x.rank() : dimension;
        GRADUS_CHECK(d >= 0 && d < x.rank(), operation, ": x has shape ", x, ", there is no dimension ", dimension);
        GRADUS_CHECK(!reduced[d], operation, ": dimension ", dimension, " of ", x, " is named twice");
        reduced[d] = true;
    }
    Shape shape;
    for (int d = 0; d < x.rank(); ++d) {
        const bool is_reduced = dimensions.empty() || reduced[d];
        if (!is_reduced) shape.push_back(x[d]);
        if (is_reduced && keep) shape.push_back(1);
    }
    return shape;
}

// A sum of x, whose elements stand for y's in the broadcast (y, x).
template <class T, class U>
void sum_forward(Reference, const Broadcast& pairs, Vector<const T> x, Sum<T> factor, Vector<U> y, Write mode) {
    std::vector<Sum<T>> sums(static_cast<std::size_t>(y.size()), Sum<T>(0));
    for (Index i = 0; i < x.size(); ++i) sums[static_cast<std::size_t>(pairs.x_index(i))] += Sum<T>(x(i));
    for (Index j = 0; j < y.size(); ++j) put(y(j), factor * sums[static_cast<std::size_t>(j)], mode);
}
template <class T>
void sum_backward(Reference, const Broadcast& pairs, Vector<const T> dy, Sum<T> factor, Vector<T> dx, Write mode) {
    for (Index i = 0; i < dx.size(); ++i) put(dx(i), factor * Sum<T>(dy(pairs.x_index(i))), mode);
}

template <class T, class D>
struct SumNode final : NodeOf<T, D> {
    Edge<T, D> x;
    Broadcast pairs;
    Sum<T> factor;
    const char* operation;

    SumNode(const char* name, const Broadcast& broadcast, Sum<T> f) : pairs(broadcast), factor(f), operation(name) {}
    const char* name() const override { return operation; }
    void backward(const Tensor<T, D>& dy) override {
        GradientTarget<T, D> dx = x.target();
        sum_backward(D{}, pairs, dy.template read<1>(), factor, dx.template write<1>(), dx.mode);
    }
};

// y = factor * sum, under a name of its own for messages.
template <FloatingElement T, Device D>
Variable<T, D> scaled_sum(const Variable<T, D>& x, Sum<T> factor, const std::vector<int>& dimensions = {},
                          const ReductionOptions& options = {}, const char* name = "scaled_sum") {
    const OperationScope operation(name);
    const Broadcast pairs(name, reduced_shape(name, x.shape(), dimensions, true), x.shape());
    Tensor<T, D> y(reduced_shape(name, x.shape(), dimensions, options.keep));
    sum_forward(D{}, pairs, x.value().template read<1>(), factor, y.template write<1>(), Write::overwrite);
    if (!needs_gradient(x)) return Variable<T, D>(y, nullptr);
    auto node = make_node<SumNode<T, D>>(name, pairs, factor);
    node->x = node->input(x);
    return Variable<T, D>(y, std::move(node));
}
template <FloatingElement T, Device D>
Variable<T, D> sum(const Variable<T, D>& x, const std::vector<int>& dimensions = {},
                   const ReductionOptions& options = {}) {
    return scaled_sum(x, 1, dimensions, options, "sum");
}
template <FloatingElement T, Device D>
Variable<T, D> mean(const Variable<T, D>& x, const std::vector<int>& dimensions = {},
                    const ReductionOptions& options = {}) {
    const Shape kept = reduced_shape("mean", x.shape(), dimensions, true);
    Sum<T> count = 1;
    for (int d = 0; d < kept.rank(); ++d) count *= static_cast<Sum<T>>(kept[d] == 1 ? x.shape()[d] : 1);
    return scaled_sum(x, 1 / count, dimensions, options, "mean");
}

}  // namespace gradus::inline GRADUS_ABI

#include "gradus/reduction/sum_cpu.hpp"
