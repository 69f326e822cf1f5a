// softmax/softmax_cuda.cuh   The CUDA twins of softmax.hpp: a team of threads for each row (row_teams_cuda.cuh).
// Cost     forward reads and writes each element once, backward reads y and dy and writes dx (reads it too to add);
//          what a row has beyond a tile, of 2,048 or 4,096 elements, is read twice. One or two exponentials an element.
// Roofline forward 8 bytes and 5 FLOP an element, 0.62 FLOP a byte, backward 12 and 4, 0.33: bound by the memory, also
//          where an exponential counts as the 20 operations that it is.
#pragma once

#include "gradus/softmax/row_teams_cuda.cuh"
#include "gradus/softmax/softmax.hpp"

namespace gradus::inline GRADUS_ABI {

// The formulas of softmax.hpp: m is the row's maximum, s the sum of exp(x - m). d = x - m.
template <class S>
struct SoftmaxFormula {
    S inverse;
    __device__ explicit SoftmaxFormula(S s) : inverse(1 / s) {}
    __device__ S value(S d) const { return Math::exp(d) * inverse; }
    __device__ static S summand(S y, S dy) { return dy * y; }
    __device__ static S slope(S y, S dy, S sum) { return y * (dy - sum); }  // (1)
};
template <class S>
struct LogSoftmaxFormula {
    S log_s;
    __device__ explicit LogSoftmaxFormula(S s) : log_s(Math::log(s)) {}
    __device__ S value(S d) const { return d - log_s; }
    __device__ static S summand(S, S dy) { return dy; }
    __device__ static S slope(S y, S dy, S sum) { return dy - Math::exp(y) * sum; }  // (2)
};

template <class Formula, class T, int N>
__global__ void __launch_bounds__(team_block, team_blocks<T>) softmax_forward_kernel(const T* x, T* y, RowTeams teams) {
    GRADUS_SHARED(Sum<T>, shared, [team_warps]);
    const RowShare<T, N> mine(teams);
    typename RowShare<T, N>::Tile v;
    const SoftmaxSums<Sum<T>> sums = softmax_sums(mine, x, v, shared);
    const Formula formula(sums.s);
    for (Index tile = teams.last_tile(); tile >= 0; tile -= teams.tile()) {
        if (tile < teams.last_tile()) mine.load(x, tile, 0, v);
        for (int r = 0; r < mine.runs; ++r)
            for (int i = 0; i < N; ++i) v[r][i] = formula.value(v[r][i] - sums.m);
        mine.put(y, tile, v, Write::overwrite);
    }
}

template <class Formula, class T, int N>
__global__ void __launch_bounds__(team_block, team_blocks<T>)
    softmax_backward_kernel(const T* y, const T* dy, T* dx, RowTeams teams, Write mode) {
    GRADUS_SHARED(Sum<T>, shared, [team_warps]);
    const RowShare<T, N> mine(teams);
    typename RowShare<T, N>::Tile v, dv;
    Sum<T> sum = 0;
    for (Index tile = 0; tile < teams.K; tile += teams.tile()) {
        mine.load(y, tile, 0, v);
        mine.load(dy, tile, 0, dv);
        for (int r = 0; r < mine.runs; ++r)
            for (int i = 0; i < N; ++i) sum += Formula::summand(v[r][i], dv[r][i]);
    }
    sum = team_reduce(sum, teams.threads, shared, AddTwo{});
    for (Index tile = teams.last_tile(); tile >= 0; tile -= teams.tile()) {
        if (tile < teams.last_tile()) {
            mine.load(y, tile, 0, v);
            mine.load(dy, tile, 0, dv);
        }
        for (int r = 0; r < mine.runs; ++r)
            for (int i = 0; i < N; ++i) v[r][i] = Formula::slope(v[r][i], dv[r][i], sum);
        mine.put(dx, tile, v, mode);
    }
}

template <class Formula, class T>
void softmax_forward_cuda(Matrix<const T> x, Matrix<T> y) {
    if (x.size() == 0) return;
    with_run_length<T>(x.shape()[1], {x.data(), y.data()}, [&](auto length) {
        constexpr int N = decltype(length)::value;
        const RowTeams teams(x.shape()[0], x.shape()[1], N);
        launch(softmax_forward_kernel<Formula, T, N>, teams.blocks(), team_block, 0, current_stream(), x.data(),
               y.data(), teams);
    });
}
template <class Formula, class T>
void softmax_backward_cuda(Matrix<const T> y, Matrix<const T> dy, Matrix<T> dx, Write mode) {
    if (y.size() == 0) return;
    with_run_length<T>(y.shape()[1], {y.data(), dy.data(), dx.data()}, [&](auto length) {
        constexpr int N = decltype(length)::value;
        const RowTeams teams(y.shape()[0], y.shape()[1], N);
        launch(softmax_backward_kernel<Formula, T, N>, teams.blocks(), team_block, 0, current_stream(), y.data(),
               dy.data(), dx.data(), teams, mode);
    });
}

template <class T>
void softmax_forward(Cuda, Matrix<const T> x, Matrix<T> y) {
    softmax_forward_cuda<SoftmaxFormula<Sum<T>>>(x, y);
}
template <class T>
void softmax_backward(Cuda, Matrix<const T> y, Matrix<const T> dy, Matrix<T> dx, Write mode) {
    softmax_backward_cuda<SoftmaxFormula<Sum<T>>>(y, dy, dx, mode);
}
template <class T>
void log_softmax_forward(Cuda, Matrix<const T> x, Matrix<T> y) {
    softmax_forward_cuda<LogSoftmaxFormula<Sum<T>>>(x, y);
}
template <class T>
void log_softmax_backward(Cuda, Matrix<const T> y, Matrix<const T> dy, Matrix<T> dx, Write mode) {
    softmax_backward_cuda<LogSoftmaxFormula<Sum<T>>>(y, dy, dx, mode);
}

}  // namespace gradus::inline GRADUS_ABI
