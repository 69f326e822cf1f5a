// elementwise/unary.hpp   y = g(x), element by element, and dx = dy * g'(x).
// Every function is a struct of two lines: its value, and its derivative in terms of x and y, whichever is cheaper. A new one
// needs nothing else.
#pragma once

#include <cmath>
#include <memory>

#include "gradus/autograd/variable.hpp"

namespace gradus::inline GRADUS_ABI {

// The table of derivatives.
struct Relu {
    static constexpr const char* name = "relu";
    template <class S>
    static S value(S x) {
        return x > 0 ? x : S(0);
    }
    template <class S>
    static S derivative(S, S y) {
        return y > 0 ? S(1) : S(0);  // 0 at 0, as everybody has it
    }
};

template <class Function, class T>
void unary_forward(Reference, Function, Vector<const T> x, Vector<T> y) {
    for (Index i = 0; i < x.size(); ++i) y(i) = T(Function::value(Sum<T>(x(i))));
}
template <class Function, class T>
void unary_backward(Reference, Function, Vector<const T> x, Vector<const T> y, Vector<const T> dy, Vector<T> dx, Write mode) {
    for (Index i = 0; i < x.size(); ++i)
        put(dx(i), Sum<T>(dy(i)) * Function::derivative(Sum<T>(x(i)), Sum<T>(y(i))), mode);
}

template <class Function, class T, class D>
struct UnaryNode final : NodeOf<T, D> {
    Edge<T, D> x;
    Saved<T, D> saved_x, saved_y;

    const char* name() const override { return Function::name; }
    void backward(const Tensor<T, D>& dy) override {
        GradientTarget<T, D> dx = x.target();
        unary_backward(D{}, Function{}, saved_x.get().template read<1>(), saved_y.get().template read<1>(),
                       dy.template read<1>(), dx.template write<1>(), dx.mode);
    }
};

template <class Function, FloatingElement T, class D>
Variable<T, D> unary(Function, const Variable<T, D>& x) {
    const OperationScope operation(Function::name);
    Tensor<T, D> y(x.shape());
    unary_forward(D{}, Function{}, x.value().template read<1>(), y.template write<1>());
    if (!needs_gradient(x)) return Variable<T, D>(y, nullptr);
    auto node = std::make_shared<UnaryNode<Function, T, D>>();
    node->x = node->input(x);
    node->saved_x = x.value();
    node->saved_y = y;
    return Variable<T, D>(y, node);
}

template <class T, class D>
Variable<T, D> relu(const Variable<T, D>& x) {
    return unary(Relu{}, x);
}

}  // namespace gradus::inline GRADUS_ABI
