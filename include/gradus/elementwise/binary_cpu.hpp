// elementwise/binary_cpu.hpp   The fast twins of binary.hpp: runs along which each operand walks or stands still. The
// gradient of a repeated operand is first formed for every element of z, in Sum<T>, then summed as in sum_cpu.hpp.
#pragma once

#include "gradus/elementwise/binary.hpp"

namespace gradus::inline GRADUS_ABI {

// Whether an operand stands still along a run.
struct Repeats {
    bool x = false, y = false;

    explicit Repeats(const Broadcast& pairs) {
        if (pairs.groups().empty()) return;
        x = pairs.groups().back().repeats_x;
        y = pairs.groups().back().repeats_y;
    }
};

template <class Function, class T>
void binary_run(const Function& g, const T* x, const T* y, Repeats repeats, T* z, Index count) {
    for (Index i = 0; i < count; ++i) z[i] = T(g.value(Sum<T>(x[repeats.x ? 0 : i]), Sum<T>(y[repeats.y ? 0 : i])));
}
template <class Function>
void binary_run(const Function& g, const float* x, const float* y, Repeats repeats, float* z, Index count) {
    for (Index i = 0; i < count; i += vec_floats) {
        const Vec a = repeats.x ? broadcast(*x) : load(x + i);
        const Vec b = repeats.y ? broadcast(*y) : load(y + i);
        store_some(z + i, g.value(a, b), std::min<Index>(vec_floats, count - i));
    }
}

template <class Function, class T>
void binary_forward(Cpu, const Function& g, const Broadcast& pairs, Vector<const T> x, Vector<const T> y, Vector<T> z) {
    const Repeats repeats(pairs);
    for_broadcast_runs(pairs, [&](Index i, Index a, Index b, Index count) {
        binary_run(g, x.data() + a, y.data() + b, repeats, z.data() + i, count);
    });
}

// out = dz * dg/doperand along a run.
template <class Function, class T, class U>
void binary_slope_run(const Function& g, Operand operand, const T* x, const T* y, Repeats repeats, const T* dz, U* out,
                      Index count, Write mode) {
    for (Index i = 0; i < count; ++i) {
        const Sum<T> a = Sum<T>(x[repeats.x ? 0 : i]), b = Sum<T>(y[repeats.y ? 0 : i]);
        put(out[i], Sum<T>(dz[i]) * (operand == Operand::x ? g.dx(a, b) : g.dy(a, b)), mode);
    }
}
template <class Function>
void binary_slope_run(const Function& g, Operand operand, const float* x, const float* y, Repeats repeats,
                      const float* dz, float* out, Index count, Write mode) {
    for (Index i = 0; i < count; i += vec_floats) {
        const Index lanes = std::min<Index>(vec_floats, count - i);
        const Vec a = repeats.x ? broadcast(*x) : load(x + i);
        const Vec b = repeats.y ? broadcast(*y) : load(y + i);
        Vec product = load(dz + i) * (operand == Operand::x ? g.dx(a, b) : g.dy(a, b));
        if (mode == Write::add) product += load_some(out + i, lanes);
        store_some(out + i, product, lanes);
    }
}

template <class Function, class T, class U>
void binary_slopes(const Function& g, Operand operand, const Broadcast& pairs, Vector<const T> x, Vector<const T> y,
                   Vector<const T> dz, U* out, Write mode) {
    const Repeats repeats(pairs);
    for_broadcast_runs(pairs, [&](Index i, Index a, Index b, Index count) {
        binary_slope_run(g, operand, x.data() + a, y.data() + b, repeats, dz.data() + i, out + i, count, mode);
    });
}

template <class Function, class T>
void binary_backward(Cpu, const Function& g, Operand operand, const Broadcast& pairs, Vector<const T> x,
                     Vector<const T> y, Vector<const T> dz, Vector<T> gradient, Write mode) {
    if (gradient.size() == dz.size()) {
        binary_slopes(g, operand, pairs, x, y, dz, gradient.data(), mode);
        return;
    }
    if (gradient.size() == 0) return;
    std::vector<Broadcast::Group> groups = pairs.groups();
    for (Broadcast::Group& group : groups) group.repeats_x = operand == Operand::x ? group.repeats_x : group.repeats_y;
    if ((operand == Operand::x ? Function::dx_from : Function::dy_from) == Operands::one) {
        sum_groups(dz.data(), groups, Sum<T>(1), gradient.data(), mode);
        return;
    }
    const HostBuffer<Sum<T>> products(dz.size());
    binary_slopes(g, operand, pairs, x, y, dz, products.data(), Write::overwrite);
    sum_groups(static_cast<const Sum<T>*>(products.data()), groups, Sum<T>(1), gradient.data(), mode);
}

}  // namespace gradus::inline GRADUS_ABI
