// shaping/permute.hpp   Dimensions in another order.
//     permute(x, {0, 3, 1, 2})   (N, H, W, C) to (N, C, H, W)
//     transpose(x)               (M, N) to (N, M)
//     flatten(x)                 (N, H, W, C) to (N, C*H*W), channels first: the order of PyTorch's linear weights
// Forward  dimension k of y is dimension order[k] of x: y(i_0, i_1, ..) = x with i_k as index number order[k]
// Backward of f = sum dy*y: dx = dy with the inverse permutation
// Cost     a copy; keeps nothing. Twins: permute_cpu.hpp, permute_cuda.cuh
#pragma once

#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "gradus/shaping/reshape.hpp"

namespace gradus::inline GRADUS_ABI {

// Where the elements of y, walked in order, lie in x.
struct Permutation {
    Shape y;
    std::array<Index, Shape::max_rank> strides{};  // in x, of a step along each dimension of y

    Permutation(const Shape& x, const std::vector<int>& order) {
        for (const int d : order) {
            Index stride = 1;
            for (int k = d + 1; k < x.rank(); ++k) stride *= x[k];
            strides[static_cast<std::size_t>(y.rank())] = stride;
            y.push_back(x[d]);
        }
    }
    Index source(Index i) const {
        Index index = 0;
        for (int d = y.rank() - 1; d >= 0; --d) {
            index += i % y[d] * strides[static_cast<std::size_t>(d)];
            i /= y[d];
        }
        return index;
    }
};

template <class T>
void permute_copy(Reference, const Permutation& permutation, Vector<const T> x, Vector<T> y, Write mode) {
    for (Index i = 0; i < y.size(); ++i) put(y(i), Sum<T>(x(permutation.source(i))), mode);
}

template <class T, class D>
struct PermuteNode final : NodeOf<T, D> {
    Edge<T, D> x;
    Permutation inverse;

    explicit PermuteNode(const Permutation& permutation) : inverse(permutation) {}
    const char* name() const override { return "permute"; }
    void backward(const Tensor<T, D>& dy) override {
        GradientTarget<T, D> dx = x.target();
        permute_copy(D{}, inverse, dy.template read<1>(), dx.template write<1>(), dx.mode);
    }
};

// `order` names every dimension once.
template <FloatingElement T, Device D>
Variable<T, D> permute(const Variable<T, D>& x, const std::vector<int>& order) {
    const OperationScope operation("permute");
    const int rank = x.shape().rank();
    GRADUS_CHECK(static_cast<int>(order.size()) == rank, "permute: x has shape ", x.shape(), ", the order names ",
                 order.size(), " dimensions");
    std::vector<int> inverse(order.size(), -1);
    for (int k = 0; k < rank; ++k) {
        const int d = order[static_cast<std::size_t>(k)];
        GRADUS_CHECK(d >= 0 && d < rank && inverse[static_cast<std::size_t>(d)] < 0, "permute: x has shape ", x.shape(),
                     ", dimension ", d, " in the order is none of its own or is named twice");
        inverse[static_cast<std::size_t>(d)] = k;
    }
    const Permutation permutation(x.shape(), order);
    Tensor<T, D> y(permutation.y);
    permute_copy(D{}, permutation, x.value().template read<1>(), y.template write<1>(), Write::overwrite);
    if (!needs_gradient(x)) return Variable<T, D>(y, nullptr);
    auto node = make_node<PermuteNode<T, D>>(Permutation(permutation.y, inverse));
    node->x = node->input(x);
    return Variable<T, D>(y, std::move(node));
}

template <FloatingElement T, Device D>
Variable<T, D> transpose(const Variable<T, D>& x) {
    return permute(x, {1, 0});
}

template <FloatingElement T, Device D>
Variable<T, D> flatten(const Variable<T, D>& x) {
    GRADUS_CHECK(x.shape().rank() >= 1, "flatten: x has no first dimension, its shape is ", x.shape());
    const Index N = x.shape()[0];
    Index rest = 1;
    for (int d = 1; d < x.shape().rank(); ++d) rest *= x.shape()[d];
    const Variable<T, D> channels_first = x.shape().rank() == 4 ? permute(x, {0, 3, 1, 2}) : x;
    return reshape(channels_first, {N, rest});
}

}  // namespace gradus::inline GRADUS_ABI

#include "gradus/shaping/permute_cpu.hpp"
