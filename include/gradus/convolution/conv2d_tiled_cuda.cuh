// convolution/conv2d_tiled_cuda.cuh   Rung 2 of conv2d.hpp on Cuda: tiles of the input and weights in shared memory.
// Problem  Rung 1 fetches two numbers for every multiply-add. But a pixel of x serves KH*KW outputs in each of O
//          channels, and a weight serves every pixel.
// Answer   A block computes 8x8 outputs in 64 channels. It goes through the input channels in chunks of 8: all threads
//          load the pixels under the windows of the 64 outputs (10x10 for 3x3) and the weights of the chunk once into
//          shared memory, wait for each other, and take every number from there. A thread has 8 outputs of one row in 4
//          channels, 32 sums in registers: for each tap and channel it loads 8 pixels and 4 weights and does 32
//          multiply-adds.
// Reuse    3x3, a chunk: 100*8 pixels and 9*8*64 weights, 21.6 KB in float, for 2*64*64*72 = 590,000 FLOP: 27 FLOP a
//          byte, a hundred times rung 1's 0.25. Each pixel in shared memory serves 64 channels and up to 9 windows.
// Cost     3x3, 64 to 64 channels, 32 images of 56x56, float: 2*9*64*64*100352 = 7.4 GFLOP; x and y are 25.7 MB each.
//          What is asked for: x 100/64 times, and by each of the 32*49 tiles the weights, 147 KB: 231 MB, of the
//          second-level cache. On an A100 (19.5 TFLOP/s) the arithmetic takes 380 us, x and y 33 us.
// Limit    Shared memory: for each tap and channel a warp takes 8 passes for the pixels, which all threads of a row
//          share, and 4 for the weights, 12 cycles; its 32 multiply-adds take 8 cycles on cards that do 128 of them in
//          a cycle (sm_86 on), 16 on those that do 64 (sm_80). So at best 8/12 of the arithmetic on the former; on the
//          latter shared memory keeps up with it.
//          With fewer than 64 channels a block has fewer threads, with up to 4 of them 8: a warp is then three quarters
//          empty, and no multiprocessor is full. So is the gradient of the first layer's images, which is rarely asked
//          for.
// Banks    A tile's pixel has one number more than the chunk, and a row of weights four more than the channels, so that
//          threads which read down a column find different banks. Fills: the lanes of a warp take 8 channels c times 4
//          outputs o, banks 4c + o.
// (1)      The same kernel on the phases of conv2d_correlation_cuda.cuh.
// (2)      dweight(o, u, v, c) for one tap and 32 x 32 (o, c): pixels in steps of 32, tiles dy (32, 32) and x (32, 32)
//          in shared memory, 4x4 sums a thread. Each number that is loaded serves 32 products.
#pragma once

#include "gradus/convolution/conv2d_correlation_cuda.cuh"

namespace gradus::inline GRADUS_ABI {

inline constexpr int tiled_side = 8;             // of a tile of outputs
inline constexpr int tiled_threads = 128;        // at most: 16 quadruples of channels, 8 rows
inline constexpr int tiled_square = 32;          // of a tile of the weight gradient
inline constexpr int tiled_square_threads = 64;  // 8 x 8, with 4x4 sums each
inline constexpr Index tiled_shared_bytes = 48 * 1024;

// How a block's shared memory is laid out: pixels (rows, columns, pitch), weights (taps, chunk, weight_pitch).
struct TiledPlan {
    int quads;          // of output channels in a block: a power of two up to 16
    int rows, columns;  // of the tile of the input
    int chunk, pitch, weight_pitch;
    int tile_rows, tile_columns, out_blocks;  // of the grid
    Index bytes;

    TiledPlan(const Conv2dCorrelation& shape, Index element_bytes)
        : quads(1),
          rows(tile_extent(shape.rows, tiled_side)),
          columns(tile_extent(shape.columns, tiled_side)),
          chunk(8) {
        while (quads < 16 && quads * 4 < shape.out) quads *= 2;
        weight_pitch = quads * 4 + 4;
        const Index taps = Index(shape.rows.taps) * shape.columns.taps;
        const auto bytes_of = [&](int c) {
            return (taps * c * weight_pitch + Index(rows) * columns * (c + 1)) * element_bytes;
        };
        while (chunk > 1 && (chunk / 2 >= shape.in || bytes_of(chunk) > tiled_shared_bytes)) chunk /= 2;
        bytes = bytes_of(chunk);
        pitch = chunk + 1;
        tile_rows = (shape.rows.outputs + tiled_side - 1) / tiled_side;
        tile_columns = (shape.columns.outputs + tiled_side - 1) / tiled_side;
        out_blocks = (shape.out + quads * 4 - 1) / (quads * 4);
    }
    // The grid, x and y.
    Index tiles(const Conv2dCorrelation& shape) const { return shape.images * tile_rows * tile_columns; }
    Index channel_blocks(const Conv2dCorrelation& shape) const { return Index(out_blocks) * shape.groups; }
    bool has_grid(const Conv2dCorrelation& shape) const {
        return tiles(shape) < (Index{1} << 31) && channel_blocks(shape) < 65536;
    }
    bool fits(const Conv2dCorrelation& shape) const { return bytes <= tiled_shared_bytes && has_grid(shape); }
};

// Four neighbours as one word or two, where they all are there and aligned.
template <class T>
__device__ __forceinline__ void put_four(T* target, const Sum<T> (&value)[4], int count, Write mode) {
    constexpr int V = vector_length<T> < 4 ? vector_length<T> : 4;
    using Part = Packed<T, V>;
    const bool whole = count >= 4 && reinterpret_cast<std::uintptr_t>(target) % sizeof(Part) == 0;
    for (int first = 0; first < 4; first += V) {
        if (whole) {
            Part part{};
            if (mode == Write::add) part = *reinterpret_cast<const Part*>(target + first);
            for (int k = 0; k < V; ++k) put_element(part[k], value[first + k], mode);
            *reinterpret_cast<Part*>(target + first) = part;
        } else {
            for (int k = first; k < first + V; ++k)
                if (k < count) put_element(target[k], value[k], mode);
        }
    }
}

// Three blocks a multiprocessor leave 168 registers a thread; left to itself the compiler takes 96 on sm_75 and spills.
template <class T>
__global__ void __launch_bounds__(tiled_threads, 3)
    conv2d_tiled_kernel(Conv2dCorrelation shape, TiledPlan plan, const T* in, const Sum<T>* weight, const Sum<T>* bias,
                        T* out, Write mode) {
    using S = Sum<T>;
    constexpr int V = vector_length<S> < 4 ? vector_length<S> : 4;
    GRADUS_DYNAMIC_SHARED(S, weights);
    const CorrelationAxis &rows = shape.rows, &columns = shape.columns;
    const int taps = rows.taps * columns.taps, channels = plan.quads * 4;
    S* const pixels = weights + taps * plan.chunk * plan.weight_pitch;

    const int t = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
    const int first_out = t % plan.quads * 4, row = t / plan.quads;
    const int tile = static_cast<int>(blockIdx.x), tile_line = tile / plan.tile_columns;
    const int k0 = tile_line % plan.tile_rows * tiled_side, l0 = tile % plan.tile_columns * tiled_side;
    const Index image = tile_line / plan.tile_rows;
    const int group = static_cast<int>(blockIdx.y) / plan.out_blocks;
    const int block_out = static_cast<int>(blockIdx.y) % plan.out_blocks * channels;
    const int h0 = tile_origin(rows, k0), w0 = tile_origin(columns, l0);
    const Sum<T>* const group_weight = weight + group * shape.weight_group;
    const bool out_is_inner = shape.weight_out < shape.weight_in;  // which neighbours in `weight` are: backward-data

    S sum[tiled_side][4];
    for (int q = 0; q < 4; ++q) {
        const int o = block_out + first_out + q;
        const S start = bias != nullptr && o < shape.out ? bias[group * shape.out + o] : S(0);
        for (int l = 0; l < tiled_side; ++l) sum[l][q] = start;
    }
    for (int c0 = 0; c0 < shape.in; c0 += plan.chunk) {
        for (int at = t; at < plan.rows * plan.columns * plan.chunk; at += threads) {
            const int c = c0 + at % plan.chunk, place = at / plan.chunk;
            const int h = h0 + place / plan.columns, w = w0 + place % plan.columns;
            const bool is_there = c < shape.in && rows.inside(h) && columns.inside(w);
            pixels[place * plan.pitch + at % plan.chunk] =
                is_there ? to_float(in[shape.in_offset(image, h, w) + group * shape.in + c]) : S(0);
        }
        for (int at = t; at < taps * plan.chunk * channels; at += threads) {
            const int tap = at / (plan.chunk * channels), pair = at % (plan.chunk * channels);
            const int c = out_is_inner ? pair / channels : pair % plan.chunk;
            const int o = out_is_inner ? pair % channels : pair / plan.chunk;
            const bool is_there = c0 + c < shape.in && block_out + o < shape.out;
            const Index source = shape.weight_offset(tap / columns.taps, tap % columns.taps) +
                                 (block_out + o) * shape.weight_out + (c0 + c) * shape.weight_in;
            weights[(tap * plan.chunk + c) * plan.weight_pitch + o] = is_there ? group_weight[source] : S(0);
        }
        __syncthreads();
        for (int u = 0; u < rows.taps; ++u)
            for (int v = 0; v < columns.taps; ++v) {
                const int pixel_row = (row * rows.step + tile_tap(rows, u)) * plan.columns + tile_tap(columns, v);
                const S* const my_pixels = pixels + pixel_row * plan.pitch;
                const S* const my_weights =
                    weights + (u * columns.taps + v) * plan.chunk * plan.weight_pitch + first_out;
                for (int c = 0; c < plan.chunk; ++c) {
                    S factor[4];
                    for (int part = 0; part < 4; part += V) {
                        const auto loaded =
                            *reinterpret_cast<const Packed<S, V>*>(my_weights + c * plan.weight_pitch + part);
                        for (int q = 0; q < V; ++q) factor[part + q] = loaded[q];
                    }
                    for (int l = 0; l < tiled_side; ++l) {
                        const S pixel = my_pixels[l * columns.step * plan.pitch + c];
                        for (int q = 0; q < 4; ++q) sum[l][q] += pixel * factor[q];
                    }
                }
            }
        __syncthreads();  // the next chunk goes to the same place
    }
    if (k0 + row >= rows.outputs) return;
    for (int l = 0; l < tiled_side; ++l) {
        if (l0 + l >= columns.outputs) continue;
        const Index at = shape.out_offset(CorrelationPixel<Index>{image, k0 + row, l0 + l});
        put_four(out + at + group * shape.out + block_out + first_out, sum[l], shape.out - block_out - first_out, mode);
    }
}

template <class T>
bool tiled_fits(const Conv2dCorrelation& shape) {
    return TiledPlan(shape, sizeof(Sum<T>)).fits(shape);
}
template <class T>
void conv2d_tiled_correlate(const Conv2dCorrelation& shape, const T* in, const Sum<T>* weight, const Sum<T>* bias,
                            T* out, Write mode) {
    const TiledPlan plan(shape, sizeof(Sum<T>));
    GRADUS_CHECK(plan.bytes <= tiled_shared_bytes, "conv2d: a tile of the rung 'tiled' takes ", plan.bytes,
                 " bytes, there are ", tiled_shared_bytes, " of shared memory; the rung 'direct' takes any window");
    GRADUS_CHECK(plan.has_grid(shape), "conv2d: the rung 'tiled' counts up to 2^31 tiles of 8 x 8 outputs and 65535 ",
                 "blocks of channels, here ", plan.tiles(shape), " and ", plan.channel_blocks(shape),
                 "; the rung 'direct' takes any number");
    const dim3 grid(static_cast<unsigned>(plan.tiles(shape)), static_cast<unsigned>(plan.channel_blocks(shape)));
    launch(conv2d_tiled_kernel<T>, grid, static_cast<unsigned>(plan.quads * tiled_side),
           static_cast<std::size_t>(plan.bytes), current_stream(), shape, plan, in, weight, bias, out, mode);
}

template <class T>
void conv2d_tiled_forward(Cuda, Array4<const T> x, Array4<const Sum<T>> weight, Vector<const Sum<T>> bias,
                          const Conv2dOptions& options, Array4<T> y) {
    if (y.size() == 0) return;
    conv2d_tiled_correlate(forward_correlation_cuda(x.shape(), weight.shape(), y.shape(), options), x.data(),
                           weight.data(), bias.size() > 0 ? bias.data() : nullptr, y.data(), Write::overwrite);
}
template <class T>  // (1)
void conv2d_tiled_backward_data(Cuda, Array4<const T> dy, Array4<const Sum<T>> weight, const Conv2dOptions& options,
                                Array4<T> dx, Write mode) {
    if (dx.size() == 0) return;
    const Sum<T>* const no_bias = nullptr;
    for (const Conv2dCorrelation& phase : backward_correlations_cuda(dy.shape(), weight.shape(), dx.shape(), options))
        conv2d_tiled_correlate(phase, dy.data(), weight.data(), no_bias, dx.data(), mode);
}

// (2), over pixels [blockIdx.z * pixels, (blockIdx.z + 1) * pixels) of dy; dweight (parts, O, KH, KW, I)
template <class T>
__global__ void __launch_bounds__(tiled_square_threads)
    conv2d_tiled_backward_weights_kernel(Conv2dCorrelation shape, Index pixels, const T* x, const T* dy,
                                         Sum<T>* dweight, Write mode) {
    using S = Sum<T>;
    constexpr int B = tiled_square, V = vector_length<S> < 4 ? vector_length<S> : 4;
    GRADUS_SHARED_ALIGNED(16, S, slopes, [B][B + 4]);    // dy (pixel, o)
    GRADUS_SHARED_ALIGNED(16, S, channels, [B][B + 4]);  // x (pixel, c)
    GRADUS_SHARED(Index, sources, [B]);                  // where the tap finds each pixel in x; -1 outside of the image
    const CorrelationAxis &rows = shape.rows, &columns = shape.columns;
    const int t = static_cast<int>(threadIdx.x), taps = rows.taps * columns.taps, out_tiles = (shape.out + B - 1) / B;
    const int tap = static_cast<int>(blockIdx.x) % taps, tile = static_cast<int>(blockIdx.x) / taps;
    const int o0 = tile % out_tiles * B, c0 = tile / out_tiles * B, group = static_cast<int>(blockIdx.y);
    const Index begin = blockIdx.z * pixels, end = min(begin + pixels, shape.pixels());

    S sum[4][4] = {};  // (o, c)
    const int my_o = t % 8 * 4, my_c = t / 8 * 4;
    for (Index m0 = begin; m0 < end; m0 += B) {
        if (t < B) {
            sources[t] = -1;
            if (m0 + t < end) {
                const CorrelationPixel<Index> at = shape.pixel(m0 + t);
                const int h = rows.source(at.row, tap / columns.taps),
                          w = columns.source(at.column, tap % columns.taps);
                if (rows.inside(h) && columns.inside(w)) sources[t] = shape.in_offset(at.image, h, w);
            }
        }
        __syncthreads();  // also: nobody reads the tiles of the step before any more
        for (int at = t; at < B * B; at += tiled_square_threads) {
            const int m = at / B, k = at % B;
            const bool is_slope = m0 + m < end && o0 + k < shape.out, is_pixel = sources[m] >= 0 && c0 + k < shape.in;
            slopes[m][k] = is_slope ? to_float(dy[((m0 + m) * shape.groups + group) * shape.out + o0 + k]) : S(0);
            channels[m][k] = is_pixel ? to_float(x[sources[m] + group * shape.in + c0 + k]) : S(0);
        }
        __syncthreads();
        for (int m = 0; m < B; ++m) {
            S a[4], b[4];
            for (int part = 0; part < 4; part += V) {
                const auto some_slopes = *reinterpret_cast<const Packed<S, V>*>(&slopes[m][my_o + part]);
                const auto some_channels = *reinterpret_cast<const Packed<S, V>*>(&channels[m][my_c + part]);
                for (int q = 0; q < V; ++q) a[part + q] = some_slopes[q];
                for (int q = 0; q < V; ++q) b[part + q] = some_channels[q];
            }
            for (int i = 0; i < 4; ++i)
                for (int j = 0; j < 4; ++j) sum[i][j] += a[i] * b[j];
        }
    }
    const Index weights = shape.weight_group * shape.groups;
    for (int i = 0; i < 4; ++i) {
        const int o = o0 + my_o + i;
        if (o >= shape.out) continue;
        S* const target = dweight + blockIdx.z * weights + group * shape.weight_group + o * shape.weight_out +
                          shape.weight_offset(tap / columns.taps, tap % columns.taps);
        put_four(target + c0 + my_c, sum[i], shape.in - c0 - my_c, mode);
    }
}
template <class T>
void conv2d_tiled_backward_weights(Cuda, Array4<const T> x, Array4<const T> dy, const Conv2dOptions& options,
                                   Array4<Sum<T>> dweight, Write mode) {
    if (dweight.size() == 0) return;
    const Conv2dCorrelation shape = forward_correlation_cuda(x.shape(), dweight.shape(), dy.shape(), options);
    const auto tiles_of = [](int extent) { return Index(extent + tiled_square - 1) / tiled_square; };
    const Index blocks = tiles_of(shape.out) * tiles_of(shape.in) * shape.rows.taps * shape.columns.taps;
    // 2048 blocks of 64 threads occupy a card; a part has at least 512 pixels.
    const Index M = shape.pixels();
    const Index parts = std::clamp<Index>(2048 / (blocks * shape.groups), 1, std::max<Index>(M / 512, 1));
    const Index pixels = (M + parts - 1) / parts;
    sum_of_parts(parts, dweight, mode, [&](Sum<T>* target, Write target_mode) {
        launch(conv2d_tiled_backward_weights_kernel<T>,
               dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(shape.groups), static_cast<unsigned>(parts)),
               tiled_square_threads, 0, current_stream(), shape, pixels, x.data(), dy.data(), target, target_mode);
    });
}

}  // namespace gradus::inline GRADUS_ABI
