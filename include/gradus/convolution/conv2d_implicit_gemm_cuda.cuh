// convolution/conv2d_implicit_gemm_cuda.cuh   Rung 4 of conv2d.hpp on Cuda: a matrix product on tensor cores.
// Method   Implicit GEMM: Chetlur et al. 2014, "cuDNN: efficient primitives for deep learning", arXiv 1410.0759, 3.
//          With the matrix cols of im2col (conv2d_im2col_cpu.hpp), a row for each output pixel, a column for each tap
//          and channel:
//              forward  y = cols W^T    (1)  the same with dy, on the phases of conv2d_correlation_cuda.cuh
//                                       (2)  dweight^T = cols^T dy, a sum over pixels
//          Rung 3 writes cols to memory and reads it back, KH*KW times x each way. Here a tile of it is made in shared
//          memory when it is due (conv2d_gemm_loader_cuda.cuh) and goes from there to the tensor cores, in 16 bits with
//          float accumulators (conv2d_gemm_tile_cuda.cuh).
// Types    Half; BFloat16 on cards from sm_80 on, in a program that is compiled for them.
// Deviates weights are rounded to T first (packed, once for each call), as mixed precision has it. Everything else is
//          float until the result is stored.
// Cost     Half, 3x3, 64 to 64 channels, 32 images of 56x56: 7.4 GFLOP; x and y are 13 MB each, so 288 FLOP a byte of
//          device memory. An A100 has 312 TFLOP/s and 1.56 TB/s, 200 FLOP a byte: the tensor cores are the limit, 24
//          us. In float without tensor cores (19.5 TFLOP/s) it is 380 us at best. Not measured: there was no card.
// (2)      As many parts of the pixels as make 512 blocks, of 256 pixels at least; each has a float sum of its own, and
//          they are added in order.
#pragma once

#include "gradus/convolution/conv2d_gemm_loader_cuda.cuh"
#include "gradus/machine/cuda/card.hpp"

namespace gradus::inline GRADUS_ABI {

template <class T>
inline constexpr bool is_tensor_core_element = std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;

// What the kernels count, and how far.
struct ImplicitGemmSizes {
    Index pixels, depth, blocks;  // of output channels, all groups together: the grid's y

    explicit ImplicitGemmSizes(const Conv2dCorrelation& shape)
        : pixels(shape.pixels()),
          depth(Index(shape.rows.taps) * shape.columns.taps * conv_gemm_padded(shape.in)),
          blocks((Index(shape.out) + conv_gemm_columns - 1) / conv_gemm_columns * shape.groups) {}
    bool fit() const { return pixels < (Index{1} << 30) && depth < (Index{1} << 30) && blocks < 65536; }
};
inline bool implicit_gemm_fits(const Conv2dCorrelation& shape) { return ImplicitGemmSizes(shape).fit(); }

// Rows of a block: 128 output pixels; columns: 64 output channels of a group.
template <class T, bool Packs>
__global__ void __launch_bounds__(conv_gemm_threads)
    conv2d_gemm_kernel(Conv2dCorrelation shape, int out_blocks, const T* in, const T* packed_weight, const float* bias,
                       T* out, Write mode) {
    if constexpr (compiled_for_tensor_cores<T>) {
        using Tiles = ConvGemmTiles<true>;
        GRADUS_SHARED_ALIGNED(128, unsigned char, memory, [Tiles::bytes]);
        const int m0 = static_cast<int>(blockIdx.x) * conv_gemm_rows, group = static_cast<int>(blockIdx.y) / out_blocks;
        const int o0 = static_cast<int>(blockIdx.y) % out_blocks * conv_gemm_columns;
        ConvGemmForwardLoader<T, Packs> loader(shape, in, packed_weight, group, m0, o0);
        conv_gemm_loop<true, T>(memory, (loader.depth + conv_gemm_depth - 1) / conv_gemm_depth, loader);

        const float* const sums = reinterpret_cast<const float*>(memory);
        const int pixels = static_cast<int>(shape.pixels());
        constexpr int packs = conv_gemm_columns / 8;  // of a row
        for (int at = static_cast<int>(threadIdx.x); at < conv_gemm_rows * packs; at += conv_gemm_threads) {
            const int row = at / packs, o = o0 + at % packs * 8;
            if (m0 + row >= pixels || o >= shape.out) continue;
            float value[8];
            for (int k = 0; k < 8; k += 4) {
                const auto four = *reinterpret_cast<const Pack<float>*>(sums + row * Tiles::sum_pitch + o - o0 + k);
                for (int q = 0; q < 4; ++q) {
                    const bool has_bias = bias != nullptr && o + k + q < shape.out;
                    value[k + q] = four[q] + (has_bias ? bias[group * shape.out + o + k + q] : 0.0f);
                }
            }
            put_pack(out + shape.out_offset(shape.pixel(m0 + row)) + group * shape.out + o, value, shape.out - o, mode);
        }
    }
}

// Rows of a block: 128 taps and channels; columns: 64 output channels of a group; over pixels [blockIdx.z *
// part_pixels, (blockIdx.z + 1) * part_pixels). dweight (parts, O, KH, KW, I)
template <class T, bool Packs>
__global__ void __launch_bounds__(conv_gemm_threads)
    conv2d_gemm_weights_kernel(Conv2dCorrelation shape, int out_blocks, int part_pixels, const T* x, const T* dy,
                               float* dweight, Write mode) {
    if constexpr (compiled_for_tensor_cores<T>) {
        using Tiles = ConvGemmTiles<false>;
        GRADUS_SHARED_ALIGNED(128, unsigned char, memory, [Tiles::bytes]);
        const int n0 = static_cast<int>(blockIdx.x) * conv_gemm_rows, group = static_cast<int>(blockIdx.y) / out_blocks;
        const int o0 = static_cast<int>(blockIdx.y) % out_blocks * conv_gemm_columns;
        const int begin = static_cast<int>(blockIdx.z) * part_pixels;
        const int end = min(begin + part_pixels, static_cast<int>(shape.pixels()));
        ConvGemmWeightsLoader<T, Packs> loader(shape, x, dy, group, n0, o0, begin, end);
        const int steps = end > begin ? (end - begin + conv_gemm_depth - 1) / conv_gemm_depth : 0;
        conv_gemm_loop<false, T>(memory, steps, loader);

        // A thread has one tap and channel, and neighbouring threads neighbouring channels.
        static_assert(conv_gemm_rows == conv_gemm_threads);
        const float* const sums = reinterpret_cast<const float*>(memory) + threadIdx.x;
        const int n = n0 + static_cast<int>(threadIdx.x), padded = conv_gemm_padded(shape.in);
        const int c = n % padded, u = n / padded / shape.columns.taps, v = n / padded % shape.columns.taps;
        if (u >= shape.rows.taps || c >= shape.in) return;
        float* const target = dweight + blockIdx.z * (shape.weight_group * shape.groups) + group * shape.weight_group +
                              shape.weight_offset(u, v) + c;
        for (int o = o0; o < min(o0 + conv_gemm_columns, shape.out); ++o)
            put_element(target[o * shape.weight_out], sums[(o - o0) * Tiles::sum_pitch], mode);
    }
}

// Whether the kernels above take T. It asks what they were compiled for, not the card: in a program for compute_75
// alone, which is what nvcc makes without -arch, those of BFloat16 are empty, and a later card would run them.
template <class T>
bool has_tensor_cores() {
    if constexpr (!is_tensor_core_element<T>) {
        return false;
    } else {
        static const int architecture = kernel_architecture(conv2d_gemm_kernel<T, true>);
        return tensor_cores_take<T>(architecture);
    }
}

inline constexpr const char* implicit_gemm_types =
    "Half, and BFloat16 on cards from sm_80 on, in a program compiled for them";

template <class T>
void check_implicit_gemm(const Conv2dCorrelation& shape) {
    GRADUS_CHECK(has_tensor_cores<T>(), "conv2d: the rung 'implicit_gemm' needs tensor cores for ", element_name<T>(),
                 ": ", implicit_gemm_types);
    const ImplicitGemmSizes sizes(shape);
    GRADUS_CHECK(sizes.fit(), "conv2d: the rung 'implicit_gemm' counts less than 2^30 pixels, 2^30 taps and channels, ",
                 "and 65536 blocks of outputs, here ", sizes.pixels, ", ", sizes.depth, " and ", sizes.blocks);
}
template <class T>
bool loads_in_packs(int channels, const T* first) {
    return channels % 8 == 0 && reinterpret_cast<std::uintptr_t>(first) % 16 == 0;
}

template <class T>
void conv2d_gemm_correlate(const Conv2dCorrelation& shape, const T* in, const float* weight, const float* bias, T* out,
                           Write mode) {
    check_implicit_gemm<T>(shape);
    const int padded = conv_gemm_padded(shape.in);
    const Index taps = Index(shape.rows.taps) * shape.columns.taps;
    const CudaBuffer<T> packed(std::max<Index>(taps * padded * shape.out * shape.groups, 1));
    const Index squares = taps * blocks_for(padded, pack_weights_side) * blocks_for(shape.out, pack_weights_side);
    if (squares > 0)  // a pixel that no output has read has no tap
        launch(conv2d_pack_weights_kernel<T>, dim3(static_cast<unsigned>(squares), static_cast<unsigned>(shape.groups)),
               pack_weights_threads, 0, current_stream(), shape, weight, packed.data());
    const int out_blocks = (shape.out + conv_gemm_columns - 1) / conv_gemm_columns;
    const dim3 grid(blocks_for(shape.pixels(), conv_gemm_rows), static_cast<unsigned>(out_blocks * shape.groups));
    const auto kernel = loads_in_packs(shape.in, in) ? conv2d_gemm_kernel<T, true> : conv2d_gemm_kernel<T, false>;
    launch(kernel, grid, conv_gemm_threads, 0, current_stream(), shape, out_blocks, in, packed.data(), bias, out, mode);
}

template <class T>
void conv2d_implicit_gemm_forward(Cuda, Array4<const T> x, Array4<const float> weight, Vector<const float> bias,
                                  const Conv2dOptions& options, Array4<T> y) {
    if (y.size() == 0) return;
    conv2d_gemm_correlate(forward_correlation_cuda(x.shape(), weight.shape(), y.shape(), options), x.data(),
                          weight.data(), bias.size() > 0 ? bias.data() : nullptr, y.data(), Write::overwrite);
}
template <class T>  // (1)
void conv2d_implicit_gemm_backward_data(Cuda, Array4<const T> dy, Array4<const float> weight,
                                        const Conv2dOptions& options, Array4<T> dx, Write mode) {
    if (dx.size() == 0) return;
    for (const Conv2dCorrelation& phase : backward_correlations_cuda(dy.shape(), weight.shape(), dx.shape(), options))
        conv2d_gemm_correlate(phase, dy.data(), weight.data(), nullptr, dx.data(), mode);
}

template <class T>  // (2)
void conv2d_implicit_gemm_backward_weights(Cuda, Array4<const T> x, Array4<const T> dy, const Conv2dOptions& options,
                                           Array4<float> dweight, Write mode) {
    if (dweight.size() == 0) return;
    const Conv2dCorrelation shape = forward_correlation_cuda(x.shape(), dweight.shape(), dy.shape(), options);
    check_implicit_gemm<T>(shape);
    const int out_blocks = (shape.out + conv_gemm_columns - 1) / conv_gemm_columns;
    const Index depth = Index(shape.rows.taps) * shape.columns.taps * conv_gemm_padded(shape.in);
    const Index blocks_across = (depth + conv_gemm_rows - 1) / conv_gemm_rows, M = shape.pixels();
    const Index most = std::max<Index>(M / 256, 1);
    const Index parts = std::clamp<Index>(512 / (blocks_across * out_blocks * shape.groups), 1, most);
    // Whole steps, so that all parts but the last have as many.
    const Index steps = ((M + parts - 1) / parts + conv_gemm_depth - 1) / conv_gemm_depth;
    const auto part_pixels = static_cast<int>(steps * conv_gemm_depth);
    const bool packs = loads_in_packs(shape.in, x.data()) && loads_in_packs(shape.out, dy.data());
    const auto kernel = packs ? conv2d_gemm_weights_kernel<T, true> : conv2d_gemm_weights_kernel<T, false>;
    const dim3 grid(static_cast<unsigned>(blocks_across), static_cast<unsigned>(out_blocks * shape.groups),
                    static_cast<unsigned>(parts));
    sum_of_parts(parts, dweight, mode, [&](float* target, Write target_mode) {
        launch(kernel, grid, conv_gemm_threads, 0, current_stream(), shape, out_blocks, part_pixels, x.data(),
               dy.data(), target, target_mode);
    });
}

}  // namespace gradus::inline GRADUS_ABI
