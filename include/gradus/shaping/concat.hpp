// shaping/concat.hpp   Tensors one behind the other along one dimension.
//     concat({x, y}, 3)   (N, H, W, 3) and (N, H, W, 5) give (N, H, W, 8)
// Forward  y(a, first(k) + i, b) = x_k(a, i, b),  first(k) = the sum of the extents of x_0 to x_(k-1)
// Backward of f = sum dy*y: dx_k(a, i, b) = dy(a, first(k) + i, b)
// Cost     a copy (rows.hpp); keeps nothing.
#pragma once

#include <initializer_list>
#include <memory>
#include <utility>
#include <vector>

#include "gradus/shaping/rows.hpp"

namespace gradus::inline GRADUS_ABI {

template <class T, class D>
struct ConcatNode final : NodeOf<T, D> {
    struct Part {
        Edge<T, D> x;
        Rows rows;  // of y
    };
    std::vector<Part> parts;

    const char* name() const override { return "concat"; }
    void backward(const Tensor<T, D>& dy) override {
        for (const Part& part : parts) {
            if (!part.x.needs_gradient()) continue;
            GradientTarget<T, D> dx = part.x.target();
            take_rows(D{}, part.rows, dy.template read<1>(), dx.template write<1>(), dx.mode);
        }
    }
};

// All extents but that of the dimension must agree.
template <FloatingElement T, Device D>
Variable<T, D> concat(const std::vector<Variable<T, D>>& xs, int dimension) {
    const OperationScope operation("concat");
    GRADUS_CHECK(!xs.empty(), "concat: of no tensors");
    Shape shape = xs[0].shape();
    Index total = 0;
    bool any_needs_gradient = false;
    for (const Variable<T, D>& x : xs) {
        GRADUS_CHECK(x.shape().rank() == shape.rank(), "concat: of ", xs[0].shape(), " and ", x.shape());
        total += x.shape()[dimension];
        shape[dimension] = x.shape()[dimension];
        GRADUS_CHECK(x.shape() == shape, "concat: of ", xs[0].shape(), " and ", x.shape(), " along dimension ",
                     dimension);
        any_needs_gradient = any_needs_gradient || needs_gradient(x);
    }
    shape[dimension] = total;

    Tensor<T, D> y(shape);
    NewNode<ConcatNode<T, D>> node;
    if (any_needs_gradient) node = make_node<ConcatNode<T, D>>();
    Rows rows = Rows::along("concat", shape, dimension);
    for (const Variable<T, D>& x : xs) {
        rows.count = x.shape()[dimension];
        place_rows(D{}, rows, x.value().template read<1>(), y.template write<1>(), Rest::leave, Write::overwrite);
        if (node) node->parts.push_back({node->input(x), rows});
        rows.start += rows.count;
    }
    return Variable<T, D>(y, std::move(node));
}
template <FloatingElement T, Device D>
Variable<T, D> concat(std::initializer_list<Variable<T, D>> xs, int dimension) {
    return concat(std::vector<Variable<T, D>>(xs), dimension);
}

}  // namespace gradus::inline GRADUS_ABI
