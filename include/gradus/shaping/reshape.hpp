// shaping/reshape.hpp   The same elements in the same order under another shape.
// y shares x's storage, and backward hands dy on as dx: nothing is copied, unless x already has a gradient to add to.
// To flatten images for a linear layer use flatten(), which also brings channels first.
#pragma once

#include <memory>
#include <utility>

#include "gradus/shaping/rows.hpp"

namespace gradus::inline GRADUS_ABI {

template <class T, class D>
struct ReshapeNode final : NodeOf<T, D> {
    Edge<T, D> x;

    const char* name() const override { return "reshape"; }
    void backward(const Tensor<T, D>& dy) override {
        if (x.accept(dy)) return;
        GradientTarget<T, D> dx = x.target();
        const Rows all{1, 1, dy.numel(), 0, 1, 1};
        take_rows(D{}, all, dy.template read<1>(), dx.template write<1>(), dx.mode);
    }
};

template <FloatingElement T, Device D>
Variable<T, D> reshape(const Variable<T, D>& x, const Shape& shape) {
    const OperationScope operation("reshape");
    const Tensor<T, D> y = x.value().reshape(shape);
    if (!needs_gradient(x)) return Variable<T, D>(y, nullptr);
    auto node = make_node<ReshapeNode<T, D>>();
    node->x = node->input(x);
    return Variable<T, D>(y, std::move(node));
}

}  // namespace gradus::inline GRADUS_ABI
