// convolution/conv2d_gemm_loader_cuda.cuh   The tiles of conv2d_implicit_gemm_cuda.cuh: where an element lies in x.
// The matrix of im2col has a row for each output pixel and a column for each (tap, channel). It is never stored: when a
// tile of it is due, each thread works out where its elements lie in x and copies them to shared memory, 16 bytes, 8
// channels of one tap, at a time. Outside of the image, and behind the last row or column, it copies zeros.
// To make packs of 8 belong to one tap, the channels of a tap are counted up to a multiple of 8, `padded`; the channels
// that are not there are zeros. Where x has a multiple of 8 channels (and groups too) and is aligned, a pack is one
// cp.async (Packs); elsewhere it is put together from single elements, which is right but slow.
// The divisions that find pixel and tap are done once where they can be: a thread of the forward loader keeps its rows
// and moves on through the taps by counting; a thread of the weight gradient's keeps its taps, and divides for the
// pixels of each step (four pixels, two divisions of 32 bits each: about 200 instructions, beside 256 cycles of tensor
// cores).
#pragma once

#include "gradus/convolution/conv2d_gemm_tile_cuda.cuh"

namespace gradus::inline GRADUS_ABI {

GRADUS_HOST_DEVICE constexpr int conv_gemm_padded(int channels) { return (channels + 7) / 8 * 8; }

// 8 elements to shared memory; of the source the first `count` are there, none if count <= 0. `anywhere` is an address
// that may be read.
template <bool Packs, class T>
__device__ __forceinline__ void conv_gemm_copy(T* target, const T* source, int count, const T* anywhere) {
    if constexpr (Packs) {
        cp_async<16>(target, count > 0 ? source : anywhere, count > 0 ? 16 : 0);
    } else {
        Pack<T> pack;
        for (int k = 0; k < 8; ++k) pack[k] = k < count ? source[k] : from_float<T>(0.0f);
        *reinterpret_cast<Pack<T>*>(target) = pack;
    }
}

// Forward and backward-data: A (pixels, taps and channels) from `in`, B (outputs, taps and channels) from the packed
// weights. A warp copies 8 lines of 64 bytes; the 8 lanes whose copies go together have one pack of 8 different lines,
// which lie in different banks.
template <class T, bool Packs>
struct ConvGemmForwardLoader {
    using Tiles = ConvGemmTiles<true>;
    static constexpr int A = conv_gemm_rows / 32, B = conv_gemm_columns / 32;  // lines of a thread

    const Conv2dCorrelation& shape;
    const T *in, *weight;    // of this group; the packed weights from this block's first output on
    int outputs;             // that are left from there
    int line, pack;          // the first line of this thread in a tile, and its pack of 8 in depth
    int padded, depth;       // channels of a tap; all of taps and channels
    int u = 0, v = 0, c, k;  // where this thread's pack is: tap, channel, number in depth
    Index image[A];          // the first element of the image, -1 where there is no pixel
    int h[A], w[A];          // the source of tap (0, 0)

    __device__ __forceinline__ ConvGemmForwardLoader(const Conv2dCorrelation& correlation, const T* input,
                                                     const T* packed, int group, int first_pixel, int first_output)
        : shape(correlation), in(input + group * correlation.in), outputs(correlation.out - first_output) {
        const int t = static_cast<int>(threadIdx.x), pixels = static_cast<int>(shape.pixels());
        line = t % 8 + t / 32 * 8;
        pack = t / 8 % 4;
        padded = conv_gemm_padded(shape.in);
        depth = shape.rows.taps * shape.columns.taps * padded;
        weight = packed + (Index(group) * shape.out + first_output) * depth;
        c = k = pack * 8;
        skip_taps();
        for (int i = 0; i < A; ++i) {
            const int m = first_pixel + line + 32 * i;
            const CorrelationPixel<int> at = shape.pixel(m);
            image[i] = m < pixels ? shape.in_offset(at.image, 0, 0) : -1;
            h[i] = shape.rows.source(at.row, 0);
            w[i] = shape.columns.source(at.column, 0);
        }
    }
    __device__ __forceinline__ void skip_taps() {
        while (c >= padded && u < shape.rows.taps) {
            c -= padded;
            if (++v < shape.columns.taps) continue;
            v = 0;
            ++u;
        }
    }
    __device__ __forceinline__ void operator()(T* stage) {
        const CorrelationAxis &rows = shape.rows, &columns = shape.columns;
        for (int i = 0; i < A; ++i) {
            const int at_h = h[i] + rows.tap_step * u, at_w = w[i] + columns.tap_step * v;
            const bool is_there = k < depth && image[i] >= 0 && rows.inside(at_h) && columns.inside(at_w);
            const Index pixel = Index(at_h) * columns.in_extent + at_w;
            const T* const source = in + image[i] + pixel * (Index(shape.groups) * shape.in) + c;
            conv_gemm_copy<Packs>(stage + (line + 32 * i) * Tiles::a_pitch + pack * 8, source,
                                  is_there ? shape.in - c : 0, in);
        }
        T* const b = stage + Tiles::a_size;
        for (int i = 0; i < B; ++i) {
            const int output = line + 32 * i;
            const bool is_there = output < outputs && k < depth;
            // The packed weights are aligned whatever x is.
            conv_gemm_copy<true>(b + output * Tiles::b_pitch + pack * 8, weight + Index(output) * depth + k,
                                 is_there ? 8 : 0, weight);
        }
        c += conv_gemm_depth;
        k += conv_gemm_depth;
        skip_taps();
    }
};

// Weight gradient: A (pixels, taps and channels) from x, B (pixels, outputs) from dy; the sum goes over the pixels. The
// 16 lanes of half a warp copy 256 bytes of one line.
template <class T, bool Packs>
struct ConvGemmWeightsLoader {
    using Tiles = ConvGemmTiles<false>;
    static constexpr int a_packs = conv_gemm_rows / 8, a_lines = conv_gemm_threads / a_packs;  // a line, at a time
    static constexpr int b_packs = conv_gemm_columns / 8, b_lines = conv_gemm_threads / b_packs;

    const Conv2dCorrelation& shape;
    const T *x, *dy;  // of this group; dy from this block's first output on
    int outputs;      // that are left from there
    int u, v, c;      // the tap and channel of this thread's packs of A; no channel left: c = shape.in
    int pixel, end;   // of the next step

    __device__ __forceinline__ ConvGemmWeightsLoader(const Conv2dCorrelation& correlation, const T* input,
                                                     const T* slopes, int group, int first_column, int first_output,
                                                     int first_pixel, int end_pixel)
        : shape(correlation),
          x(input + group * correlation.in),
          dy(slopes + group * correlation.out + first_output),
          outputs(correlation.out - first_output),
          pixel(first_pixel),
          end(end_pixel) {
        const int padded = conv_gemm_padded(shape.in);
        const int column = first_column + static_cast<int>(threadIdx.x) % a_packs * 8, tap = column / padded;
        u = tap / shape.columns.taps;
        v = tap % shape.columns.taps;
        c = u < shape.rows.taps ? column % padded : shape.in;
    }
    __device__ __forceinline__ void operator()(T* stage) {
        const CorrelationAxis &rows = shape.rows, &columns = shape.columns;
        const int t = static_cast<int>(threadIdx.x);
        for (int line = t / a_packs; line < conv_gemm_depth; line += a_lines) {
            const CorrelationPixel<int> at = shape.pixel(pixel + line);
            const int h = rows.source(at.row, u), w = columns.source(at.column, v);
            const bool is_there = pixel + line < end && rows.inside(h) && columns.inside(w);
            conv_gemm_copy<Packs>(stage + line * Tiles::a_pitch + t % a_packs * 8,
                                  x + shape.in_offset(at.image, h, w) + c, is_there ? shape.in - c : 0, x);
        }
        T* const b = stage + Tiles::a_size;
        const int o = t % b_packs * 8;
        for (int line = t / b_packs; line < conv_gemm_depth; line += b_lines) {
            const Index m = pixel + line;
            conv_gemm_copy<Packs>(b + line * Tiles::b_pitch + o, dy + m * (Index(shape.groups) * shape.out) + o,
                                  m < end ? outputs - o : 0, dy);
        }
        pixel += conv_gemm_depth;
    }
};

// The weights as the forward loader reads them: T, (groups, outputs, taps, padded). A phase of backward-data has some
// of the taps alone, and outputs as neighbours in `weight`: a block turns a square of 32 x 32 (o, c) of one tap in
// shared memory, so that reads and writes are runs of neighbours.
inline constexpr int pack_weights_side = 32, pack_weights_threads = 256;
template <class T>
__global__ void __launch_bounds__(pack_weights_threads)
    conv2d_pack_weights_kernel(Conv2dCorrelation shape, const float* weight, T* packed) {
    constexpr int side = pack_weights_side;
    GRADUS_SHARED(float, square, [side][side + 1]);
    const int padded = conv_gemm_padded(shape.in), taps = shape.rows.taps * shape.columns.taps;
    const int across = (padded + side - 1) / side, tile = static_cast<int>(blockIdx.x) / taps;
    const int tap = static_cast<int>(blockIdx.x) % taps, c0 = tile % across * side, o0 = tile / across * side;
    const Index group = blockIdx.y, first = group * shape.weight_group +
                                            shape.weight_offset(tap / shape.columns.taps, tap % shape.columns.taps);
    const bool out_is_inner = shape.weight_out < shape.weight_in;
    for (int at = static_cast<int>(threadIdx.x); at < side * side; at += pack_weights_threads) {
        const int o = out_is_inner ? at % side : at / side, c = out_is_inner ? at / side : at % side;
        const bool is_there = o0 + o < shape.out && c0 + c < shape.in;
        square[o][c] = is_there ? weight[first + (o0 + o) * shape.weight_out + (c0 + c) * shape.weight_in] : 0.0f;
    }
    __syncthreads();
    for (int at = static_cast<int>(threadIdx.x); at < side * side; at += pack_weights_threads) {
        const int o = o0 + at / side, c = c0 + at % side;
        if (o >= shape.out || c >= padded) continue;
        packed[((group * shape.out + o) * taps + tap) * padded + c] = from_float<T>(square[at / side][at % side]);
    }
}

}  // namespace gradus::inline GRADUS_ABI
