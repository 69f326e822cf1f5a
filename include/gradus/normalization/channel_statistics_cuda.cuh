// normalization/channel_statistics_cuda.cuh   Mean and variance of every channel, in one pass over x.
// Problem  sum x^2 - (sum x)^2 / M cancels where the mean is large; subtracting the mean first needs a second pass.
// Answer   Three steps, none of which cancels:
//   (1) v = x - s, with s the channel's element of the first row: what is left of the mean is a deviation or two.
//   (2) A thread takes the values of its rows one by one (Welford 1962, Technometrics 4, 419). Of n - 1 values let a be
//       the mean and q = sum (v - a)^2. With the n-th value v
//           a' = a + (v - a) / n
//           q' = q + (v - a)^2 (n-1)/n = q + (v - a)(v - a')          because v - a' = (v - a)(n-1)/n
//   (3) Lanes, and then parts, are merged: of two sets of n1 and n2 values, with n = n1 + n2,
//           a = a1 + (a2 - a1) n2/n,    q = q1 + q2 + (a2 - a1)^2 n1 n2/n
//       (Chan, Golub, LeVeque 1983, The American Statistician 37, 242, "Algorithms for computing the sample variance";
//       with n2 = 1 it is (2)).
// Error    of the variance, by the bounds of that paper: about n eps k, relative, with n the longest chain of steps, a
//          lane's rows and some merges, and k^2 = 1 + d^2/var, d the mean of v. s is drawn from the channel, so k is 1
//          or 2, however large the mean is. Even in the worst case d^2 < M var: s is one of the M values.
// Cost     reads x once; a reciprocal for each row and five operations for each element. The parts' a and q are written
//          and read again: 8 bytes a channel, for 8 rows of 4 to 256 lanes where x is large.
// Roofline 4 bytes an element, and 3 FLOP for any variance, 0.75 FLOP a byte; here 7, 1.75. Bound by the memory.
#pragma once

#include "gradus/normalization/batch_norm.hpp"
#include "gradus/normalization/channel_grid_cuda.cuh"

namespace gradus::inline GRADUS_ABI {

// Of n values: their mean a, and q = sum (v - a)^2.
template <class S>
struct ChannelMoments {
    S n, a, q;
};
// (3)
template <class S>
__device__ __forceinline__ ChannelMoments<S> merge_moments(const ChannelMoments<S>& x, const ChannelMoments<S>& y) {
    if (y.n == 0) return x;
    const S n = x.n + y.n, share = y.n / n, difference = y.a - x.a;
    return {n, x.a + difference * share, x.q + y.q + difference * difference * x.n * share};
}

// The moments of a block's threads, in shared memory; neighbouring threads in neighbouring banks.
template <class S, int N>
struct BlockMoments {
    S n[channel_block], a[N][channel_block], q[N][channel_block];

    __device__ __forceinline__ void put(int t, int i, const ChannelMoments<S>& moments) {
        n[t] = moments.n;
        a[i][t] = moments.a;
        q[i][t] = moments.q;
    }
    __device__ __forceinline__ ChannelMoments<S> get(int t, int i) const { return {n[t], a[i][t], q[i][t]}; }

    // Afterwards lane 0 has what all lanes had.
    __device__ __forceinline__ void merge_lanes(const ChannelGrid& grid) {
        const int t = static_cast<int>(threadIdx.x), lane = t / grid.columns;
        for (int lanes = grid.lanes; lanes > 1;) {
            const int half = (lanes + 1) / 2;
            __syncthreads();
            if (lane < lanes - half) {
                const int other = t + half * grid.columns;
                ChannelMoments<S> merged[N];
                for (int i = 0; i < N; ++i) merged[i] = merge_moments(get(t, i), get(other, i));
                for (int i = 0; i < N; ++i) put(t, i, merged[i]);  // only now: all N share n
            }
            lanes = half;
        }
    }
};

// a, q (parts, C). Four blocks a multiprocessor leave 64 registers a thread; left to itself the compiler takes 48 in
// double, on sm_120 here and on sm_80 below, and spills.
template <class T, int N>
__global__ void __launch_bounds__(channel_block, 4)
    channel_moments_kernel(const T* x, Sum<T>* a, Sum<T>* q, ChannelGrid grid) {
    using Shared = BlockMoments<Sum<T>, N>;
    GRADUS_SHARED(Shared, moments, );
    const ChannelShare<N> mine(grid);
    Sum<T> shift[N] = {}, mean[N] = {}, squares[N] = {}, n = 0;
    if (mine.has_channels) load_run(x + mine.c, shift);
    for (Index m = mine.begin; m < mine.end; m += mine.step) {
        Sum<T> v[N];
        load_run(x + m * grid.C + mine.c, v);
        n += 1;
        const Sum<T> inverse = 1 / n;
        for (int i = 0; i < N; ++i) {
            v[i] -= shift[i];                          // (1)
            const Sum<T> difference = v[i] - mean[i];  // (2)
            mean[i] += difference * inverse;
            squares[i] += difference * (v[i] - mean[i]);
        }
    }
    const int t = static_cast<int>(threadIdx.x);
    for (int i = 0; i < N; ++i) moments.put(t, i, {n, mean[i], squares[i]});
    moments.merge_lanes(grid);  // (3); lane 0 reads what it has written itself
    if (!mine.has_channels || mine.lane > 0) return;
    for (int i = 0; i < N; ++i) {
        mean[i] = moments.a[i][t];
        squares[i] = moments.q[i][t];
    }
    put_run(a + mine.part * grid.C + mine.c, mean, Write::overwrite);
    put_run(q + mine.part * grid.C + mine.c, squares, Write::overwrite);
}

// Merges the parts.
template <class T>
__global__ void __launch_bounds__(channel_block, 4)
    channel_statistics_kernel(const T* x, const Sum<T>* a, const Sum<T>* q, Sum<T>* mean, Sum<T>* var, ChannelGrid grid,
                              ChannelGrid of_parts) {
    using S = Sum<T>;
    using Shared = BlockMoments<S, 1>;
    GRADUS_SHARED(Shared, moments, );
    const ChannelShare<1> mine(of_parts);
    ChannelMoments<S> merged{0, 0, 0};
    for (Index p = mine.begin; p < mine.end; p += mine.step)
        merged =
            merge_moments(merged, {static_cast<S>(grid.rows_of(p)), a[p * grid.C + mine.c], q[p * grid.C + mine.c]});
    const int t = static_cast<int>(threadIdx.x);
    moments.put(t, 0, merged);
    moments.merge_lanes(of_parts);
    if (!mine.has_channels || mine.lane > 0) return;
    mean[mine.c] = to_float(x[mine.c]) + moments.a[0][t];
    var[mine.c] = moments.q[0][t] / static_cast<S>(grid.M);
}

// M > 0: the page asks for more than one row.
template <class T>
void batch_norm_statistics(Cuda, Matrix<const T> x, Vector<Sum<T>> mean, Vector<Sum<T>> var) {
    if (x.size() == 0) return;
    const Index C = x.shape()[1];
    const ChannelGrid grid = ChannelGrid::of<T>(x.shape()[0], C), of_parts = grid.of_parts();
    const CudaBuffer<Sum<T>> a(grid.parts * C), q(grid.parts * C);
    launch(run_length<T>(C) > 1 ? channel_moments_kernel<T, vector_length<T>> : channel_moments_kernel<T, 1>,
           grid.blocks(), channel_block, 0, current_stream(), x.data(), a.data(), q.data(), grid);
    launch(channel_statistics_kernel<T>, of_parts.blocks(), channel_block, 0, current_stream(), x.data(), a.data(),
           q.data(), mean.data(), var.data(), grid, of_parts);
}

}  // namespace gradus::inline GRADUS_ABI
