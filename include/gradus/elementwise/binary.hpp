// elementwise/binary.hpp   z = g(x, y), element by element, for shapes that broadcast as in numpy (core/broadcast.hpp).
//     add(x, y)  sub  mul  div  maximum      x + y   x - y   x * y   x / y      x * 2   1 - x   -x
// Shapes   x, y, z: (N, H, W, C) with (C), with (N, 1, 1, C), with itself, ...
// Forward  z(i) = g(x(a(i)), y(b(i))), where a(i) and b(i) are the elements that are repeated to meet z(i)
// Backward of f = sum dz*z. An element of x that is repeated moves several elements of z, so
//   (1) dx(j) = sum over all i with a(i) = j of dz(i) * dg/dx(x(a(i)), y(b(i))),  for Reference in the order of i
//   (2) dy(j) = sum over all i with b(i) = j of dz(i) * dg/dy(x(a(i)), y(b(i)))
// Deviates z always has the type of x and y; a plain number is rounded to Sum<T>, not to T.
// Cost     reads x, y and writes z. Keeps an operand only for a derivative that is computed from it: a product keeps
//          x for dy and y for dx, a sum nothing. Twins: binary_cpu.hpp, binary_cuda.cuh
#pragma once

#include <memory>
#include <utility>

#include "gradus/core/broadcast.hpp"
#include "gradus/elementwise/unary.hpp"
#include "gradus/reduction/sum.hpp"

namespace gradus::inline GRADUS_ABI {

// What a derivative is computed from. `one` is no computation at all: the gradient is passed on.
enum class Operands { one, none, x, y, both };
constexpr bool includes_x(Operands operands) { return operands == Operands::x || operands == Operands::both; }
constexpr bool includes_y(Operands operands) { return operands == Operands::y || operands == Operands::both; }

// The table. S is float, double or a register of floats.
struct Add {
    static constexpr const char* name = "add";
    static constexpr Operands dx_from = Operands::one, dy_from = Operands::one;
    template <class S>
    GRADUS_HOST_DEVICE S value(S x, S y) const {
        return x + y;
    }
    template <class S>
    GRADUS_HOST_DEVICE S dx(S, S) const {
        return Math::constant<S>(1);
    }
    template <class S>
    GRADUS_HOST_DEVICE S dy(S, S) const {
        return Math::constant<S>(1);
    }
};

struct Subtract {
    static constexpr const char* name = "sub";
    static constexpr Operands dx_from = Operands::one, dy_from = Operands::none;
    template <class S>
    GRADUS_HOST_DEVICE S value(S x, S y) const {
        return x - y;
    }
    template <class S>
    GRADUS_HOST_DEVICE S dx(S, S) const {
        return Math::constant<S>(1);
    }
    template <class S>
    GRADUS_HOST_DEVICE S dy(S, S) const {
        return Math::constant<S>(-1);
    }
};

struct Multiply {
    static constexpr const char* name = "mul";
    static constexpr Operands dx_from = Operands::y, dy_from = Operands::x;
    template <class S>
    GRADUS_HOST_DEVICE S value(S x, S y) const {
        return x * y;
    }
    template <class S>
    GRADUS_HOST_DEVICE S dx(S, S y) const {
        return y;
    }
    template <class S>
    GRADUS_HOST_DEVICE S dy(S x, S) const {
        return x;
    }
};

struct Divide {
    static constexpr const char* name = "div";
    static constexpr Operands dx_from = Operands::y, dy_from = Operands::both;
    template <class S>
    GRADUS_HOST_DEVICE S value(S x, S y) const {
        return x / y;
    }
    template <class S>
    GRADUS_HOST_DEVICE S dx(S, S y) const {
        return 1 / y;
    }
    template <class S>
    GRADUS_HOST_DEVICE S dy(S x, S y) const {
        return -x / (y * y);
    }
};

struct Maximum {  // at a tie each operand takes half of the gradient
    static constexpr const char* name = "maximum";
    static constexpr Operands dx_from = Operands::both, dy_from = Operands::both;
    template <class S>
    GRADUS_HOST_DEVICE S value(S x, S y) const {
        return Math::select(x > y, x, y);
    }
    template <class S>
    GRADUS_HOST_DEVICE S dx(S x, S y) const {
        return Math::select(x > y, Math::constant<S>(1), Math::select(x < y, S{}, Math::constant<S>(0.5)));
    }
    template <class S>
    GRADUS_HOST_DEVICE S dy(S x, S y) const {
        return dx(y, x);
    }
};

enum class Operand { x, y };

template <class Function, class T>
void binary_forward(Reference, const Function& g, const Broadcast& pairs, Vector<const T> x, Vector<const T> y,
                    Vector<T> z) {
    for (Index i = 0; i < z.size(); ++i) z(i) = T(g.value(Sum<T>(x(pairs.x_index(i))), Sum<T>(y(pairs.y_index(i)))));
}
template <class Function, class T>  // (1) or (2)
void binary_backward(Reference, const Function& g, Operand operand, const Broadcast& pairs, Vector<const T> x,
                     Vector<const T> y, Vector<const T> dz, Vector<T> gradient, Write mode) {
    std::vector<Sum<T>> sums(static_cast<std::size_t>(gradient.size()), Sum<T>(0));
    for (Index i = 0; i < dz.size(); ++i) {
        const Index a = pairs.x_index(i), b = pairs.y_index(i);
        const Sum<T> slope =
            operand == Operand::x ? g.dx(Sum<T>(x(a)), Sum<T>(y(b))) : g.dy(Sum<T>(x(a)), Sum<T>(y(b)));
        sums[static_cast<std::size_t>(operand == Operand::x ? a : b)] += Sum<T>(dz(i)) * slope;
    }
    for (Index j = 0; j < gradient.size(); ++j) put(gradient(j), sums[static_cast<std::size_t>(j)], mode);
}

template <class Function, class T, class D>
struct BinaryNode final : NodeOf<T, D> {
    Edge<T, D> x, y;
    Saved<T, D> kept_x, kept_y;
    Function function;
    Broadcast pairs;

    BinaryNode(const Function& g, const Broadcast& broadcast) : function(g), pairs(broadcast) {}
    const char* name() const override { return Function::name; }
    void backward(const Tensor<T, D>& dz) override {
        pass(Operand::x, Function::dx_from, x, dz);
        pass(Operand::y, Function::dy_from, y, dz);
    }

private:
    void pass(Operand operand, Operands from, const Edge<T, D>& input, const Tensor<T, D>& dz) {
        if (!input.needs_gradient()) return;
        if (from == Operands::one && input.shape() == dz.shape() && input.accept(dz)) return;
        // An operand that was not kept is not looked at. dz stands in for it: it is at least as long.
        const Tensor<T, D>& a = kept_x.get().defined() ? kept_x.get() : dz;
        const Tensor<T, D>& b = kept_y.get().defined() ? kept_y.get() : dz;
        GradientTarget<T, D> gradient = input.target();
        binary_backward(D{}, function, operand, pairs, a.template read<1>(), b.template read<1>(),
                        dz.template read<1>(), gradient.template write<1>(), gradient.mode);
    }
};

template <class Function, FloatingElement T, Device D>
Variable<T, D> binary(const Function& function, const Variable<T, D>& x, const Variable<T, D>& y) {
    const OperationScope operation(Function::name);
    const Broadcast pairs(Function::name, x.shape(), y.shape());
    Tensor<T, D> z(pairs.shape());
    binary_forward(D{}, function, pairs, x.value().template read<1>(), y.value().template read<1>(),
                   z.template write<1>());
    if (!needs_gradient(x, y)) return Variable<T, D>(z, nullptr);
    auto node = make_node<BinaryNode<Function, T, D>>(function, pairs);
    node->x = node->input(x);
    node->y = node->input(y);
    const bool dx = x.requires_grad(), dy = y.requires_grad();
    if ((dx && includes_x(Function::dx_from)) || (dy && includes_x(Function::dy_from))) node->kept_x = x.value();
    if ((dx && includes_y(Function::dx_from)) || (dy && includes_y(Function::dy_from))) node->kept_y = y.value();
    return Variable<T, D>(z, std::move(node));
}

template <FloatingElement T, Device D>
Variable<T, D> add(const Variable<T, D>& x, const Variable<T, D>& y) {
    return binary(Add{}, x, y);
}
template <FloatingElement T, Device D>
Variable<T, D> sub(const Variable<T, D>& x, const Variable<T, D>& y) {
    return binary(Subtract{}, x, y);
}
template <FloatingElement T, Device D>
Variable<T, D> mul(const Variable<T, D>& x, const Variable<T, D>& y) {
    return binary(Multiply{}, x, y);
}
template <FloatingElement T, Device D>
Variable<T, D> div(const Variable<T, D>& x, const Variable<T, D>& y) {
    return binary(Divide{}, x, y);
}
template <FloatingElement T, Device D>
Variable<T, D> maximum(const Variable<T, D>& x, const Variable<T, D>& y) {
    return binary(Maximum{}, x, y);
}

}  // namespace gradus::inline GRADUS_ABI

#include "gradus/elementwise/binary_cpu.hpp"
