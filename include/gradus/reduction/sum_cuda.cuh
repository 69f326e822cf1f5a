// reduction/sum_cuda.cuh   The CUDA twins of sum.hpp.
// A sum over one block of neighbouring dimensions turns (A, R, B) into (A, B), as in sum_cpu.hpp; any other set of
// dimensions is a series of such sums.
// A block of 256 threads stands for `columns` neighbouring values of b, a power of two up to 32, and 256 / columns
// lanes: thread t adds the elements of column t % columns in the rows lane, lane + lanes, ... Neighbouring threads read
// neighbouring elements whether B is 1 or large. Then the lanes are added as a tree in shared memory.
// Where A and B give few blocks, R is cut into parts, whose sums a second launch adds. How, depends on A, R and B
// alone, and no atomics are used: every card and every run gives the same bits.
// Cost     reads x once, at the rate of the memory; at most a few thousand partial sums.
#pragma once

#include "gradus/machine/cuda/broadcast_map.hpp"
#include "gradus/machine/cuda/cuda_memory.hpp"
#include "gradus/reduction/sum.hpp"

namespace gradus::inline GRADUS_ABI {

inline constexpr int sum_threads = 256;

// How the blocks of a sum share (A, R, B).
struct SumPlan {
    Index A, R, B;
    int columns;          // of a block
    Index column_blocks;  // that cover B
    Index parts, rows;    // of R, and the rows in each

    SumPlan(Index a, Index r, Index b) : A(a), R(r), B(b), columns(1) {
        while (columns < B && columns < 32) columns *= 2;
        column_blocks = (B + columns - 1) / columns;
        const Index lanes = sum_threads / columns, blocks = A * column_blocks;
        // 512 blocks of 256 threads occupy a card. A part has at least 16 rows for every lane.
        parts = std::clamp<Index>(512 / std::max<Index>(blocks, 1), 1, std::max<Index>(R / (16 * lanes), 1));
        rows = (R + parts - 1) / parts;
    }
};

template <class T, class U>
__global__ void __launch_bounds__(sum_threads)
    sum_kernel(const T* x, SumPlan plan, Sum<T> factor, U* y, Write mode) {  // y (parts, A, B)
    GRADUS_SHARED(Sum<T>, sums, [sum_threads]);
    const int t = static_cast<int>(threadIdx.x), lanes = sum_threads / plan.columns, lane = t / plan.columns;
    const Index b = blockIdx.x % plan.column_blocks * plan.columns + t % plan.columns;
    const Index rest = blockIdx.x / plan.column_blocks, a = rest % plan.A, part = rest / plan.A;
    const Index end = min((part + 1) * plan.rows, plan.R);
    Sum<T> sum = 0;
    if (b < plan.B)
        for (Index r = part * plan.rows + lane; r < end; r += lanes) sum += to_float(x[(a * plan.R + r) * plan.B + b]);
    sums[t] = sum;
    __syncthreads();
    for (int half = lanes / 2; half > 0; half /= 2) {
        if (lane < half) sums[t] += sums[t + half * plan.columns];
        __syncthreads();
    }
    if (lane == 0 && b < plan.B) {
        U& target = y[(part * plan.A + a) * plan.B + b];
        Sum<U> value = static_cast<Sum<U>>(factor * sums[t]);
        if (mode == Write::add) value += to_float(target);
        target = from_float<U>(value);
    }
}

// y(a, b) = factor * sum over r of x(a, r, b).
template <class T, class U>
void sum_middle_cuda(const T* x, const SumPlan& plan, Sum<T> factor, U* y, Write mode) {
    const auto blocks = static_cast<unsigned>(plan.parts * plan.A * plan.column_blocks);
    if (plan.parts == 1) {
        launch(sum_kernel<T, U>, blocks, sum_threads, 0, current_stream(), x, plan, factor, y, mode);
        return;
    }
    const CudaBuffer<Sum<T>> partial(plan.parts * plan.A * plan.B);
    launch(sum_kernel<T, Sum<T>>, blocks, sum_threads, 0, current_stream(), x, plan, Sum<T>(1), partial.data(),
           Write::overwrite);
    // The parts are rows of a matrix (parts, A * B).
    SumPlan last(1, plan.parts, plan.A * plan.B);
    last.parts = 1;
    last.rows = last.R;
    sum_middle_cuda(static_cast<const Sum<T>*>(partial.data()), last, factor, y, mode);
}

// The blocks of dimensions in `groups`, of which the last repeated one is summed, then the one before, and so on.
template <class T, class U>
void sum_groups_cuda(const T* x, std::vector<Broadcast::Group> groups, Sum<T> factor, U* y, Write mode) {
    Index A = 1, R = 1, B = 1;
    std::size_t summed = groups.size();  // the last repeated group
    int repeated = 0;
    for (std::size_t g = groups.size(); g-- > 0;) {
        if (groups[g].repeats_x && repeated++ == 0) summed = g;
    }
    for (std::size_t g = 0; g < groups.size(); ++g) {
        Index& extent = g < summed ? A : g == summed ? R : B;
        extent *= groups[g].extent;
    }
    if (repeated <= 1) {
        sum_middle_cuda(x, SumPlan(A, R, B), factor, y, mode);
        return;
    }
    const CudaBuffer<Sum<T>> once(A * B);
    if (A * B > 0) sum_middle_cuda(x, SumPlan(A, R, B), Sum<T>(1), once.data(), Write::overwrite);
    groups.erase(groups.begin() + static_cast<std::ptrdiff_t>(summed));
    sum_groups_cuda(static_cast<const Sum<T>*>(once.data()), groups, factor, y, mode);
}

template <class T, class U>
void sum_forward(Cuda, const Broadcast& pairs, Vector<const T> x, Sum<T> factor, Vector<U> y, Write mode) {
    if (y.size() > 0) sum_groups_cuda(x.data(), pairs.groups(), factor, y.data(), mode);
}

template <class T>
__global__ void __launch_bounds__(stride_threads)
    sum_backward_kernel(BroadcastMap map, const T* dy, Sum<T> factor, T* dx, Index n, Write mode) {
    for (Index i = first_pack<T>(); i < n; i += pack_stride<T>()) {
        const Pack<T> slope = load_pack(dy, map, i, n - i);
        Sum<T> gradient[vector_length<T>];
        for (int k = 0; k < vector_length<T>; ++k) gradient[k] = factor * to_float(slope[k]);
        put_pack(dx + i, gradient, n - i, mode);
    }
}
template <class T>
void sum_backward(Cuda, const Broadcast& pairs, Vector<const T> dy, Sum<T> factor, Vector<T> dx, Write mode) {
    if (dx.size() == 0) return;
    launch(sum_backward_kernel<T>, pack_blocks<T>(dx.size()), stride_threads, 0, current_stream(),
           BroadcastMap(pairs, false), dy.data(), factor, dx.data(), dx.size(), mode);
}

}  // namespace gradus::inline GRADUS_ABI
