// softmax/softmax.hpp   Probabilities from numbers, and their logarithms, over the last dimension (Bridle 1990).
// Problem  Class scores are any numbers; probabilities are positive and add up to 1.
// Shapes   x, y (..., K), as (M, K) matrices below
// Forward  softmax:      y(k) = exp(x(k) - m) / s      m = max x,  s = sum over k of exp(x(k) - m): nothing overflows
//          log_softmax:  y(k) = (x(k) - m) - log s     not log(softmax): that would be -infinity where y underflows
// Backward of f = sum dy*y:
//          softmax       dy(k)/dx(j) = y(k) * ([j = k] - y(j)), so
//   (1)    dx(j) = y(j) * (dy(j) - sum over k of dy(k) * y(k))
//          log_softmax   dy(k)/dx(j) = [j = k] - exp(y(j)), so
//   (2)    dx(j) = dy(j) - exp(y(j)) * sum over k of dy(k)
// Saved    y.
// Cost     K exponentials a row, for log_softmax backward too. Twins: softmax_cpu.hpp, softmax_cuda.cuh
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "gradus/autograd/variable.hpp"

namespace gradus::inline GRADUS_ABI {

// The maximum of a row and the sum of exp(x - maximum).
template <class T>
struct SoftmaxRow {
    Sum<T> m, s = 0;
    SoftmaxRow(Matrix<const T> x, Index n) : m(x(n, 0)) {
        for (Index k = 1; k < x.shape()[1]; ++k) m = std::max(m, Sum<T>(x(n, k)));
        for (Index k = 0; k < x.shape()[1]; ++k) s += std::exp(x(n, k) - m);
    }
};

template <class T>
void softmax_forward(Reference, Matrix<const T> x, Matrix<T> y) {
    const auto [M, K] = x.shape();
    for (Index n = 0; n < M; ++n) {
        const SoftmaxRow<T> row(x, n);
        for (Index k = 0; k < K; ++k) y(n, k) = T(std::exp(x(n, k) - row.m) / row.s);
    }
}

template <class T>
void softmax_backward(Reference, Matrix<const T> y, Matrix<const T> dy, Matrix<T> dx, Write mode) {
    const auto [M, K] = y.shape();
    for (Index n = 0; n < M; ++n) {
        Sum<T> sum = 0;
        for (Index k = 0; k < K; ++k) sum += Sum<T>(dy(n, k)) * y(n, k);
        for (Index k = 0; k < K; ++k) put(dx(n, k), Sum<T>(y(n, k)) * (dy(n, k) - sum), mode);  // (1)
    }
}

template <class T>
void log_softmax_forward(Reference, Matrix<const T> x, Matrix<T> y) {
    const auto [M, K] = x.shape();
    for (Index n = 0; n < M; ++n) {
        const SoftmaxRow<T> row(x, n);
        for (Index k = 0; k < K; ++k) y(n, k) = T((x(n, k) - row.m) - std::log(row.s));
    }
}

template <class T>
void log_softmax_backward(Reference, Matrix<const T> y, Matrix<const T> dy, Matrix<T> dx, Write mode) {
    const auto [M, K] = y.shape();
    for (Index n = 0; n < M; ++n) {
        Sum<T> sum = 0;
        for (Index k = 0; k < K; ++k) sum += Sum<T>(dy(n, k));
        for (Index k = 0; k < K; ++k) put(dx(n, k), dy(n, k) - std::exp(Sum<T>(y(n, k))) * sum, mode);  // (2)
    }
}

template <class T, class D>
struct SoftmaxNode final : NodeOf<T, D> {
    Edge<T, D> x;
    Saved<T, D> saved_y;

    const char* name() const override { return "softmax"; }
    GRADUS_GLUE void backward(const Tensor<T, D>& dy) override {
        GradientTarget<T, D> dx = x.target();
        softmax_backward(D{}, saved_y.get().template read<2>(), dy.template read<2>(), dx.template write<2>(), dx.mode);
    }
};
template <class T, class D>
struct LogSoftmaxNode final : NodeOf<T, D> {
    Edge<T, D> x;
    Saved<T, D> saved_y;

    const char* name() const override { return "log_softmax"; }
    GRADUS_GLUE void backward(const Tensor<T, D>& dy) override {
        GradientTarget<T, D> dx = x.target();
        log_softmax_backward(D{}, saved_y.get().template read<2>(), dy.template read<2>(), dx.template write<2>(),
                             dx.mode);
    }
};

// Of (M, ..., K), over K. Errors: fewer than 2 dimensions, K = 0.
template <FloatingElement T, Device D>
GRADUS_GLUE Variable<T, D> softmax(const Variable<T, D>& x) {
    const OperationScope operation("softmax");
    GRADUS_CHECK(x.shape().rank() >= 2 && x.shape()[-1] > 0, "softmax: x must be (M, ..., K) with K > 0, got ",
                 x.shape());
    Tensor<T, D> y(x.shape());
    softmax_forward(D{}, x.value().template read<2>(), y.template write<2>());
    if (!needs_gradient(x)) return Variable<T, D>(y, nullptr);
    auto node = make_node<SoftmaxNode<T, D>>();
    node->x = node->input(x);
    node->saved_y = y;
    return Variable<T, D>(y, std::move(node));
}

// The logarithm of softmax(x), with the same shapes and errors.
template <FloatingElement T, Device D>
GRADUS_GLUE Variable<T, D> log_softmax(const Variable<T, D>& x) {
    const OperationScope operation("log_softmax");
    GRADUS_CHECK(x.shape().rank() >= 2 && x.shape()[-1] > 0, "log_softmax: x must be (M, ..., K) with K > 0, got ",
                 x.shape());
    Tensor<T, D> y(x.shape());
    log_softmax_forward(D{}, x.value().template read<2>(), y.template write<2>());
    if (!needs_gradient(x)) return Variable<T, D>(y, nullptr);
    auto node = make_node<LogSoftmaxNode<T, D>>();
    node->x = node->input(x);
    node->saved_y = y;
    return Variable<T, D>(y, std::move(node));
}

}  // namespace gradus::inline GRADUS_ABI

#include "gradus/softmax/softmax_cpu.hpp"
