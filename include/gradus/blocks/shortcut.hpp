// blocks/shortcut.hpp   What a residual block adds back when it changes the number of channels or the resolution
//                       (He, Zhang, Ren, Sun 2015, arXiv 1512.03385, section 3.3).
//     A, pad         every stride-th pixel, new channels are zero: no parameters (the paper's CIFAR networks)
//     B, projection  a 1x1 convolution with the stride, then batch norm (torchvision's "downsample.0" and
//                    "downsample.1")
// A block that changes neither passes x on as it is.
#pragma once

#include "gradus/nn/batch_norm2d.hpp"
#include "gradus/nn/conv2d_layer.hpp"
#include "gradus/nn/sequential.hpp"
#include "gradus/shaping/pad.hpp"
#include "gradus/shaping/slice.hpp"

namespace gradus::inline GRADUS_ABI {

enum class ShortcutKind { pad, projection };

template <FloatingElement T, Device D>
GRADUS_COLD void add_projection(Sequential<T, D>& downsample, Index in, Index out, Index stride) {
    downsample.template add<Conv2d<T, D>>(in, out, Conv2dConfig{.stride = stride, .bias = false});
    downsample.template add<BatchNorm2d<T, D>>(out);
}

// Option A: (N, H, W, in) -> (N, H/stride, W/stride, out), half of the zero channels before, half after.
template <FloatingElement T, Device D>
GRADUS_GLUE Variable<T, D> pad_shortcut(const Variable<T, D>& x, Index out, Index stride) {
    const Index more = out - x.shape()[3];
    GRADUS_CHECK(more >= 0, "pad_shortcut: ", x.shape(), " has more than ", out, " channels");
    Variable<T, D> y = x;
    for (int dimension : {1, 2})
        if (stride > 1) y = slice(y, dimension, {.step = stride});
    return more == 0 ? y : pad(y, 3, {.before = more / 2, .after = more - more / 2});
}

}  // namespace gradus::inline GRADUS_ABI
