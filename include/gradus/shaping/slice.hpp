// shaping/slice.hpp   Some entries of one dimension.
//     slice(x, 0, {.start = 2, .stop = 5})   entries 2, 3, 4 of the first dimension
//     slice(x, -1, {.step = 2})              every second entry of the last one
//     slice(x, 1, {.start = -3})             the last three
// Shapes   x (.., R, ..), y (.., ceil((stop - start) / step), ..)
// Forward  y(a, i, b) = x(a, start + step*i, b)
// Backward of f = sum dy*y: dx(a, start + step*i, b) = dy(a, i, b), all other dx are 0.
// Deviates a step is positive, and an index beyond the dimension is an error, not cut off as in numpy.
// Cost     a copy of what is selected (rows.hpp); keeps nothing.
#pragma once

#include <limits>
#include <memory>
#include <utility>

#include "gradus/shaping/rows.hpp"

namespace gradus::inline GRADUS_ABI {

struct SliceOptions {
    static constexpr Index to_end = std::numeric_limits<Index>::max();
    Index start = 0;  // negative: counted from the end
    Index stop = to_end;
    Index step = 1;
};

template <class T, class D>
struct SliceNode final : NodeOf<T, D> {
    Edge<T, D> x;
    Rows rows;

    explicit SliceNode(const Rows& r) : rows(r) {}
    const char* name() const override { return "slice"; }
    GRADUS_GLUE void backward(const Tensor<T, D>& dy) override {
        GradientTarget<T, D> dx = x.target();
        place_rows(D{}, rows, dy.template read<1>(), dx.template write<1>(), Rest::zero, dx.mode);
    }
};

// The rows of x that stay. Errors: a step below 1, rows that x does not have.
GRADUS_COLD inline Rows slice_rows(const Shape& x, int dimension, const SliceOptions& options) {
    Rows rows = Rows::along("slice", x, dimension);
    const Index start = options.start < 0 ? options.start + rows.R : options.start;
    const Index end = options.stop == SliceOptions::to_end ? rows.R : options.stop;
    const Index stop = end < 0 ? end + rows.R : end;
    GRADUS_CHECK(options.step >= 1, "slice: the step must be at least 1, got ", options.step);
    GRADUS_CHECK(0 <= start && start <= stop && stop <= rows.R, "slice: [", options.start, ", ", end, ") of dimension ",
                 dimension, " of ", x);
    rows.start = start;
    rows.step = options.step;
    rows.count = (stop - start + options.step - 1) / options.step;
    return rows;
}

template <FloatingElement T, Device D>
GRADUS_GLUE Variable<T, D> slice(const Variable<T, D>& x, int dimension, const SliceOptions& options = {}) {
    const OperationScope operation("slice");
    const Rows rows = slice_rows(x.shape(), dimension, options);
    Shape shape = x.shape();
    shape[dimension] = rows.count;
    Tensor<T, D> y(shape);
    take_rows(D{}, rows, x.value().template read<1>(), y.template write<1>(), Write::overwrite);
    if (!needs_gradient(x)) return Variable<T, D>(y, nullptr);
    auto node = make_node<SliceNode<T, D>>(rows);
    node->x = node->input(x);
    return Variable<T, D>(y, std::move(node));
}

}  // namespace gradus::inline GRADUS_ABI
