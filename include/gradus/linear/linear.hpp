// linear/linear.hpp   The fully connected layer: y = x W^T + b.
// Problem  The last step of a classifier: every class scores every feature (Rosenblatt 1958, "The perceptron").
// Shapes   x (N, I), weight (O, I), bias (O), y (N, O)
// Forward  y(n, o) = bias(o) + sum over i of x(n, i) * weight(o, i)
// Backward of f = sum dy*y. x(n, i) meets weight(o, i) in y(n, o) only, so
//   (1) dx(n, i)      = sum over o of dy(n, o) * weight(o, i)          dx = dy W
//   (2) dweight(o, i) = sum over n of dy(n, o) * x(n, i)               dW = dy^T x
//   (3) dbias(o)      = sum over n of dy(n, o)
// Cost     N*I*O multiply-adds for each of forward, (1) and (2). Twins: linear_cpu.hpp, linear_cuda.cuh
#pragma once

#include <memory>
#include <utility>

#include "gradus/autograd/variable.hpp"

namespace gradus::inline GRADUS_ABI {

// An absent bias has size 0.
template <class T>
void linear_forward(Reference, Matrix<const T> x, Matrix<const Sum<T>> weight, Vector<const Sum<T>> bias, Matrix<T> y) {
    const auto [N, O] = y.shape();
    for (Index n = 0; n < N; ++n)
        for (Index o = 0; o < O; ++o) {
            Sum<T> sum = bias.size() > 0 ? bias(o) : 0;
            for (Index i = 0; i < x.shape()[1]; ++i) sum += Sum<T>(x(n, i)) * weight(o, i);
            y(n, o) = T(sum);
        }
}

template <class T>  // (1)
void linear_backward_data(Reference, Matrix<const T> dy, Matrix<const Sum<T>> weight, Matrix<T> dx, Write mode) {
    const auto [N, I] = dx.shape();
    for (Index n = 0; n < N; ++n)
        for (Index i = 0; i < I; ++i) {
            Sum<T> sum = 0;
            for (Index o = 0; o < dy.shape()[1]; ++o) sum += Sum<T>(dy(n, o)) * weight(o, i);
            put(dx(n, i), sum, mode);
        }
}

template <class T>  // (2)
void linear_backward_weights(Reference, Matrix<const T> x, Matrix<const T> dy, Matrix<Sum<T>> dweight, Write mode) {
    const auto [O, I] = dweight.shape();
    for (Index o = 0; o < O; ++o)
        for (Index i = 0; i < I; ++i) {
            Sum<T> sum = 0;
            for (Index n = 0; n < x.shape()[0]; ++n) sum += Sum<T>(dy(n, o)) * Sum<T>(x(n, i));
            put(dweight(o, i), sum, mode);
        }
}

template <class T>  // (3)
void linear_backward_bias(Reference, Matrix<const T> dy, Vector<Sum<T>> dbias, Write mode) {
    const auto [N, O] = dy.shape();
    for (Index o = 0; o < O; ++o) {
        Sum<T> sum = 0;
        for (Index n = 0; n < N; ++n) sum += Sum<T>(dy(n, o));
        put(dbias(o), sum, mode);
    }
}

template <class T, class D>
struct LinearNode final : NodeOf<T, D> {
    Edge<T, D> x;
    Edge<Sum<T>, D> weight, bias;
    Saved<T, D> saved_x;            // where weight needs a gradient
    Saved<Sum<T>, D> saved_weight;  // where x does

    const char* name() const override { return "linear"; }
    GRADUS_GLUE void backward(const Tensor<T, D>& dy) override {
        if (bias.needs_gradient()) {
            GradientTarget<Sum<T>, D> dbias = bias.target();
            linear_backward_bias(D{}, dy.template read<2>(), dbias.template write<1>(), dbias.mode);
        }
        if (weight.needs_gradient()) {
            GradientTarget<Sum<T>, D> dweight = weight.target();
            linear_backward_weights(D{}, saved_x.get().template read<2>(), dy.template read<2>(),
                                    dweight.template write<2>(), dweight.mode);
        }
        if (x.needs_gradient()) {
            GradientTarget<T, D> dx = x.target();
            linear_backward_data(D{}, dy.template read<2>(), saved_weight.get().template read<2>(),
                                 dx.template write<2>(), dx.mode);
        }
    }
};

// The shape of y. Errors: shapes that do not fit.
GRADUS_COLD inline Shape linear_shape(const Shape& x, const Shape& weight) {
    GRADUS_CHECK(x.rank() == 2 && weight.rank() == 2, "linear: x must be (N, in) and weight (out, in), got ", x,
                 " and ", weight);
    GRADUS_CHECK(x[1] == weight[1], "linear: input has ", x[1], x[1] == 1 ? " feature" : " features",
                 ", weight expects ", weight[1], "; x is ", x, ", weight ", weight);
    return {x[0], weight[0]};
}

// y = x weight^T + bias with the shapes above. An undefined bias means none. Errors: shapes that do not fit.
template <FloatingElement T, Device D>
GRADUS_GLUE Variable<T, D> linear(const Variable<T, D>& x, const Variable<Sum<T>, D>& weight,
                                  const Variable<Sum<T>, D>& bias = {}) {
    const OperationScope operation("linear");
    Tensor<T, D> y(linear_shape(x.shape(), weight.shape()));
    if (bias.defined()) check_shape("linear", "bias", bias.shape(), {y.shape()[1]});
    const Vector<const Sum<T>> bias_view =
        bias.defined() ? bias.value().template read<1>() : Vector<const Sum<T>>(nullptr, {0});
    linear_forward(D{}, x.value().template read<2>(), weight.value().template read<2>(), bias_view,
                   y.template write<2>());
    if (!needs_gradient(x, weight, bias)) return Variable<T, D>(y, nullptr);
    auto node = make_node<LinearNode<T, D>>();
    node->x = node->input(x);
    node->weight = node->input(weight);
    if (bias.defined()) node->bias = node->input(bias);
    if (weight.requires_grad()) node->saved_x = x.value();
    if (x.requires_grad()) node->saved_weight = weight.value();
    return Variable<T, D>(y, std::move(node));
}

}  // namespace gradus::inline GRADUS_ABI

#include "gradus/linear/linear_cpu.hpp"
