// normalization/batch_norm_cuda.cuh   The CUDA twins of batch_norm.hpp: threads that keep their channels and go down
//                                     the rows (channel_grid_cuda.cuh); statistics: channel_statistics_cuda.cuh.
// Cost     forward reads x, and the shortcut, and writes y. The sums of backward read x and dy, and y where a ReLU
//          follows a shortcut; then backward reads the same and writes dx and dshortcut. With elements of 4 bytes and
//          no shortcut that is 4 (statistics) + 8 + 8 + 12 = 32 bytes an element and training step.
// Roofline forward with a shortcut 12 bytes and 5 FLOP an element, 0.42 FLOP a byte; the sums of backward 8 and 8, and
//          backward 12 and 12, 1.0 each: bound by the memory.
#pragma once

#include "gradus/normalization/batch_norm.hpp"
#include "gradus/normalization/channel_statistics_cuda.cuh"

namespace gradus::inline GRADUS_ABI {

// The numbers of a thread's channels, in registers. The first lane reads them for the block. Equation (7) with what is
// constant in a channel taken together is dx = scale*g - b - k*(x - mean).
template <class S, int N>
struct ChannelNumbers {
    S mean[N] = {}, rstd[N] = {};
    S scale[N] = {}, beta[N] = {};  // scale = gamma*rstd
    S b[N] = {}, k[N] = {};         // scale*row_weight*dbeta, scale*row_weight*dgamma*rstd; 0 without dgamma and dbeta

    // All threads of the block come here: one row of them reads for all, and there is a barrier. row_weight is 1/M, or
    // 0 where the statistics are constants.
    using Shared = S[6][N][most_columns(N)];  // neighbouring columns in neighbouring banks
    __device__ __forceinline__ ChannelNumbers(const BatchNormChannels<S>& by, const ChannelShare<N>& mine,
                                              Shared& shared, const S* dgamma = nullptr, const S* dbeta = nullptr,
                                              S row_weight = 0) {
        if (mine.has_channels && mine.lane == 0) {
            load_run(by.mean.data() + mine.c, mean);
            load_run(by.rstd.data() + mine.c, rstd);
            load_run(by.gamma.data() + mine.c, scale);
            load_run(by.beta.data() + mine.c, beta);
            if (dgamma) load_run(dgamma + mine.c, k);
            if (dbeta) load_run(dbeta + mine.c, b);
            for (int i = 0; i < N; ++i) {
                scale[i] *= rstd[i];
                const S numbers[] = {mean[i],
                                     rstd[i],
                                     scale[i],
                                     beta[i],
                                     scale[i] * row_weight * b[i],
                                     scale[i] * row_weight * k[i] * rstd[i]};
                for (int j = 0; j < 6; ++j) shared[j][i][mine.column] = numbers[j];
            }
        }
        __syncthreads();
        if (!mine.has_channels) return;
        for (int i = 0; i < N; ++i) {
            mean[i] = shared[0][i][mine.column];
            rstd[i] = shared[1][i][mine.column];
            scale[i] = shared[2][i][mine.column];
            beta[i] = shared[3][i][mine.column];
            b[i] = shared[4][i][mine.column];
            k[i] = shared[5][i][mine.column];
        }
    }
    // gamma*xhat + beta. Backward finds the mask of a ReLU with the same function, in one rounding: the same bits.
    __device__ __forceinline__ S value(S x, int i) const { return std::fma(x - mean[i], scale[i], beta[i]); }
};

template <class T, int N>
__global__ void __launch_bounds__(channel_block)
    batch_norm_forward_kernel(const T* __restrict__ x, const T* __restrict__ shortcut, BatchNormChannels<Sum<T>> by,
                              bool relu, T* __restrict__ y, ChannelGrid grid) {
    using Numbers = ChannelNumbers<Sum<T>, N>;
    GRADUS_SHARED(typename Numbers::Shared, shared, );
    const ChannelShare<N> mine(grid);
    const Numbers numbers(by, mine, shared);
    for (Index m = mine.begin; m < mine.end; m += mine.step) {
        const Index at = m * grid.C + mine.c;
        Sum<T> v[N], added[N] = {};
        load_run(x + at, v);
        if (shortcut) load_run(shortcut + at, added);
        for (int i = 0; i < N; ++i) {
            v[i] = numbers.value(v[i], i) + added[i];
            if (relu && v[i] < 0) v[i] = 0;  // a NaN stays a NaN
        }
        put_run(y + at, v, Write::overwrite);
    }
}
template <class T>
void batch_norm_forward(Cuda, Matrix<const T> x, Matrix<const T> shortcut, const BatchNormChannels<Sum<T>>& by,
                        bool relu, Matrix<T> y) {
    if (x.size() == 0) return;
    const Index C = x.shape()[1];
    const ChannelGrid grid = ChannelGrid::of<T>(x.shape()[0], C);
    launch(run_length<T>(C) > 1 ? batch_norm_forward_kernel<T, vector_length<T>> : batch_norm_forward_kernel<T, 1>,
           grid.blocks(), channel_block, 0, current_stream(), x.data(), shortcut.data(), by, relu, y.data(), grid);
}

// BatchNormSaved and dy, for a kernel.
template <class T>
struct BatchNormSource {
    const T *x, *y, *dy;
    bool relu;

    // x - mean, and g of term (0).
    template <int N>
    __device__ __forceinline__ void load(Index at, const ChannelNumbers<Sum<T>, N>& numbers, Sum<T> (&centred)[N],
                                         Sum<T> (&g)[N]) const {
        load_run(x + at, centred);
        load_run(dy + at, g);
        if (relu) {
            Sum<T> value[N];
            if (y)
                load_run(y + at, value);
            else
                for (int i = 0; i < N; ++i) value[i] = numbers.value(centred[i], i);
            for (int i = 0; i < N; ++i) g[i] = value[i] > 0 ? g[i] : Sum<T>(0);  // (0)
        }
        for (int i = 0; i < N; ++i) centred[i] -= numbers.mean[i];
    }
};

// The two sums of a block's threads, in shared memory.
template <class S, int N>
struct BlockSums {
    S first[N][channel_block], second[N][channel_block];

    // Afterwards lane 0 has the sums over all lanes.
    __device__ __forceinline__ void add_lanes(const ChannelGrid& grid) {
        const int t = static_cast<int>(threadIdx.x), lane = t / grid.columns;
        for (int lanes = grid.lanes; lanes > 1;) {
            const int half = (lanes + 1) / 2;
            __syncthreads();
            if (lane < lanes - half)
                for (int i = 0; i < N; ++i) {
                    first[i][t] += first[i][t + half * grid.columns];
                    second[i][t] += second[i][t + half * grid.columns];
                }
            lanes = half;
        }
    }
};

// Of each part: sums and products (parts, C), sum g and sum g*(x - mean).
template <class T, int N>
__global__ void __launch_bounds__(channel_block)
    batch_norm_sums_kernel(BatchNormSource<T> from, BatchNormChannels<Sum<T>> by, Sum<T>* sums, Sum<T>* products,
                           ChannelGrid grid) {
    using Both = BlockSums<Sum<T>, N>;
    using Numbers = ChannelNumbers<Sum<T>, N>;
    GRADUS_SHARED(Both, both, );
    GRADUS_SHARED(typename Numbers::Shared, shared, );
    const ChannelShare<N> mine(grid);
    const Numbers numbers(by, mine, shared);
    Sum<T> sum[N] = {}, product[N] = {};
    for (Index m = mine.begin; m < mine.end; m += mine.step) {
        Sum<T> centred[N], g[N];
        from.load(m * grid.C + mine.c, numbers, centred, g);
        for (int i = 0; i < N; ++i) {
            sum[i] += g[i];
            product[i] += g[i] * centred[i];
        }
    }
    const int t = static_cast<int>(threadIdx.x);
    for (int i = 0; i < N; ++i) {
        both.first[i][t] = sum[i];
        both.second[i][t] = product[i];
    }
    both.add_lanes(grid);
    if (!mine.has_channels || mine.lane > 0) return;
    for (int i = 0; i < N; ++i) {
        sum[i] = both.first[i][t];
        product[i] = both.second[i][t];
    }
    put_run(sums + mine.part * grid.C + mine.c, sum, Write::overwrite);
    put_run(products + mine.part * grid.C + mine.c, product, Write::overwrite);
}
template <class S>
__global__ void __launch_bounds__(channel_block)
    batch_norm_parameters_kernel(const S* sums, const S* products, const S* rstd, S* dgamma, S* dbeta,
                                 ChannelGrid of_parts) {
    using Both = BlockSums<S, 1>;
    GRADUS_SHARED(Both, both, );
    const ChannelShare<1> mine(of_parts);
    S sum = 0, product = 0;
    for (Index p = mine.begin; p < mine.end; p += mine.step) {
        sum += sums[p * of_parts.C + mine.c];
        product += products[p * of_parts.C + mine.c];
    }
    const int t = static_cast<int>(threadIdx.x);
    both.first[0][t] = sum;
    both.second[0][t] = product;
    both.add_lanes(of_parts);
    if (!mine.has_channels || mine.lane > 0) return;
    dbeta[mine.c] = both.first[0][t];                   // (1)
    dgamma[mine.c] = both.second[0][t] * rstd[mine.c];  // (2)
}
template <class T>
void batch_norm_backward_sums(Cuda, const BatchNormSaved<T>& saved, Matrix<const T> dy, Vector<Sum<T>> dgamma,
                              Vector<Sum<T>> dbeta) {
    const Index C = dy.shape()[1];
    if (C == 0) return;
    const ChannelGrid grid = ChannelGrid::of<T>(dy.shape()[0], C), of_parts = grid.of_parts();
    const CudaBuffer<Sum<T>> sums(grid.parts * C), products(grid.parts * C);
    const BatchNormSource<T> from{saved.x.data(), saved.y.data(), dy.data(), saved.relu};
    launch(run_length<T>(C) > 1 ? batch_norm_sums_kernel<T, vector_length<T>> : batch_norm_sums_kernel<T, 1>,
           grid.blocks(), channel_block, 0, current_stream(), from, saved.by, sums.data(), products.data(), grid);
    launch(batch_norm_parameters_kernel<Sum<T>>, of_parts.blocks(), channel_block, 0, current_stream(), sums.data(),
           products.data(), saved.by.rstd.data(), dgamma.data(), dbeta.data(), of_parts);
}

template <class T, int N>
__global__ void __launch_bounds__(channel_block)
    batch_norm_backward_kernel(BatchNormSource<T> from, BatchNormChannels<Sum<T>> by, const Sum<T>* dgamma,
                               const Sum<T>* dbeta, Sum<T> row_weight, T* dx, Write dx_mode, T* dshortcut,
                               Write dshortcut_mode, ChannelGrid grid) {
    using Numbers = ChannelNumbers<Sum<T>, N>;
    GRADUS_SHARED(typename Numbers::Shared, shared, );
    const ChannelShare<N> mine(grid);
    const Numbers numbers(by, mine, shared, dgamma, dbeta, row_weight);
    for (Index m = mine.begin; m < mine.end; m += mine.step) {
        const Index at = m * grid.C + mine.c;
        Sum<T> centred[N], g[N];
        from.load(at, numbers, centred, g);
        if (dx) {
            for (int i = 0; i < N; ++i)
                centred[i] = numbers.scale[i] * g[i] - numbers.b[i] - numbers.k[i] * centred[i];  // (7)
            put_run(dx + at, centred, dx_mode);
        }
        if (dshortcut) put_run(dshortcut + at, g, dshortcut_mode);  // (0), behind dx: they may be one matrix
    }
}
template <class T>
void batch_norm_backward(Cuda, const BatchNormSaved<T>& saved, Matrix<const T> dy, Vector<const Sum<T>> dgamma,
                         Vector<const Sum<T>> dbeta, Sum<T> row_weight, Matrix<T> dx, Write dx_mode,
                         Matrix<T> dshortcut, Write dshortcut_mode) {
    if (dy.size() == 0) return;
    const Index C = dy.shape()[1];
    const ChannelGrid grid = ChannelGrid::of<T>(dy.shape()[0], C);
    const BatchNormSource<T> from{saved.x.data(), saved.y.data(), dy.data(), saved.relu};
    launch(run_length<T>(C) > 1 ? batch_norm_backward_kernel<T, vector_length<T>> : batch_norm_backward_kernel<T, 1>,
           grid.blocks(), channel_block, 0, current_stream(), from, saved.by, dgamma.data(), dbeta.data(), row_weight,
           dx.data(), dx_mode, dshortcut.data(), dshortcut_mode, grid);
}

// The kernels of C numbers: a thread for each.
template <class S>
__global__ void __launch_bounds__(stride_threads) batch_norm_rstd_kernel(const S* var, S eps, S* rstd, Index C) {
    for (Index c = grid_thread(); c < C; c += grid_threads()) rstd[c] = 1 / std::sqrt(var[c] + eps);
}
template <class S>
void batch_norm_rstd(Cuda, Vector<const S> var, double eps, Vector<S> rstd) {
    if (var.size() == 0) return;
    launch(batch_norm_rstd_kernel<S>, stride_blocks(var.size()), stride_threads, 0, current_stream(), var.data(),
           static_cast<S>(eps), rstd.data(), var.size());
}

// In double, as on the host: the same running averages.
template <class S>
__global__ void __launch_bounds__(stride_threads)
    batch_norm_update_running_kernel(const S* statistic, double scale, double momentum, S* running, Index C) {
    for (Index c = grid_thread(); c < C; c += grid_threads())
        running[c] = static_cast<S>((1 - momentum) * running[c] + momentum * scale * statistic[c]);
}
template <class S>
void batch_norm_update_running(Cuda, Vector<const S> statistic, double scale, double momentum, Vector<S> running) {
    if (statistic.size() == 0) return;
    launch(batch_norm_update_running_kernel<S>, stride_blocks(statistic.size()), stride_threads, 0, current_stream(),
           statistic.data(), scale, momentum, running.data(), statistic.size());
}

template <class S>
__global__ void __launch_bounds__(stride_threads)
    batch_norm_add_share_kernel(const S* share, S* target, Index C, Write mode) {
    for (Index c = grid_thread(); c < C; c += grid_threads()) put(target[c], share[c], mode);
}
template <class S>
void batch_norm_add_share(Cuda, Vector<const S> share, Vector<S> target, Write mode) {
    if (share.size() == 0) return;
    launch(batch_norm_add_share_kernel<S>, stride_blocks(share.size()), stride_threads, 0, current_stream(),
           share.data(), target.data(), share.size(), mode);
}

}  // namespace gradus::inline GRADUS_ABI
