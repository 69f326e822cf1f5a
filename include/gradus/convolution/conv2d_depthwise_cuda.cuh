// convolution/conv2d_depthwise_cuda.cuh   Depthwise convolution on Cuda, G = C = O: a window for each channel.
// Problem  A depthwise output needs KH*KW multiply-adds and no more, so there is no matrix product to be made of it,
//          and memory decides. Half, 3x3, 192 channels, 32 images of 28x28: x and y are 9.6 MB each, 2*9*4.8M = 87
//          MFLOP: 4.5 FLOP a byte. An A100 can do 12.5 (19.5 TFLOP/s in float, 1.56 TB/s).
// Answer   A thread has one pack of channels (16 bytes) of four neighbouring outputs of a row. Neighbouring threads
//          have neighbouring packs: every access to device memory is a run of up to 256 bytes.
//          The windows of a block's channels lie in shared memory, as float, turned so that neighbouring channels are
//          neighbours: (taps, N/4, packs, 4) for packs of N, which makes 16-byte loads free of bank conflicts. Behind
//          each tap lie 16 bytes more, so that the stores that turn them (neighbouring threads bring neighbouring taps)
//          find different banks too.
//          x is read through the first-level cache, KH*KW times. With packs of 8 Half an output and tap costs a warp 4
//          passes for x (512 bytes, 128 a cycle) and 8 passes for the weights, which four outputs share: 4 + 8/4 = 6
//          cycles, 54 for 3x3. To fetch 512 bytes of x and store 512 of y takes 1024 bytes at 10 bytes a cycle and
//          multiprocessor (A100: 1555 GB/s, 108 of them, 1.4 GHz): 100 cycles. So 3x3 runs at the rate of the memory
//          without a tile of x in shared memory, 5x5 (150 cycles) at two thirds of it.
// (1)      The same kernel (conv2d_correlation_cuda.cuh). A stride of 2 makes it four launches of a quarter each.
// (2)      A thread has three neighbouring taps of a row of the window for one pack of channels: it loads dy once for
//          them. It goes through whole lines of dy, so that the loop has no division. The threads with the same taps
//          and channels, `lanes` of them, are added in order in shared memory, then the parts of the grid in order.
#pragma once

#include "gradus/convolution/conv2d_correlation_cuda.cuh"

namespace gradus::inline GRADUS_ABI {

inline constexpr int depthwise_threads = 256;
inline constexpr int depthwise_outputs = 4;  // of a thread, neighbours in a row
inline constexpr int depthwise_taps = 3;     // of a thread of the weight gradient, neighbours in a row
inline constexpr Index depthwise_shared_bytes = 48 * 1024;

// Packs of channels that the threads of a block have side by side: a power of two, 16 if there are as many.
template <class T>
int depthwise_packs(Index channels) {
    int packs = 1;
    while (packs < 16 && packs * vector_length<T> < channels) packs *= 2;
    return packs;
}
inline Index depthwise_tap_groups(Index KH, Index KW) { return KH * ((KW + depthwise_taps - 1) / depthwise_taps); }

// What the windows of a block take: see the kernel.
template <class T>
Index depthwise_bytes(Index taps, int packs) {
    return taps * (packs * vector_length<T> * Index{sizeof(Sum<T>)} + 16);
}

// Depthwise, with a window that fits into shared memory and, its taps in threes, into a block.
template <class T>
bool depthwise_fits(const Extents4& weight, const Conv2dOptions& options) {
    const auto [O, KH, KW, I] = weight;
    return I == 1 && O == options.groups && depthwise_bytes<T>(KH * KW, 1) <= depthwise_shared_bytes &&
           depthwise_tap_groups(KH, KW) <= depthwise_threads;
}

// Two blocks a multiprocessor leave 128 registers a thread; left to itself the compiler takes 80 and spills.
template <class T>
__global__ void __launch_bounds__(depthwise_threads, 2)
    conv2d_depthwise_kernel(Conv2dCorrelation shape, int packs, const T* in, const Sum<T>* weight, const Sum<T>* bias,
                            T* out, Write mode) {
    constexpr int N = vector_length<T>, V = vector_length<Sum<T>>, R = depthwise_outputs;
    GRADUS_DYNAMIC_SHARED(Sum<T>, windows);  // (taps, N/V, packs, V), and V numbers between taps
    const int C = shape.groups, t = static_cast<int>(threadIdx.x), pack = t % packs;
    const int block_channel = static_cast<int>(blockIdx.y) * packs * N, channel = block_channel + pack * N;
    const CorrelationAxis &rows = shape.rows, &columns = shape.columns;

    const int taps = rows.taps * columns.taps, pitch = packs * N + V;  // of a tap
    for (int at = t; at < taps * packs * N; at += depthwise_threads) {
        const int tap = at % taps, k = at / taps;  // neighbours in `weight` are taps of one channel
        const Index source =
            (block_channel + k) * shape.weight_group + shape.weight_offset(tap / columns.taps, tap % columns.taps);
        windows[tap * pitch + (k % N / V * packs + k / N) * V + k % V] =
            block_channel + k < C ? weight[source] : Sum<T>(0);
    }
    __syncthreads();
    if (channel >= C) return;

    const int lanes = depthwise_threads / packs, runs = (columns.outputs + R - 1) / R;
    const Index units = shape.images * rows.outputs * runs;
    for (Index unit = Index(blockIdx.x) * lanes + t / packs; unit < units; unit += Index(gridDim.x) * lanes) {
        const Index line = unit / runs, image = line / rows.outputs;
        const int k = static_cast<int>(line % rows.outputs), l = static_cast<int>(unit % runs) * R;
        Sum<T> sum[R][N];
        for (int n = 0; n < N; ++n) {
            const Sum<T> start = bias != nullptr && channel + n < C ? bias[channel + n] : Sum<T>(0);
            for (int r = 0; r < R; ++r) sum[r][n] = start;
        }
        for (int u = 0; u < rows.taps; ++u) {
            const int h = rows.source(k, u);
            if (!rows.inside(h)) continue;
            const T* const row = in + shape.in_offset(image, h, 0) + channel;
            for (int v = 0; v < columns.taps; ++v) {
                Sum<T> factor[N];
                for (int part = 0; part < N / V; ++part) {
                    const int place = (u * columns.taps + v) * pitch + (part * packs + pack) * V;
                    const Pack<Sum<T>> loaded = *reinterpret_cast<const Pack<Sum<T>>*>(windows + place);
                    for (int n = 0; n < V; ++n) factor[part * V + n] = loaded[n];
                }
                for (int r = 0; r < R; ++r) {
                    const int w = columns.source(l + r, v);
                    if (!columns.inside(w)) continue;
                    const Pack<T> pixel = load_pack(row + Index(w) * C, C - channel);
                    for (int n = 0; n < N; ++n) sum[r][n] += to_float(pixel[n]) * factor[n];
                }
            }
        }
        for (int r = 0; r < R; ++r) {
            if (l + r >= columns.outputs) continue;
            put_pack(out + shape.out_offset(CorrelationPixel<Index>{image, k, l + r}) + channel, sum[r], C - channel,
                     mode);
        }
    }
}

template <class T>
void conv2d_depthwise_correlate(const Conv2dCorrelation& shape, const T* in, const Sum<T>* weight, const Sum<T>* bias,
                                T* out, Write mode) {
    const Index taps = Index(shape.rows.taps) * shape.columns.taps;
    int packs = depthwise_packs<T>(shape.groups);
    while (packs > 1 && depthwise_bytes<T>(taps, packs) > depthwise_shared_bytes) packs /= 2;
    const Index columns = packs * vector_length<T>, channel_blocks = (shape.groups + columns - 1) / columns;
    const Index runs = (shape.columns.outputs + depthwise_outputs - 1) / depthwise_outputs;
    const Index units = shape.images * shape.rows.outputs * runs;
    const unsigned needed = blocks_for(units, static_cast<unsigned>(depthwise_threads / packs));
    // No more blocks than the card holds at once (grid_stride.hpp): each loads its windows once.
    const Index most = std::max<Index>(Index{8} * multiprocessors() / channel_blocks, 1);
    launch(conv2d_depthwise_kernel<T>,
           dim3(static_cast<unsigned>(std::min<Index>(needed, most)), static_cast<unsigned>(channel_blocks)),
           depthwise_threads, static_cast<std::size_t>(depthwise_bytes<T>(taps, packs)), current_stream(), shape, packs,
           in, weight, bias, out, mode);
}

template <class T>
void conv2d_depthwise_forward(Cuda, Array4<const T> x, Array4<const Sum<T>> weight, Vector<const Sum<T>> bias,
                              const Conv2dOptions& options, Array4<T> y) {
    if (y.size() == 0) return;
    conv2d_depthwise_correlate(forward_correlation_cuda(x.shape(), weight.shape(), y.shape(), options), x.data(),
                               weight.data(), bias.size() > 0 ? bias.data() : nullptr, y.data(), Write::overwrite);
}
template <class T>  // (1)
void conv2d_depthwise_backward_data(Cuda, Array4<const T> dy, Array4<const Sum<T>> weight, const Conv2dOptions& options,
                                    Array4<T> dx, Write mode) {
    if (dx.size() == 0) return;
    const Sum<T>* const no_bias = nullptr;
    for (const Conv2dCorrelation& phase : backward_correlations_cuda(dy.shape(), weight.shape(), dx.shape(), options))
        conv2d_depthwise_correlate(phase, dy.data(), weight.data(), no_bias, dx.data(), mode);
}

template <class T>  // (2), over lines [blockIdx.x * lines, (blockIdx.x + 1) * lines) of dy; dweight (parts, C, KH, KW)
__global__ void __launch_bounds__(depthwise_threads)
    conv2d_depthwise_backward_weights_kernel(Conv2dCorrelation shape, int packs, Index lines, const T* x, const T* dy,
                                             Sum<T>* dweight, Write mode) {
    constexpr int N = vector_length<T>, V = depthwise_taps;
    GRADUS_SHARED(Sum<T>, sums, [V * N][depthwise_threads]);
    const CorrelationAxis &rows = shape.rows, &columns = shape.columns;
    const int C = shape.groups, groups_of_row = (columns.taps + V - 1) / V, slots = rows.taps * groups_of_row * packs;
    const int t = static_cast<int>(threadIdx.x), lanes = static_cast<int>(blockDim.x) / slots;
    const int slot = t % slots, group = slot / packs;
    const int channel = (static_cast<int>(blockIdx.y) * packs + slot % packs) * N;
    const int u = group / groups_of_row, v = group % groups_of_row * V;

    Sum<T> sum[V][N] = {};
    const Index end = min((Index(blockIdx.x) + 1) * lines, shape.images * rows.outputs);
    for (Index line = blockIdx.x * lines + t / slots; line < end && channel < C; line += lanes) {
        const Index image = line / rows.outputs;
        const int h = rows.source(static_cast<int>(line % rows.outputs), u);
        if (!rows.inside(h)) continue;
        const T* const x_row = x + shape.in_offset(image, h, 0) + channel;
        const T* const dy_row = dy + line * columns.outputs * C + channel;
        for (int j = 0; j < columns.outputs; ++j) {
            const Pack<T> slope = load_pack(dy_row + Index(j) * C, C - channel);
            for (int k = 0; k < V; ++k) {
                const int w = columns.source(j, v + k);
                if (v + k >= columns.taps || !columns.inside(w)) continue;
                const Pack<T> pixel = load_pack(x_row + Index(w) * C, C - channel);
                for (int n = 0; n < N; ++n) sum[k][n] += to_float(slope[n]) * to_float(pixel[n]);
            }
        }
    }
    for (int k = 0; k < V; ++k)
        for (int n = 0; n < N; ++n) sums[k * N + n][t] = sum[k][n];
    __syncthreads();
    for (int at = t; at < V * N * slots; at += static_cast<int>(blockDim.x)) {
        const int value = at / slots, to_slot = at % slots, to_group = to_slot / packs;
        const int to_channel = (static_cast<int>(blockIdx.y) * packs + to_slot % packs) * N + value % N;
        const int to_u = to_group / groups_of_row, to_v = to_group % groups_of_row * V + value / N;
        Sum<T> total = 0;
        for (int lane = 0; lane < lanes; ++lane) total += sums[value][lane * slots + to_slot];
        if (to_channel >= C || to_v >= columns.taps) continue;
        const Index channels_before = Index(blockIdx.x) * C + to_channel;
        put_element(dweight[(channels_before * rows.taps + to_u) * columns.taps + to_v], total, mode);
    }
}
template <class T>
void conv2d_depthwise_backward_weights(Cuda, Array4<const T> x, Array4<const T> dy, const Conv2dOptions& options,
                                       Array4<Sum<T>> dweight, Write mode) {
    if (dweight.size() == 0) return;
    const Conv2dCorrelation shape = forward_correlation_cuda(x.shape(), dweight.shape(), dy.shape(), options);
    const int groups = static_cast<int>(depthwise_tap_groups(shape.rows.taps, shape.columns.taps));
    int packs = depthwise_packs<T>(shape.groups);
    while (packs > 1 && packs * groups > depthwise_threads / 2) packs /= 2;  // at least two lanes, if possible
    const int slots = packs * groups, lanes = depthwise_threads / slots;
    const Index columns = packs * vector_length<T>, channel_blocks = (shape.groups + columns - 1) / columns;
    // 1024 blocks occupy a card; a thread has at least two lines.
    const Index all_lines = shape.images * shape.rows.outputs;
    const Index parts = std::clamp<Index>(1024 / channel_blocks, 1, std::max<Index>(all_lines / (2 * lanes), 1));
    const Index lines = (all_lines + parts - 1) / parts;
    sum_of_parts(parts, dweight, mode, [&](Sum<T>* target, Write target_mode) {
        launch(conv2d_depthwise_backward_weights_kernel<T>,
               dim3(static_cast<unsigned>(parts), static_cast<unsigned>(channel_blocks)), lanes * slots, 0,
               current_stream(), shape, packs, lines, x.data(), dy.data(), target, target_mode);
    });
}

}  // namespace gradus::inline GRADUS_ABI
