// reduction/sum_cuda.cuh   The CUDA twins of sum.hpp; reduction_plan_cuda.cuh says who adds what, and in which order.
// Cost     forward reads x once, at the rate of the memory: one addition an element. Where it takes parts, at most 512
//          partial sums for each y. Backward writes dx once. It reads dy once for each lane and part; where the rows
//          of dx are not whole packs, once for each pack of dx.
// Roofline 4 bytes and one FLOP an element, 0.25 FLOP a byte, forward and backward: bound by the memory.
#pragma once

#include "gradus/machine/cuda/broadcast_map.hpp"
#include "gradus/machine/cuda/cuda_memory.hpp"
#include "gradus/reduction/reduction_plan_cuda.cuh"
#include "gradus/reduction/sum.hpp"

namespace gradus::inline GRADUS_ABI {

// Replaces or adds to M neighbours of y, of which the first `count` are there.
template <int M, class U>
__device__ __forceinline__ void put_results(U* y, const Sum<U>* value, Index count, Write mode) {
    using Results = Packed<U, M>;
    if (count >= M && reinterpret_cast<std::uintptr_t>(y) % sizeof(Results) == 0) {
        Results results{};
        if (mode == Write::add) results = *reinterpret_cast<const Results*>(y);
        for (int k = 0; k < M; ++k) put_element(results[k], value[k], mode);
        *reinterpret_cast<Results*>(y) = results;
        return;
    }
    for (int k = 0; k < M && k < count; ++k) put_element(y[k], value[k], mode);
}

// Four blocks a multiprocessor leave 64 registers a thread; left to itself the compiler takes 48 in Half on sm_120 and
// spills.
template <class T, class U>
__global__ void __launch_bounds__(reduction_threads, 4)
    sum_kernel(const T* x, ReductionPlan plan, Sum<T> factor, U* y, Write mode) {  // y (parts, A, B)
    constexpr int N = vector_length<T>;
    GRADUS_SHARED(Sum<T>, sums, [vector_length<T>][reduction_threads]);  // neighbouring threads use neighbouring banks
    const ReductionPlace place(plan);
    const T* const from = x + place.a * plan.elements;
    Sum<T> sum[N] = {};
    for (Index r = place.first; r < place.end; r += plan.lanes) {
        const Index i = r * plan.width + place.b;
        const Pack<T> pack = load_pack(from + i, plan.count(i, place.b));
        for (int k = 0; k < N; ++k) sum[k] += to_float(pack[k]);
    }
    const int t = static_cast<int>(threadIdx.x);
    for (int k = 0; k < N; ++k) sums[k][t] = sum[k];
    __syncthreads();
    for (int half = plan.lanes / 2; half > 0; half /= 2) {
        if (place.lane < half)
            for (int k = 0; k < N; ++k) sums[k][t] += sums[k][t + half * plan.columns];
        __syncthreads();
    }
    if (place.lane > 0 || !place.is_there(plan)) return;
    if (plan.folds) {
        Sum<T> total = 0;
        for (int k = 0; k < N; ++k) total += sums[k][t];
        put_element(y[place.part * plan.A + place.a], factor * total, mode);
        return;
    }
    for (int k = 0; k < N; ++k) sum[k] = factor * sums[k][t];
    constexpr int M = N < vector_length<U> ? N : vector_length<U>;  // a pack of T may be two packs of U
    U* const to = y + (place.part * plan.A + place.a) * plan.width + place.b;
    for (int k = 0; k < N; k += M) put_results<M>(to + k, sum + k, plan.width - place.b - k, mode);
}

// y(a, b) = factor * sum over r of x(a, r, b).
template <class T, class U>
void sum_middle_cuda(const T* x, const ReductionPlan& plan, Sum<T> factor, U* y, Write mode) {
    if (plan.results() == 0) return;
    if (plan.parts == 1) {
        launch(sum_kernel<T, U>, plan.blocks(), reduction_threads, 0, current_stream(), x, plan, factor, y, mode);
        return;
    }
    const CudaBuffer<Sum<T>> partial(plan.parts * plan.results());
    launch(sum_kernel<T, Sum<T>>, plan.blocks(), reduction_threads, 0, current_stream(), x, plan, Sum<T>(1),
           partial.data(), Write::overwrite);
    const ReductionPlan last(1, plan.parts, plan.results(), vector_length<Sum<T>>);
    sum_middle_cuda(static_cast<const Sum<T>*>(partial.data()), last.undivided(), factor, y, mode);
}

template <class T, class U>
void sum_groups_cuda(const T* x, std::vector<Broadcast::Group> groups, Sum<T> factor, U* y, Write mode) {
    const ReductionStep step(groups);
    const ReductionPlan plan(step.A, step.R, step.B, vector_length<T>);
    if (step.is_last) {
        sum_middle_cuda(x, plan, factor, y, mode);
        return;
    }
    const CudaBuffer<Sum<T>> once(plan.results());
    sum_middle_cuda(x, plan, Sum<T>(1), once.data(), Write::overwrite);
    sum_groups_cuda(static_cast<const Sum<T>*>(once.data()), groups, factor, y, mode);
}

template <class T, class U>
void sum_forward(Cuda, const Broadcast& pairs, Vector<const T> x, Sum<T> factor, Vector<U> y, Write mode) {
    if (y.size() > 0) sum_groups_cuda(x.data(), pairs.groups(), factor, y.data(), mode);
}

template <class T>
__global__ void __launch_bounds__(stride_threads)
    sum_backward_kernel(const __grid_constant__ StrideMap map, const T* dy, Sum<T> factor, T* dx, Index n, Write mode) {
    for (Index i = first_pack<T>(); i < n; i += pack_stride<T>()) {
        const Pack<T> slope = load_pack(dy, map, i, n - i);
        Sum<T> gradient[vector_length<T>];
        for (int k = 0; k < vector_length<T>; ++k) gradient[k] = factor * to_float(slope[k]);
        put_pack(dx + i, gradient, n - i, mode);
    }
}
// The same for dx (A, R, B) where B is whole packs: a thread reads a pack of dy once and writes it to all of its rows.
template <class T>
__global__ void __launch_bounds__(reduction_threads)
    sum_backward_rows_kernel(const T* dy, ReductionPlan plan, Sum<T> factor, T* dx, Write mode) {
    constexpr int N = vector_length<T>;
    const ReductionPlace place(plan);
    if (place.first >= place.end) return;
    const Pack<T> slope = load_pack(dy + place.a * plan.width + place.b, N);
    Sum<T> gradient[N];
    for (int k = 0; k < N; ++k) gradient[k] = factor * to_float(slope[k]);
    T* const to = dx + place.a * plan.elements + place.b;
    for (Index r = place.first; r < place.end; r += plan.lanes) put_pack(to + r * plan.width, gradient, N, mode);
}

template <class T>
void sum_backward(Cuda, const Broadcast& pairs, Vector<const T> dy, Sum<T> factor, Vector<T> dx, Write mode) {
    if (dx.size() == 0) return;
    std::vector<Broadcast::Group> groups = pairs.groups();
    const ReductionStep step(groups);
    if (step.is_last && step.B % vector_length<T> == 0) {
        const ReductionPlan plan(step.A, step.R, step.B, vector_length<T>);
        launch(sum_backward_rows_kernel<T>, plan.blocks(), reduction_threads, 0, current_stream(), dy.data(), plan,
               factor, dx.data(), mode);
        return;
    }
    launch(sum_backward_kernel<T>, pack_blocks<T>(dx.size()), stride_threads, 0, current_stream(), map_of_x(pairs),
           dy.data(), factor, dx.data(), dx.size(), mode);
}

}  // namespace gradus::inline GRADUS_ABI
