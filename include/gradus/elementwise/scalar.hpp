// elementwise/scalar.hpp   Arithmetic with a plain number, and the operators + - * / of Variables.
//     2 * x   x / 2   x + 1   1 - x   -x   1 / x      x + y   x - y   x * y   x / y
// Forward  scale: y = a*x        shift: y = x + a
// Backward scale: dx = a*dy      shift: dx = dy, passed on without a copy
// The number is rounded to Sum<T>: with x of type Half, x * 1e-3 multiplies by the float 1e-3.
// Cost     forward reads x and writes y; keeps nothing.
#pragma once

#include "gradus/elementwise/binary.hpp"
#include "gradus/elementwise/unary.hpp"

namespace gradus::inline GRADUS_ABI {

struct Scale {
    double factor;
    static constexpr const char* name = "scale";
    static constexpr From derivative_from = From::none;
    template <class S>
    GRADUS_HOST_DEVICE S value(S x) const {
        return x * Math::constant<S>(factor);
    }
    template <class S>
    GRADUS_HOST_DEVICE S derivative(S) const {
        return Math::constant<S>(factor);
    }
};

struct Shift {
    double offset;
    static constexpr const char* name = "shift";
    static constexpr From derivative_from = From::one;
    template <class S>
    GRADUS_HOST_DEVICE S value(S x) const {
        return x + Math::constant<S>(offset);
    }
    template <class S>
    GRADUS_HOST_DEVICE S derivative(S) const {
        return Math::constant<S>(1);
    }
};

template <FloatingElement T, Device D>
Variable<T, D> scale(const Variable<T, D>& x, double factor) {
    return unary(Scale{factor}, x);
}
template <FloatingElement T, Device D>
Variable<T, D> shift(const Variable<T, D>& x, double offset) {
    return unary(Shift{offset}, x);
}

template <FloatingElement T, Device D>
Variable<T, D> operator+(const Variable<T, D>& x, const Variable<T, D>& y) {
    return add(x, y);
}
template <FloatingElement T, Device D>
Variable<T, D> operator-(const Variable<T, D>& x, const Variable<T, D>& y) {
    return sub(x, y);
}
template <FloatingElement T, Device D>
Variable<T, D> operator*(const Variable<T, D>& x, const Variable<T, D>& y) {
    return mul(x, y);
}
template <FloatingElement T, Device D>
Variable<T, D> operator/(const Variable<T, D>& x, const Variable<T, D>& y) {
    return div(x, y);
}

template <FloatingElement T, Device D>
Variable<T, D> operator-(const Variable<T, D>& x) {
    return scale(x, -1);
}
template <FloatingElement T, Device D>
Variable<T, D> operator+(const Variable<T, D>& x, double a) {
    return shift(x, a);
}
template <FloatingElement T, Device D>
Variable<T, D> operator+(double a, const Variable<T, D>& x) {
    return shift(x, a);
}
template <FloatingElement T, Device D>
Variable<T, D> operator-(const Variable<T, D>& x, double a) {
    return shift(x, -a);
}
template <FloatingElement T, Device D>
Variable<T, D> operator-(double a, const Variable<T, D>& x) {
    return shift(scale(x, -1), a);
}
template <FloatingElement T, Device D>
Variable<T, D> operator*(const Variable<T, D>& x, double a) {
    return scale(x, a);
}
template <FloatingElement T, Device D>
Variable<T, D> operator*(double a, const Variable<T, D>& x) {
    return scale(x, a);
}
template <FloatingElement T, Device D>
Variable<T, D> operator/(const Variable<T, D>& x, double a) {
    return scale(x, 1 / a);
}
template <FloatingElement T, Device D>
Variable<T, D> operator/(double a, const Variable<T, D>& x) {
    return scale(reciprocal(x), a);
}

}  // namespace gradus::inline GRADUS_ABI
