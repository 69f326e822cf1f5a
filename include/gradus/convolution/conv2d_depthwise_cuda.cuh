// convolution/conv2d_depthwise_cuda.cuh   Depthwise convolution on Cuda, G = C = O: a window for each channel.
// Problem  A depthwise output needs KH*KW multiply-adds and no more, so there is no matrix product to be made of it,
//          and memory decides. Half, 3x3, 192 channels, 32 images of 28x28: x and y are 9.6 MB each, 2*9*4.8M = 87
//          MFLOP: 4.5 FLOP a byte. An A100 can do 12.5 (19.5 TFLOP/s in float, 1.56 TB/s).
// Answer   A block makes a tile of 8 x 16 outputs of some packs of channels (16 bytes each, 8 packs if there are as
//          many). It copies the pixels under their windows to shared memory, all at once (ptx.hpp), and takes them from
//          there KH*KW times. Neighbouring threads have neighbouring packs: accesses to device memory are runs of up to
//          128 bytes. A thread makes one pack of four outputs of a row, a quarter of the tile apart, so that the
//          threads of a warp read neighbours.
//          The windows of a block's channels lie in shared memory too, as float, turned so that neighbouring channels
//          are neighbours: (taps, N/4, packs, 4) for packs of N, which makes 16-byte loads free of bank conflicts.
//          Behind each tap lie 16 bytes more, so that the stores that turn them (neighbouring threads bring
//          neighbouring taps) find different banks too.
// Halo     3x3 needs 10 x 18 pixels for 8 x 16 outputs, 1.4 times as many; where the image ends, fewer. With y, what
//          the tiles ask for is (1.4 + 1) / 2 = 1.2 times the ideal. (Four outputs a thread without tiles would ask for
//          18 pixels each, 2.75 times the ideal and more where rows end.) Larger windows and strides get fewer packs,
//          then smaller tiles: 48 KB are there.
// Cost     x and y once, and the halo; 2*KH*KW operations an output. With packs of 8 Half an output and tap costs a
//          warp 4 passes for x (512 bytes, 128 a cycle) and 8 passes for the weights, which four outputs share: 4 +
//          8/4 = 6 cycles, 54 for 3x3. To fetch 512 bytes of x and store 512 of y takes 1024 bytes at 10 bytes a cycle
//          and multiprocessor (A100: 1555 GB/s, 108 of them, 1.4 GHz): 100 cycles. So 3x3 should run at the rate of
//          the memory, 5x5 (150 cycles) at two thirds of it. Not measured: there was no card.
// (1)      The same kernel (conv2d_correlation_cuda.cuh). A stride of 2 makes it four launches of a quarter each.
// (2)      The same tiles, of x and of dy. A thread has three neighbouring taps of a row of the window for one pack of
//          channels, and some rows of the tile: it loads dy once for the three. The threads with the same taps and
//          channels, `lanes` of them, are added in order in shared memory, then the parts of the grid in order.
#pragma once

#include "gradus/convolution/conv2d_correlation_cuda.cuh"
#include "gradus/machine/cuda/ptx.hpp"

namespace gradus::inline GRADUS_ABI {

inline constexpr int depthwise_threads = 256;  // at most
inline constexpr int depthwise_outputs = 4;    // of a thread
inline constexpr int depthwise_taps = 3;       // of a thread of the weight gradient, neighbours in a row
inline constexpr Index depthwise_shared_bytes = 48 * 1024;

// How a block's outputs and shared memory are laid out: pixels (rows, columns, packs), then what else there is.
struct DepthwisePlan {
    int packs;                       // of channels, a power of two
    int tile_rows, tile_columns;     // of outputs: 8 or 4, 16 or 8
    int rows, columns;               // of pixels under their windows
    Index tiles_down, tiles_across;  // of an image
    Index channel_blocks;            // of the grid

    // `other_bytes` says what a plan needs beside the pixels.
    template <class OtherBytes>
    DepthwisePlan(const Conv2dCorrelation& shape, int pack_elements, const OtherBytes& other_bytes)
        : packs(1), tile_rows(8), tile_columns(shape.columns.outputs > 8 ? 16 : 8) {
        while (packs < 8 && packs * pack_elements < shape.groups) packs *= 2;
        find_extents(shape);
        const auto is_too_large = [&] { return pixel_bytes() + other_bytes(*this) > depthwise_shared_bytes; };
        while (packs > 1 && is_too_large()) packs /= 2;
        if (is_too_large()) tile_columns = 8;
        find_extents(shape);
        if (is_too_large()) tile_rows = 4;
        find_extents(shape);
        bytes_ = pixel_bytes() + other_bytes(*this);
        tiles_down = (shape.rows.outputs + tile_rows - 1) / tile_rows;
        tiles_across = (shape.columns.outputs + tile_columns - 1) / tile_columns;
        channel_blocks = (shape.groups + packs * pack_elements - 1) / (packs * pack_elements);
    }
    bool fits() const { return bytes_ <= depthwise_shared_bytes && channel_blocks < 65536; }  // the grid's y
    std::size_t bytes() const { return static_cast<std::size_t>(bytes_); }
    GRADUS_HOST_DEVICE int pixels() const { return rows * columns * packs; }
    GRADUS_HOST_DEVICE int outputs() const { return tile_rows * tile_columns * packs; }
    int threads() const { return outputs() / depthwise_outputs; }
    Index tiles(const Conv2dCorrelation& shape) const { return shape.images * tiles_down * tiles_across; }

private:
    void find_extents(const Conv2dCorrelation& shape) {
        rows = tile_extent(shape.rows, tile_rows);
        columns = tile_extent(shape.columns, tile_columns);
    }
    Index pixel_bytes() const { return Index{16} * rows * columns * packs; }
    Index bytes_;
};

// What the windows of a block take: see the kernel.
template <class T>
Index depthwise_window_bytes(const Conv2dCorrelation& shape, int packs) {
    return Index(shape.rows.taps) * shape.columns.taps * (packs * vector_length<T> * Index{sizeof(Sum<T>)} + 16);
}
template <class T>
DepthwisePlan depthwise_plan(const Conv2dCorrelation& shape) {
    return DepthwisePlan(shape, vector_length<T>,
                         [&](const DepthwisePlan& plan) { return depthwise_window_bytes<T>(shape, plan.packs); });
}
inline int depthwise_tap_groups(const Conv2dCorrelation& shape) {
    return shape.rows.taps * ((shape.columns.taps + depthwise_taps - 1) / depthwise_taps);
}
// Of the weight gradient: threads with the same taps and channels, and how many different ones there are.
struct DepthwiseWeightsThreads {
    int slots, lanes;
    DepthwiseWeightsThreads(const Conv2dCorrelation& shape, const DepthwisePlan& plan)
        : slots(depthwise_tap_groups(shape) * plan.packs),
          lanes(std::clamp(depthwise_threads / std::max(slots, 1), 1, plan.tile_rows)) {}
};
// The tile of dy lies behind that of x; the sums of the threads, in the end, lie in place of both.
template <class T>
DepthwisePlan depthwise_weights_plan(const Conv2dCorrelation& shape) {
    return DepthwisePlan(shape, vector_length<T>, [&](const DepthwisePlan& plan) -> Index {
        const DepthwiseWeightsThreads threads(shape, plan);
        if (threads.slots * threads.lanes > depthwise_threads) return depthwise_shared_bytes + 1;  // fewer packs
        const Index pixels = Index{16} * plan.pixels(), slopes = Index{16} * plan.outputs();
        const Index sums =
            Index{depthwise_taps} * vector_length<T> * Index{sizeof(Sum<T>)} * threads.slots * threads.lanes;
        return std::max(slopes, sums - pixels);
    });
}

// Depthwise, with windows that fit into shared memory together with the pixels of a tile.
template <class T>
bool depthwise_fits(const Extents4& weight, const Conv2dOptions& options) {
    const auto [O, KH, KW, I] = weight;
    if (I != 1 || O != options.groups) return false;
    // Any image with whole tiles will do. The phases of backward-data have fewer taps, nearer to each other.
    const Conv2dCorrelation shape = forward_correlation_cuda({1, 1, 1, O}, weight, {1, 16, 16, O}, options);
    return depthwise_plan<T>(shape).fits() && depthwise_weights_plan<T>(shape).fits();
}

// Copies a rectangle of an image to shared memory, (rows, columns, packs), from pixel (h0, w0) and from a channel on.
// What lies outside of the image, or behind its channels, is 0. `image` has C channels.
template <class T>
__device__ __forceinline__ void depthwise_copy(Pack<T>* target, const T* image, int height, int width, int C, int h0,
                                               int w0, int rows, int columns, int first_channel, int packs) {
    constexpr int N = vector_length<T>;
    const int t = static_cast<int>(threadIdx.x), step = static_cast<int>(blockDim.x) / packs;
    const int pack = t % packs, channel = first_channel + pack * N;
    int row = t / packs / columns, column = t / packs % columns;
    while (row < rows) {  // each step goes `step` pixels on, without a division
        const int h = h0 + row, w = w0 + column;
        const bool is_there = 0 <= h && h < height && 0 <= w && w < width && channel < C;
        const T* const source = is_there ? image + (Index(h) * width + w) * C + channel : image;
        Pack<T>* const to = target + (row * columns + column) * packs + pack;
        if (!is_there)
            *to = Pack<T>{};
        else if (C - channel >= N && is_pack_aligned(source))
            cp_async<16>(to, source);
        else
            *to = load_pack(source, C - channel);
        for (column += step; column >= columns; column -= columns) ++row;
    }
}

// Two blocks a multiprocessor leave 128 registers a thread; left to itself the compiler takes fewer and spills.
template <class T>
__global__ void __launch_bounds__(depthwise_threads, 2)
    conv2d_depthwise_kernel(Conv2dCorrelation shape, DepthwisePlan plan, Index tiles, const T* in, const Sum<T>* weight,
                            const Sum<T>* bias, T* out, Write mode) {
    constexpr int N = vector_length<T>, V = vector_length<Sum<T>>, R = depthwise_outputs;
    GRADUS_DYNAMIC_SHARED(Pack<T>, pixels);  // (rows, columns, packs)
    // (taps, N/V, packs, V), and V numbers between taps
    Sum<T>* const windows = reinterpret_cast<Sum<T>*>(pixels + plan.pixels());
    const int C = shape.groups, t = static_cast<int>(threadIdx.x), packs = plan.packs, pack = t % packs;
    const int block_channel = static_cast<int>(blockIdx.y) * packs * N, channel = block_channel + pack * N;
    const CorrelationAxis &rows = shape.rows, &columns = shape.columns;

    const int taps = rows.taps * columns.taps, pitch = packs * N + V;  // of a tap
    for (int at = t; at < taps * packs * N; at += static_cast<int>(blockDim.x)) {
        const int tap = at % taps, k = at / taps;  // neighbours in `weight` are taps of one channel
        const Index source =
            (block_channel + k) * shape.weight_group + shape.weight_offset(tap / columns.taps, tap % columns.taps);
        windows[tap * pitch + (k % N / V * packs + k / N) * V + k % V] =
            block_channel + k < C ? weight[source] : Sum<T>(0);
    }

    const int apart = plan.tile_columns / R;  // this thread's outputs are in one row, so far from each other
    const int row = t / packs / apart, column = t / packs % apart;
    for (Index tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        const Index line = tile / plan.tiles_across, image = line / plan.tiles_down;
        const int k0 = static_cast<int>(line % plan.tiles_down) * plan.tile_rows;
        const int l0 = static_cast<int>(tile % plan.tiles_across) * plan.tile_columns;
        __syncthreads();  // nobody reads the tile before any more
        depthwise_copy(pixels, in + shape.in_offset(image, 0, 0), rows.in_extent, columns.in_extent, C,
                       tile_origin(rows, k0), tile_origin(columns, l0), plan.rows, plan.columns, block_channel, packs);
        cp_async_commit();
        cp_async_wait<0>();
        __syncthreads();

        Sum<T> sum[R][N];
        for (int n = 0; n < N; ++n) {
            const Sum<T> start = bias != nullptr && channel + n < C ? bias[channel + n] : Sum<T>(0);
            for (int r = 0; r < R; ++r) sum[r][n] = start;
        }
        for (int u = 0; u < rows.taps; ++u)
            for (int v = 0; v < columns.taps; ++v) {
                Sum<T> factor[N];
                for (int part = 0; part < N / V; ++part) {
                    const int place = (u * columns.taps + v) * pitch + (part * packs + pack) * V;
                    const Pack<Sum<T>> loaded = *reinterpret_cast<const Pack<Sum<T>>*>(windows + place);
                    for (int n = 0; n < V; ++n) factor[part * V + n] = loaded[n];
                }
                const int pixel_row = (row * rows.step + tile_tap(rows, u)) * plan.columns + tile_tap(columns, v);
                for (int r = 0; r < R; ++r) {
                    const Pack<T> pixel = pixels[(pixel_row + (column + r * apart) * columns.step) * packs + pack];
                    for (int n = 0; n < N; ++n) sum[r][n] += to_float(pixel[n]) * factor[n];
                }
            }
        for (int r = 0; r < R; ++r) {
            const int k = k0 + row, l = l0 + column + r * apart;
            if (channel >= C || k >= rows.outputs || l >= columns.outputs) continue;
            put_pack(out + shape.out_offset(CorrelationPixel<Index>{image, k, l}) + channel, sum[r], C - channel, mode);
        }
    }
}

template <class T>
void conv2d_depthwise_correlate(const Conv2dCorrelation& shape, const T* in, const Sum<T>* weight, const Sum<T>* bias,
                                T* out, Write mode) {
    const DepthwisePlan plan = depthwise_plan<T>(shape);
    const Index tiles = plan.tiles(shape);
    // About as many blocks as the card holds at once (grid_stride.hpp): each loads its windows once.
    const Index most = std::max<Index>(Index{8} * multiprocessors() / plan.channel_blocks, 1);
    launch(conv2d_depthwise_kernel<T>,
           dim3(static_cast<unsigned>(std::min<Index>(tiles, most)), static_cast<unsigned>(plan.channel_blocks)),
           static_cast<unsigned>(plan.threads()), plan.bytes(), current_stream(), shape, plan, tiles, in, weight, bias,
           out, mode);
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

// (2), over tiles [blockIdx.x * part_tiles, (blockIdx.x + 1) * part_tiles) of dy; dweight (parts, C, KH, KW)
template <class T>
__global__ void __launch_bounds__(depthwise_threads, 2)
    conv2d_depthwise_backward_weights_kernel(Conv2dCorrelation shape, DepthwisePlan plan, int slots, Index tiles,
                                             Index part_tiles, const T* x, const T* dy, Sum<T>* dweight, Write mode) {
    constexpr int N = vector_length<T>, V = depthwise_taps;
    GRADUS_DYNAMIC_SHARED(Pack<T>, pixels);          // of x (rows, columns, packs)
    Pack<T>* const slopes = pixels + plan.pixels();  // dy (tile_rows, tile_columns, packs)
    const CorrelationAxis &rows = shape.rows, &columns = shape.columns;
    const int C = shape.groups, groups_of_row = (columns.taps + V - 1) / V, packs = plan.packs;
    const int t = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x), lanes = threads / slots;
    const int slot = t % slots, group = slot / packs, pack = slot % packs;
    const int block_channel = static_cast<int>(blockIdx.y) * packs * N;
    const int u = group / groups_of_row, v = group % groups_of_row * V;

    Sum<T> sum[V][N] = {};
    const Index end = min((Index(blockIdx.x) + 1) * part_tiles, tiles);
    for (Index tile = blockIdx.x * part_tiles; tile < end; ++tile) {
        const Index line = tile / plan.tiles_across, image = line / plan.tiles_down;
        const int k0 = static_cast<int>(line % plan.tiles_down) * plan.tile_rows;
        const int l0 = static_cast<int>(tile % plan.tiles_across) * plan.tile_columns;
        __syncthreads();  // nobody reads the tiles before any more
        depthwise_copy(pixels, x + shape.in_offset(image, 0, 0), rows.in_extent, columns.in_extent, C,
                       tile_origin(rows, k0), tile_origin(columns, l0), plan.rows, plan.columns, block_channel, packs);
        depthwise_copy(slopes, dy + image * rows.outputs * columns.outputs * C, rows.outputs, columns.outputs, C, k0,
                       l0, plan.tile_rows, plan.tile_columns, block_channel, packs);
        cp_async_commit();
        cp_async_wait<0>();
        __syncthreads();
        for (int row = t / slots; row < plan.tile_rows; row += lanes) {
            const int pixel_row = (row * rows.step + tile_tap(rows, u)) * plan.columns;
            for (int column = 0; column < plan.tile_columns; ++column) {
                const Pack<T> slope = slopes[(row * plan.tile_columns + column) * packs + pack];
                for (int k = 0; k < V; ++k) {
                    if (v + k >= columns.taps) continue;
                    const int pixel_column = column * columns.step + tile_tap(columns, v + k);
                    const Pack<T> pixel = pixels[(pixel_row + pixel_column) * packs + pack];
                    for (int n = 0; n < N; ++n) sum[k][n] += to_float(slope[n]) * to_float(pixel[n]);
                }
            }
        }
    }
    Sum<T>* const sums = reinterpret_cast<Sum<T>*>(pixels);  // (V*N, threads)
    __syncthreads();
    for (int k = 0; k < V; ++k)
        for (int n = 0; n < N; ++n) sums[(k * N + n) * threads + t] = sum[k][n];
    __syncthreads();
    for (int at = t; at < V * N * slots; at += threads) {
        const int value = at / slots, to_slot = at % slots, to_group = to_slot / packs;
        const int to_channel = block_channel + to_slot % packs * N + value % N;
        const int to_u = to_group / groups_of_row, to_v = to_group % groups_of_row * V + value / N;
        Sum<T> total = 0;
        for (int lane = 0; lane < lanes; ++lane) total += sums[value * threads + lane * slots + to_slot];
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
    const DepthwisePlan plan = depthwise_weights_plan<T>(shape);
    const DepthwiseWeightsThreads threads(shape, plan);
    // 1024 blocks occupy a card. A part has at least four tiles: its sums, KH*KW numbers a channel, are little beside
    // 4 * 128 of x and of dy.
    const Index tiles = plan.tiles(shape);
    const Index parts = std::clamp<Index>(1024 / plan.channel_blocks, 1, std::max<Index>(tiles / 4, 1));
    const Index part_tiles = (tiles + parts - 1) / parts;
    sum_of_parts(parts, dweight, mode, [&](Sum<T>* target, Write target_mode) {
        launch(conv2d_depthwise_backward_weights_kernel<T>,
               dim3(static_cast<unsigned>(parts), static_cast<unsigned>(plan.channel_blocks)),
               static_cast<unsigned>(threads.slots * threads.lanes), plan.bytes(), current_stream(), shape, plan,
               threads.slots, tiles, part_tiles, x.data(), dy.data(), target, target_mode);
    });
}

}  // namespace gradus::inline GRADUS_ABI
