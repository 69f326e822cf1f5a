// reduction/max_cuda.cuh   The CUDA twins of max.hpp; reduction_plan_cuda.cuh says who compares what.
// A candidate is a value and the row that it is in. Which of two wins does not depend on who asks first: the larger
// one, a NaN before all numbers, and of equal ones the one in the lower row. So any order of comparisons finds the
// first largest element.
// Where it takes a second pass, over parts or over another block of dimensions, the input of that pass are the winners:
// their values, and beside them where each is in x. They lie in the order of x, so the lower row is still the first.
// Cost     reads x once, at the rate of the memory: one comparison an element. Backward fills dx with zeros and writes
//          one element of dx for each of dy.
// Roofline 4 bytes and one comparison an element, 0.25 FLOP a byte: bound by the memory.
#pragma once

#include "gradus/machine/cuda/cuda_memory.hpp"
#include "gradus/machine/cuda/stride_map.hpp"
#include "gradus/reduction/max.hpp"
#include "gradus/reduction/reduction_plan_cuda.cuh"

namespace gradus::inline GRADUS_ABI {

// 32 bits are enough for the rows of a part, or its elements where B is 1: a reduction that long has 256 parts and
// blocks at least, so x would have 2^39 elements.
template <class S>
struct MaxCandidate {
    S value;
    int row;  // -1: nothing yet

    __device__ __forceinline__ void meet(const MaxCandidate& other) {
        if (other.row < 0) return;
        const bool is_first = other.row < row && !is_above(value, other.value);
        if (row < 0 || is_above(other.value, value) || is_first) *this = other;
    }
};

// The winner, element i of x, as result number `to`.
template <class S>
__device__ __forceinline__ void put_winner(const MaxCandidate<S>& winner, Index i, const std::int64_t* where, Index to,
                                           S* values, std::int64_t* positions) {
    positions[to] = where == nullptr ? i : where[i];
    if (values != nullptr) values[to] = winner.value;
}

// positions (parts, A, B), and values unless null. `where` says where in all of x the elements of this x are; null: x
// is all of it.
template <class T>
__global__ void __launch_bounds__(reduction_threads)
    max_kernel(const T* x, const std::int64_t* where, ReductionPlan plan, Sum<T>* values, std::int64_t* positions) {
    constexpr int N = vector_length<T>;
    GRADUS_SHARED(Sum<T>, best_values, [vector_length<T>][reduction_threads]);
    GRADUS_SHARED(int, best_rows, [vector_length<T>][reduction_threads]);
    const ReductionPlace place(plan);
    const Index a_begin = place.a * plan.elements, part_begin = place.part * plan.part_rows;
    MaxCandidate<Sum<T>> best[N];
    for (int k = 0; k < N; ++k) best[k] = {0, -1};
    for (Index r = place.first; r < place.end; r += plan.lanes) {
        const Index i = r * plan.width + place.b, count = plan.count(i, place.b);
        const Pack<T> pack = load_pack(x + a_begin + i, count);
        for (int k = 0; k < N; ++k)
            if (k < count) best[k].meet({to_float(pack[k]), static_cast<int>(r - part_begin)});
    }
    const int t = static_cast<int>(threadIdx.x);
    for (int k = 0; k < N; ++k) {
        best_values[k][t] = best[k].value;
        best_rows[k][t] = best[k].row;
    }
    __syncthreads();
    for (int half = plan.lanes / 2; half > 0; half /= 2) {
        if (place.lane < half)
            for (int k = 0; k < N; ++k) {
                const int other = t + half * plan.columns;
                best[k].meet({best_values[k][other], best_rows[k][other]});
                best_values[k][t] = best[k].value;
                best_rows[k][t] = best[k].row;
            }
        __syncthreads();
    }
    if (place.lane > 0 || !place.is_there(plan)) return;
    const Index to = (place.part * plan.A + place.a) * (plan.folds ? 1 : plan.width) + place.b;
    const Index part_at = a_begin + part_begin * plan.width;
    if (plan.folds) {
        for (int k = 0; k < N; ++k)
            if (best[k].row >= 0) best[k].row = best[k].row * N + k;  // an element is a row of its own
        for (int k = 1; k < N; ++k) best[0].meet(best[k]);
        put_winner(best[0], part_at + best[0].row, where, to, values, positions);
        return;
    }
    for (int k = 0; k < N; ++k)
        if (place.b + k < plan.width)
            put_winner(best[k], part_at + best[k].row * plan.width + place.b + k, where, to + k, values, positions);
}

template <class T>
void max_middle_cuda(const T* x, const std::int64_t* where, const ReductionPlan& plan, Sum<T>* values,
                     std::int64_t* positions) {
    if (plan.results() == 0) return;
    if (plan.parts == 1) {
        launch(max_kernel<T>, plan.blocks(), reduction_threads, 0, current_stream(), x, where, plan, values, positions);
        return;
    }
    const CudaBuffer<Sum<T>> part_values(plan.parts * plan.results());
    const CudaBuffer<std::int64_t> part_positions(plan.parts * plan.results());
    launch(max_kernel<T>, plan.blocks(), reduction_threads, 0, current_stream(), x, where, plan, part_values.data(),
           part_positions.data());
    const ReductionPlan last(1, plan.parts, plan.results(), vector_length<Sum<T>>);
    max_middle_cuda<Sum<T>>(part_values.data(), part_positions.data(), last.undivided(), values, positions);
}

template <class T>
void max_groups_cuda(const T* x, const std::int64_t* where, std::vector<Broadcast::Group> groups,
                     std::int64_t* positions) {
    const ReductionStep step(groups);
    const ReductionPlan plan(step.A, step.R, step.B, vector_length<T>);
    if (step.is_last) {
        max_middle_cuda(x, where, plan, static_cast<Sum<T>*>(nullptr), positions);
        return;
    }
    const CudaBuffer<Sum<T>> once(plan.results());
    const CudaBuffer<std::int64_t> once_positions(plan.results());
    max_middle_cuda(x, where, plan, once.data(), once_positions.data());
    max_groups_cuda<Sum<T>>(once.data(), once_positions.data(), groups, positions);
}

template <class T>
void max_positions(Cuda, const Broadcast& pairs, Vector<const T> x, Vector<std::int64_t> positions) {
    if (positions.size() > 0)
        max_groups_cuda(x.data(), static_cast<const std::int64_t*>(nullptr), pairs.groups(), positions.data());
}

// One thread an element of y, which is small beside x.
template <class T>
__global__ void __launch_bounds__(stride_threads)
    max_forward_kernel(const T* x, const std::int64_t* positions, T* y, Index n) {
    for (Index j = grid_thread(); j < n; j += grid_threads()) y[j] = x[positions[j]];
}
template <class T>
void max_forward(Cuda, Vector<const T> x, Vector<const std::int64_t> positions, Vector<T> y) {
    if (y.size() == 0) return;
    launch(max_forward_kernel<T>, stride_blocks(y.size()), stride_threads, 0, current_stream(), x.data(),
           positions.data(), y.data(), y.size());
}

// No two of the positions are the same, because an x belongs to one y only: nobody else adds to this dx.
template <class T>
__global__ void __launch_bounds__(stride_threads)
    max_backward_kernel(const std::int64_t* positions, const T* dy, T* dx, Index n, Write mode) {
    for (Index j = grid_thread(); j < n; j += grid_threads()) put_element(dx[positions[j]], to_float(dy[j]), mode);
}
template <class T>
void max_backward(Cuda, Vector<const std::int64_t> positions, Vector<const T> dy, Vector<T> dx, Write mode) {
    if (mode == Write::overwrite) zero_bytes(Cuda{}, dx.data(), static_cast<std::size_t>(dx.size()) * sizeof(T));
    if (dy.size() == 0) return;
    launch(max_backward_kernel<T>, stride_blocks(dy.size()), stride_threads, 0, current_stream(), positions.data(),
           dy.data(), dx.data(), dy.size(), mode);
}

template <class Position>
__global__ void __launch_bounds__(stride_threads)
    positions_along_kernel(Position* positions, Index stride, Index extent, Index n) {
    for (Index j = grid_thread(); j < n; j += grid_threads()) positions[j] = positions[j] / stride % extent;
}
inline void positions_along(Cuda, Vector<std::int64_t> positions, Index stride, Index extent) {
    if (positions.size() == 0) return;
    launch(positions_along_kernel<std::int64_t>, stride_blocks(positions.size()), stride_threads, 0, current_stream(),
           positions.data(), stride, extent, positions.size());
}

}  // namespace gradus::inline GRADUS_ABI
