// shaping/rows_cuda.cuh   The CUDA twins of rows.hpp.
// What is selected is a walk through `large` with three strides (stride_map.hpp): rows of B neighbours, `count` rows
// that are `step` rows apart, A matrices. With step 1 the rows of one a join to one run.
// A thread takes element i of one side, in order, and looks the other side up. Where all runs begin and end at
// multiples of 16 bytes it takes packs of them. Elsewhere neighbouring threads take neighbouring elements, which is
// less at once, and divide for every element; along a run both sides still move whole sectors.
// Cost     reads and writes what is selected once; with Rest::zero it writes all of `large`, in the same pass.
// Roofline 8 bytes for each selected element and no arithmetic, 0 FLOP a byte: bound by the memory.
#pragma once

#include <numeric>

#include "gradus/machine/cuda/cuda_memory.hpp"
#include "gradus/machine/cuda/stride_map.hpp"
#include "gradus/shaping/rows.hpp"

namespace gradus::inline GRADUS_ABI {

template <class T>
bool begin_at_packs(const T* x, const T* y) {
    return reinterpret_cast<std::uintptr_t>(x) % sizeof(Pack<T>) == 0 &&
           reinterpret_cast<std::uintptr_t>(y) % sizeof(Pack<T>) == 0;
}
// Whether packs of a walk are aligned packs on the other side, which begins at `other`.
template <class T>
bool moves_in_packs(const StrideMap& map, const T* walked, const T* other) {
    bool are_aligned = map.are_neighbours(vector_length<T>) && begin_at_packs(walked, other);
    for (int d = 1; d < map.dimensions; ++d) are_aligned = are_aligned && map.stride[d] % vector_length<T> == 0;
    return are_aligned;
}

// y(i) = x(map(i))
template <class T>
__global__ void __launch_bounds__(stride_threads)
    gather_packs_kernel(const __grid_constant__ StrideMap map, const T* x, T* y, Index n, Write mode) {
    for (Index i = first_pack<T>(); i < n; i += pack_stride<T>()) {
        const Pack<T> pack = load_pack(x, map, i, n - i);
        if (mode == Write::overwrite) {
            store_pack(y + i, pack, n - i);
            continue;
        }
        Sum<T> value[vector_length<T>];
        for (int k = 0; k < vector_length<T>; ++k) value[k] = to_float(pack[k]);
        put_pack(y + i, value, n - i, mode);
    }
}
template <class T>
__global__ void __launch_bounds__(stride_threads)
    gather_elements_kernel(const __grid_constant__ StrideMap map, const T* x, T* y, Index n, Write mode) {
    for (Index i = grid_thread(); i < n; i += grid_threads()) put_element(y[i], to_float(x[map.index(i)]), mode);
}
template <class T>
void gather_cuda(const StrideMap& map, const T* x, T* y, Index n, Write mode) {
    if (n == 0) return;
    if (moves_in_packs(map, y, x))
        launch(gather_packs_kernel<T>, pack_blocks<T>(n), stride_threads, 0, current_stream(), map, x, y, n, mode);
    else
        launch(gather_elements_kernel<T>, stride_blocks(n), stride_threads, 0, current_stream(), map, x, y, n, mode);
}

// y(map(i)) = x(i)
template <class T>
__global__ void __launch_bounds__(stride_threads)
    scatter_packs_kernel(const __grid_constant__ StrideMap map, const T* x, T* y, Index n, Write mode) {
    for (Index i = first_pack<T>(); i < n; i += pack_stride<T>()) {
        const Pack<T> pack = load_pack(x + i, n - i);
        Sum<T> value[vector_length<T>];
        for (int k = 0; k < vector_length<T>; ++k) value[k] = to_float(pack[k]);
        put_pack(y + map.index(i), value, n - i, mode);
    }
}
template <class T>
__global__ void __launch_bounds__(stride_threads)
    scatter_elements_kernel(const __grid_constant__ StrideMap map, const T* x, T* y, Index n, Write mode) {
    for (Index i = grid_thread(); i < n; i += grid_threads()) put_element(y[map.index(i)], to_float(x[i]), mode);
}

// The rows with a larger B: what R, start and count have in common moves into it. So 8 of 32 channels, from the 16th
// on, are one row of 8 out of 4.
inline Rows with_longer_rows(Rows rows) {
    if (rows.step != 1) return rows;
    const Index common = std::gcd(std::gcd(rows.R, rows.start), rows.count);
    if (common <= 1) return rows;
    return {rows.A, rows.R / common, rows.B * common, rows.start / common, 1, rows.count / common};
}
// Element i of `small` is element start * B + map(i) of `large`.
inline StrideMap selection(const Rows& rows) {
    StrideMap map;
    map.add(rows.B, 1);
    map.add(rows.count, rows.step * rows.B);
    map.add(rows.A, rows.R * rows.B);
    return map;
}

template <class T>
void take_rows(Cuda, const Rows& rows, Vector<const T> large, Vector<T> small, Write mode) {
    gather_cuda(selection(rows), large.data() + rows.start * rows.B, small.data(), small.size(), mode);
}

// Where element i of `large` lies in `small`; -1 where its row is not selected.
__device__ __forceinline__ Index selected_element(const Rows& rows, Index i) {
    const Index row = i / rows.B, from_start = row % rows.R - rows.start, number = from_start / rows.step;
    if (from_start < 0 || number >= rows.count || number * rows.step != from_start) return -1;
    return (row / rows.R * rows.count + number) * rows.B + i % rows.B;
}
template <class T>
__global__ void __launch_bounds__(stride_threads) place_packs_kernel(Rows rows, const T* small, T* large, Index n) {
    for (Index i = first_pack<T>(); i < n; i += pack_stride<T>()) {  // B is a multiple of a pack
        const Index j = selected_element(rows, i);
        Pack<T> pack{};
        if (j >= 0) pack = load_pack(small + j, n - i);
        store_pack(large + i, pack, n - i);
    }
}
template <class T>
__global__ void __launch_bounds__(stride_threads) place_elements_kernel(Rows rows, const T* small, T* large, Index n) {
    for (Index i = grid_thread(); i < n; i += grid_threads()) {
        const Index j = selected_element(rows, i);
        large[i] = j >= 0 ? small[j] : T(0);
    }
}

template <class T>
void place_rows(Cuda, const Rows& rows, Vector<const T> small, Vector<T> large, Rest rest, Write mode) {
    const bool fills = rest == Rest::zero && mode == Write::overwrite;
    const Index n = fills ? large.size() : small.size();
    if (n == 0) return;
    if (fills) {
        const Rows longer = with_longer_rows(rows);
        if (longer.B % vector_length<T> == 0 && begin_at_packs(small.data(), large.data()))
            launch(place_packs_kernel<T>, pack_blocks<T>(n), stride_threads, 0, current_stream(), longer, small.data(),
                   large.data(), n);
        else
            launch(place_elements_kernel<T>, stride_blocks(n), stride_threads, 0, current_stream(), longer,
                   small.data(), large.data(), n);
        return;
    }
    const StrideMap map = selection(rows);
    T* const to = large.data() + rows.start * rows.B;
    if (moves_in_packs<T>(map, small.data(), to))
        launch(scatter_packs_kernel<T>, pack_blocks<T>(n), stride_threads, 0, current_stream(), map, small.data(), to,
               n, mode);
    else
        launch(scatter_elements_kernel<T>, stride_blocks(n), stride_threads, 0, current_stream(), map, small.data(), to,
               n, mode);
}

}  // namespace gradus::inline GRADUS_ABI
