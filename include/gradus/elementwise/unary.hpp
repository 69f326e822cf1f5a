// elementwise/unary.hpp   y = g(x), element by element, and dx = dy * g'(x).
// Every function is a struct of a few lines: its value, its derivative, and whether the derivative is computed from x
// or from y, so that backward keeps only that one. A new function needs nothing else: write the struct, its functions
// GRADUS_HOST_DEVICE so that nvcc compiles them for a GPU too, and call unary(MyFunction{}, x).
// To become part of the library it also needs a function beside relu(), at the end of this page, and a row in
// tests/operations/unary_operations.hpp; then run `tests/run operations/unary operations/operations`:
// unary_operations_test checks the derivative, unary_cuda_test Cuda against Reference, operations_test that the row is
// there.
// Shapes   x, y, dy, dx: any, all alike
// Sources  GELU: Hendrycks & Gimpel 2016, arXiv 1606.08415 (the exact form, with erf); SiLU: the same, and
//          Ramachandran, Zoph, Le 2017, arXiv 1710.05941 ("Swish"); leaky ReLU: Maas, Hannun, Ng 2013;
//          softplus: Dugas et al. 2000.
// Cost     forward reads x and writes y; backward reads dy and the kept tensor. Twins: unary_cpu.hpp,
//          unary_cuda.cuh; a new function needs none of its own
#pragma once

#include <cmath>
#include <memory>
#include <numbers>
#include <utility>

#include "gradus/autograd/variable.hpp"
#include "gradus/elementwise/math.hpp"

namespace gradus::inline GRADUS_ABI {

// What a derivative is computed from. `one` is no computation at all: the gradient is passed on.
enum class From { one, none, x, y };

// The table of derivatives. S is float, double or a register of floats, so the functions of elementwise/math.hpp are
// called: std::exp and ?: do not know registers.
struct Relu {  // max(x, 0)
    static constexpr const char* name = "relu";
    static constexpr From derivative_from = From::y;
    template <class S>
    GRADUS_HOST_DEVICE S value(S x) const {
        return Math::select(x < 0, S{}, x);
    }
    template <class S>
    GRADUS_HOST_DEVICE S derivative(S y) const {
        return Math::select(y > 0, Math::constant<S>(1), S{});  // 0 at 0, as everybody has it
    }
};

struct LeakyRelu {  // x above 0, slope * x below
    double slope = 0.01;
    static constexpr const char* name = "leaky_relu";
    static constexpr From derivative_from = From::x;
    template <class S>
    GRADUS_HOST_DEVICE S value(S x) const {
        return Math::select(x > 0, x, Math::constant<S>(slope) * x);
    }
    template <class S>
    GRADUS_HOST_DEVICE S derivative(S x) const {
        return Math::select(x > 0, Math::constant<S>(1), Math::constant<S>(slope));
    }
};

struct Exp {
    static constexpr const char* name = "exp";
    static constexpr From derivative_from = From::y;
    template <class S>
    GRADUS_HOST_DEVICE S value(S x) const {
        return Math::exp(x);
    }
    template <class S>
    GRADUS_HOST_DEVICE S derivative(S y) const {
        return y;
    }
};

struct Log {
    static constexpr const char* name = "log";
    static constexpr From derivative_from = From::x;
    template <class S>
    GRADUS_HOST_DEVICE S value(S x) const {
        return Math::log(x);
    }
    template <class S>
    GRADUS_HOST_DEVICE S derivative(S x) const {
        return 1 / x;
    }
};

struct Sqrt {
    static constexpr const char* name = "sqrt";
    static constexpr From derivative_from = From::y;
    template <class S>
    GRADUS_HOST_DEVICE S value(S x) const {
        return Math::sqrt(x);
    }
    template <class S>
    GRADUS_HOST_DEVICE S derivative(S y) const {
        return 1 / (2 * y);
    }
};

struct Square {
    static constexpr const char* name = "square";
    static constexpr From derivative_from = From::x;
    template <class S>
    GRADUS_HOST_DEVICE S value(S x) const {
        return x * x;
    }
    template <class S>
    GRADUS_HOST_DEVICE S derivative(S x) const {
        return 2 * x;
    }
};

struct Abs {
    static constexpr const char* name = "abs";
    static constexpr From derivative_from = From::x;
    template <class S>
    GRADUS_HOST_DEVICE S value(S x) const {
        return Math::select(x < 0, -x, x);
    }
    template <class S>
    GRADUS_HOST_DEVICE S derivative(S x) const {
        return Math::select(x < 0, Math::constant<S>(-1), Math::select(x > 0, Math::constant<S>(1), S{}));  // 0 at 0
    }
};

struct Reciprocal {  // 1/x
    static constexpr const char* name = "reciprocal";
    static constexpr From derivative_from = From::y;
    template <class S>
    GRADUS_HOST_DEVICE S value(S x) const {
        return 1 / x;
    }
    template <class S>
    GRADUS_HOST_DEVICE S derivative(S y) const {
        return -y * y;
    }
};

struct Sigmoid {  // s(x) = 1/(1 + e^-x): where e^-x overflows to infinity, s is 0 as it should be
    static constexpr const char* name = "sigmoid";
    static constexpr From derivative_from = From::x;  // y (1 - y) has no digits left where y is close to 1
    template <class S>
    GRADUS_HOST_DEVICE S value(S x) const {
        return 1 / (1 + Math::exp(-x));
    }
    template <class S>  // s(x) s(-x) = e/(1 + e)^2 with e = e^-|x|
    GRADUS_HOST_DEVICE S derivative(S x) const {
        const S e = Math::exp(Math::select(x < 0, x, -x));
        return e / ((1 + e) * (1 + e));
    }
};

struct Tanh {  // tanh(x) = 2 s(2x) - 1
    static constexpr const char* name = "tanh";
    static constexpr From derivative_from = From::x;  // for the same reason
    template <class S>
    GRADUS_HOST_DEVICE S value(S x) const {
        return Math::tanh(x);
    }
    template <class S>
    GRADUS_HOST_DEVICE S derivative(S x) const {
        return 4 * Sigmoid{}.derivative(2 * x);
    }
};

struct Softplus {  // log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), which never overflows
    static constexpr const char* name = "softplus";
    static constexpr From derivative_from = From::x;
    template <class S>
    GRADUS_HOST_DEVICE S value(S x) const {
        const S below = Math::select(x < 0, x, -x);  // -|x|
        return Math::select(x < 0, S{}, x) + Math::log1p(Math::exp(below));
    }
    template <class S>
    GRADUS_HOST_DEVICE S derivative(S x) const {
        return Sigmoid{}.value(x);
    }
};

struct Silu {  // x s(x);  g' = s + x s (1 - s)
    static constexpr const char* name = "silu";
    static constexpr From derivative_from = From::x;
    template <class S>
    GRADUS_HOST_DEVICE S value(S x) const {
        return x * Sigmoid{}.value(x);
    }
    template <class S>
    GRADUS_HOST_DEVICE S derivative(S x) const {
        const S s = Sigmoid{}.value(x), rest = Sigmoid{}.value(-x);  // 1 - s
        return s * (1 + x * rest);
    }
};

struct Gelu {  // x P(x), P the normal distribution: P(x) = erfc(-x/sqrt 2)/2, P'(x) = e^(-x^2/2)/sqrt(2 pi)
    static constexpr const char* name = "gelu";
    static constexpr From derivative_from = From::x;
    template <class S>
    GRADUS_HOST_DEVICE S value(S x) const {
        return x * probability(x);
    }
    template <class S>
    GRADUS_HOST_DEVICE S derivative(S x) const {
        return probability(x) + x * Math::exp(-x * x / 2) * Math::constant<S>(1 / std::sqrt(2 * std::numbers::pi));
    }

private:
    template <class S>
    GRADUS_HOST_DEVICE S probability(S x) const {
        return Math::erfc(x * Math::constant<S>(-std::numbers::sqrt2 / 2)) / 2;
    }
};

template <class Function, class T>
void unary_forward(Reference, const Function& function, Vector<const T> x, Vector<T> y) {
    for (Index i = 0; i < x.size(); ++i) y(i) = T(function.value(Sum<T>(x(i))));
}
template <class Function, class T>  // kept is x or y, as the function says
void unary_backward(Reference, const Function& function, Vector<const T> kept, Vector<const T> dy, Vector<T> dx,
                    Write mode) {
    for (Index i = 0; i < dx.size(); ++i) put(dx(i), Sum<T>(dy(i)) * function.derivative(Sum<T>(kept(i))), mode);
}

template <class Function, class T, class D>
struct UnaryNode final : NodeOf<T, D> {
    Edge<T, D> x;
    Saved<T, D> kept;
    Function function;

    explicit UnaryNode(const Function& g) : function(g) {}
    const char* name() const override { return Function::name; }
    void backward(const Tensor<T, D>& dy) override {
        if (Function::derivative_from == From::one && x.accept(dy)) return;
        const Tensor<T, D>& source =
            kept.get().defined() ? kept.get() : dy;  // a constant derivative does not look at it
        GradientTarget<T, D> dx = x.target();
        unary_backward(D{}, function, source.template read<1>(), dy.template read<1>(), dx.template write<1>(),
                       dx.mode);
    }
};

template <class Function, FloatingElement T, Device D>
Variable<T, D> unary(const Function& function, const Variable<T, D>& x) {
    const OperationScope operation(Function::name);
    Tensor<T, D> y(x.shape());
    unary_forward(D{}, function, x.value().template read<1>(), y.template write<1>());
    if (!needs_gradient(x)) return Variable<T, D>(y, nullptr);
    auto node = make_node<UnaryNode<Function, T, D>>(function);
    node->x = node->input(x);
    if (Function::derivative_from == From::x) node->kept = x.value();
    if (Function::derivative_from == From::y) node->kept = y;
    return Variable<T, D>(y, std::move(node));
}

template <FloatingElement T, Device D>
Variable<T, D> relu(const Variable<T, D>& x) {
    return unary(Relu{}, x);
}
template <FloatingElement T, Device D>
Variable<T, D> exp(const Variable<T, D>& x) {
    return unary(Exp{}, x);
}
template <FloatingElement T, Device D>
Variable<T, D> log(const Variable<T, D>& x) {
    return unary(Log{}, x);
}
template <FloatingElement T, Device D>
Variable<T, D> sqrt(const Variable<T, D>& x) {
    return unary(Sqrt{}, x);
}
template <FloatingElement T, Device D>
Variable<T, D> square(const Variable<T, D>& x) {
    return unary(Square{}, x);
}
template <FloatingElement T, Device D>
Variable<T, D> abs(const Variable<T, D>& x) {
    return unary(Abs{}, x);
}
template <FloatingElement T, Device D>
Variable<T, D> reciprocal(const Variable<T, D>& x) {
    return unary(Reciprocal{}, x);
}
template <FloatingElement T, Device D>
Variable<T, D> sigmoid(const Variable<T, D>& x) {
    return unary(Sigmoid{}, x);
}
template <FloatingElement T, Device D>
Variable<T, D> tanh(const Variable<T, D>& x) {
    return unary(Tanh{}, x);
}
template <FloatingElement T, Device D>
Variable<T, D> softplus(const Variable<T, D>& x) {
    return unary(Softplus{}, x);
}
template <FloatingElement T, Device D>
Variable<T, D> silu(const Variable<T, D>& x) {
    return unary(Silu{}, x);
}
template <FloatingElement T, Device D>
Variable<T, D> gelu(const Variable<T, D>& x) {
    return unary(Gelu{}, x);
}
template <FloatingElement T, Device D>
Variable<T, D> leaky_relu(const Variable<T, D>& x, double slope = 0.01) {
    return unary(LeakyRelu{slope}, x);
}

}  // namespace gradus::inline GRADUS_ABI

#include "gradus/elementwise/unary_cpu.hpp"
