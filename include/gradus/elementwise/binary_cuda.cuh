// elementwise/binary_cuda.cuh   The CUDA twins of binary.hpp: packs of z, a grid-stride loop (grid_stride.hpp).
// An operand is read in packs too where the last dimensions that walk together are a multiple of a pack, as channels
// are; elsewhere element by element. The gradient of a repeated operand is first formed for every element of z, in
// Sum<T>, then summed as in sum_cuda.cuh.
// A row of channels that divides a block's packs stays in a thread's registers; so that this is worth something, there
// are only so many threads then that each has two packs.
// Cost     forward reads each operand once, though a repeated one mostly from the cache, and writes z.
// Roofline 12 bytes and one FLOP an element, 0.08 FLOP a byte; with a row of channels 8 bytes, 0.12. The slopes of a
//          quotient have 16 bytes and 4 FLOP, 0.25. All are bound by the memory.
#pragma once

#include "gradus/elementwise/binary.hpp"
#include "gradus/reduction/sum_cuda.cuh"

namespace gradus::inline GRADUS_ABI {

// The grid is a number of blocks, and so many elements are a block's packs: a row that divides them meets a thread in
// the same place in all of its packs.
template <class T>
inline constexpr Index block_elements = Index{stride_threads} * vector_length<T>;

template <class Function, class T>
__global__ void __launch_bounds__(stride_threads)
    binary_forward_kernel(Function g, const __grid_constant__ StrideMap x_map, const __grid_constant__ StrideMap y_map,
                          const T* x, const T* y, T* z, Index n) {
    const bool x_stays = x_map.repeats_after(block_elements<T>), y_stays = y_map.repeats_after(block_elements<T>);
    const Index first = first_pack<T>();
    Pack<T> a{}, b{};
    for (Index i = first; i < n; i += pack_stride<T>()) {
        if (i == first || !x_stays) a = load_pack(x, x_map, i, n - i);
        if (i == first || !y_stays) b = load_pack(y, y_map, i, n - i);
        Pack<T> out;
        for (int k = 0; k < vector_length<T>; ++k) out[k] = from_float<T>(g.value(to_float(a[k]), to_float(b[k])));
        store_pack(z + i, out, n - i);
    }
}
template <class Function, class T>
void binary_forward(Cuda, const Function& g, const Broadcast& pairs, Vector<const T> x, Vector<const T> y,
                    Vector<T> z) {
    if (z.size() == 0) return;
    const StrideMap x_map = map_of_x(pairs), y_map = map_of_y(pairs);
    const bool has_row = x_map.repeats_after(block_elements<T>) || y_map.repeats_after(block_elements<T>);
    launch(binary_forward_kernel<Function, T>, pack_blocks<T>(has_row ? (z.size() + 1) / 2 : z.size()), stride_threads,
           0, current_stream(), g, x_map, y_map, x.data(), y.data(), z.data(), z.size());
}

// out = dz * dg/doperand, for every element of z. U is T or Sum<T>.
template <class Function, class T, class U>
__global__ void __launch_bounds__(stride_threads)
    binary_slopes_kernel(Function g, Operand operand, const __grid_constant__ StrideMap x_map,
                         const __grid_constant__ StrideMap y_map, const T* x, const T* y, const T* dz, U* out, Index n,
                         Write mode) {
    constexpr int N = vector_length<T>, M = vector_length<U>;  // a pack of T is one or two of U
    for (Index i = first_pack<T>(); i < n; i += pack_stride<T>()) {
        const Pack<T> a = load_pack(x, x_map, i, n - i), b = load_pack(y, y_map, i, n - i);
        const Pack<T> slope = load_pack(dz + i, n - i);
        for (int part = 0; part < N; part += M) {
            Sum<T> product[M];
            for (int k = 0; k < M; ++k) {
                const Sum<T> u = to_float(a[part + k]), v = to_float(b[part + k]);
                product[k] = to_float(slope[part + k]) * (operand == Operand::x ? g.dx(u, v) : g.dy(u, v));
            }
            put_pack(out + i + part, product, n - i - part, mode);
        }
    }
}

template <class Function, class T, class U>
void binary_slopes_cuda(const Function& g, Operand operand, const Broadcast& pairs, Vector<const T> x,
                        Vector<const T> y, Vector<const T> dz, U* out, Write mode) {
    if (dz.size() == 0) return;
    launch(binary_slopes_kernel<Function, T, U>, pack_blocks<T>(dz.size()), stride_threads, 0, current_stream(), g,
           operand, map_of_x(pairs), map_of_y(pairs), x.data(), y.data(), dz.data(), out, dz.size(), mode);
}

template <class Function, class T>
void binary_backward(Cuda, const Function& g, Operand operand, const Broadcast& pairs, Vector<const T> x,
                     Vector<const T> y, Vector<const T> dz, Vector<T> gradient, Write mode) {
    if (gradient.size() == dz.size()) {
        binary_slopes_cuda(g, operand, pairs, x, y, dz, gradient.data(), mode);
        return;
    }
    if (gradient.size() == 0) return;
    std::vector<Broadcast::Group> groups = pairs.groups();
    for (Broadcast::Group& group : groups) group.repeats_x = operand == Operand::x ? group.repeats_x : group.repeats_y;
    if ((operand == Operand::x ? Function::dx_from : Function::dy_from) == Operands::one) {
        sum_groups_cuda(dz.data(), groups, Sum<T>(1), gradient.data(), mode);
        return;
    }
    const CudaBuffer<Sum<T>> products(dz.size());
    binary_slopes_cuda(g, operand, pairs, x, y, dz, products.data(), Write::overwrite);
    sum_groups_cuda(static_cast<const Sum<T>*>(products.data()), groups, Sum<T>(1), gradient.data(), mode);
}

}  // namespace gradus::inline GRADUS_ABI
