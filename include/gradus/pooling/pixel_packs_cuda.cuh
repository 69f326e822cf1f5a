// pooling/pixel_packs_cuda.cuh   The work of a pooling kernel: packs of channels of the pixels of an image.
// Images are NHWC, so the channels of a pixel are neighbours. A thread takes 16 bytes of them; neighbouring threads
// take the next ones, then those of the next pixel. Where the channels are no multiple of a pack, the last pack of a
// pixel is incomplete.
#pragma once

#include <cstdint>

#include "gradus/core/view.hpp"
#include "gradus/machine/cuda/grid_stride.hpp"

namespace gradus::inline GRADUS_ABI {

struct PixelPack {
    Index n, h, w, c;  // c: of its first channel
    Index count;       // of channels from there on, which may be more than a pack has
};

struct PixelPacks {
    Index height, width, channels;
    Index per_pixel, total;  // packs

    template <class T>
    explicit PixelPacks(const View<T, 4>& images)
        : height(images.shape()[1]),
          width(images.shape()[2]),
          channels(images.shape()[3]),
          per_pixel((channels + vector_length<T> - 1) / vector_length<T>),
          total(images.shape()[0] * height * width * per_pixel) {}

    template <class T>
    __device__ __forceinline__ PixelPack at(Index i) const {
        const Index pixel = i / per_pixel, c = i % per_pixel * vector_length<T>, row = pixel / width;
        return {row / height, row % height, pixel % width, c, channels - c};
    }
    // The element (n, h, w, c).
    __device__ __forceinline__ Index index(Index n, Index h, Index w, Index c) const {
        return ((n * height + h) * width + w) * channels + c;
    }
};

}  // namespace gradus::inline GRADUS_ABI
