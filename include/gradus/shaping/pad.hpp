// shaping/pad.hpp   Zeros before and after the entries of one dimension.
//     pad(x, 3, {.before = 8, .after = 8})   16 channels become 32
// Shapes   x (.., R, ..), y (.., before + R + after, ..)
// Forward  y(a, before + i, b) = x(a, i, b), all other y are 0
// Backward of f = sum dy*y: dx(a, i, b) = dy(a, before + i, b)
// Cost     a copy (rows.hpp); keeps nothing.
#pragma once

#include <memory>
#include <utility>

#include "gradus/shaping/rows.hpp"

namespace gradus::inline GRADUS_ABI {

struct PadOptions {
    Index before = 0;
    Index after = 0;
};

template <class T, class D>
struct PadNode final : NodeOf<T, D> {
    Edge<T, D> x;
    Rows rows;  // of y

    explicit PadNode(const Rows& r) : rows(r) {}
    const char* name() const override { return "pad"; }
    GRADUS_GLUE void backward(const Tensor<T, D>& dy) override {
        GradientTarget<T, D> dx = x.target();
        take_rows(D{}, rows, dy.template read<1>(), dx.template write<1>(), dx.mode);
    }
};

template <FloatingElement T, Device D>
GRADUS_GLUE Variable<T, D> pad(const Variable<T, D>& x, int dimension, const PadOptions& options) {
    const OperationScope operation("pad");
    GRADUS_CHECK(options.before >= 0 && options.after >= 0, "pad: needs at least 0 zeros before and after, got ",
                 options.before, " and ", options.after);
    Rows rows = Rows::along("pad", x.shape(), dimension);
    rows.start = options.before;
    rows.R += options.before + options.after;

    Shape shape = x.shape();
    shape[dimension] = rows.R;
    Tensor<T, D> y(shape);
    place_rows(D{}, rows, x.value().template read<1>(), y.template write<1>(), Rest::zero, Write::overwrite);
    if (!needs_gradient(x)) return Variable<T, D>(y, nullptr);
    auto node = make_node<PadNode<T, D>>(rows);
    node->x = node->input(x);
    return Variable<T, D>(y, std::move(node));
}

}  // namespace gradus::inline GRADUS_ABI
