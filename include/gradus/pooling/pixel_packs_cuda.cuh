// pooling/pixel_packs_cuda.cuh   The work of a pooling kernel: packs of channels of the pixels of an image.
// Images are NHWC, so the channels of a pixel are neighbours. A thread takes 16 bytes of them; neighbouring threads
// take the next ones, then those of the next pixel. Where the channels are no multiple of a pack, the last pack of a
// pixel is incomplete.
// Backward gathers: a thread adds up what the windows that read a pixel have for it, so that no two threads add to one
// dx. It does so for a square of 2 x 2 pixels (squares()), which mostly the same windows read: with windows of 2 x 2
// every dy is loaded once, not four times; with 3 x 3 of stride 2 four times, not nine.
#pragma once

#include <cstdint>

#include "gradus/core/view.hpp"
#include "gradus/machine/cuda/grid_stride.hpp"
#include "gradus/pooling/pool_windows.hpp"

namespace gradus::inline GRADUS_ABI {

struct PixelPack {
    Index n, h, w, c;  // c: of its first channel
    Index count;       // of channels from there on, which may be more than a pack has
};

struct PixelPacks {
    Index height, width, channels;
    Index per_pixel, total;  // packs
    int side = 1;            // of a square of pixels that belong together

    template <class T>
    explicit PixelPacks(const View<T, 4>& images)
        : height(images.shape()[1]),
          width(images.shape()[2]),
          channels(images.shape()[3]),
          per_pixel((channels + vector_length<T> - 1) / vector_length<T>),
          total(images.shape()[0] * height * width * per_pixel) {}

    // The packs of squares of 2 x 2 pixels, (h, w) to (h + 1, w + 1) for what at() returns, as far as they are there.
    PixelPacks squares() const {
        PixelPacks result = *this;
        result.side = 2;
        result.total = total == 0 ? 0 : total / (height * width) * ((height + 1) / 2) * ((width + 1) / 2);
        return result;
    }

    template <class T>
    __device__ __forceinline__ PixelPack at(Index i) const {
        const Index down = (height + side - 1) / side, across = (width + side - 1) / side;
        const Index place = i / per_pixel, c = i % per_pixel * vector_length<T>, row = place / across;
        return {row / down, row % down * side, place % across * side, c, channels - c};
    }
    // The element (n, h, w, c).
    __device__ __forceinline__ Index index(Index n, Index h, Index w, Index c) const {
        return ((n * height + h) * width + w) * channels + c;
    }
};

// The windows that read any of the rows (or columns) h and h + 1, as far as there are so many. A window that reads one
// of them need not read the other.
__device__ __forceinline__ IndexRange readers_of_two(const PoolWindows& windows, Index h) {
    const IndexRange first = windows.readers(h), second = windows.readers(h + 1 < windows.in ? h + 1 : h);
    return {first.size() > 0 ? first.begin : second.begin, first.end > second.end ? first.end : second.end};
}
__device__ __forceinline__ bool reads(const PoolWindows& windows, Index i, Index h) {
    const IndexRange pixels = windows.window(i);
    return pixels.begin <= h && h < pixels.end;
}

// Writes the sums of a square's pixels, those that are there. Four calls instead of a loop, which the compiler might
// not unroll: its index would need the sums as an array in memory.
template <class T>
__device__ __forceinline__ void put_square(T* dx, const PixelPacks& pixels, const PixelPack& first,
                                           const Sum<T> (&sum)[2][2][vector_length<T>], Write mode) {
    const auto put = [&](int a, int b) {
        const Index h = first.h + a, w = first.w + b;
        if (h < pixels.height && w < pixels.width)
            put_pack(dx + pixels.index(first.n, h, w, first.c), sum[a][b], first.count, mode);
    };
    put(0, 0);
    put(0, 1);
    put(1, 0);
    put(1, 1);
}

}  // namespace gradus::inline GRADUS_ABI
