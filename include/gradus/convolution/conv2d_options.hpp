// convolution/conv2d_options.hpp   How the window of a two-dimensional convolution moves; the formula is in conv2d.hpp.
#pragma once

#include "gradus/core/shape.hpp"

namespace gradus::inline GRADUS_ABI {

struct Conv2dOptions {
    Index stride = 1;
    Index padding = 0;
    Index dilation = 1;
    Index groups = 1;
};

// The extent of the output along one axis.
inline Index conv_extent(Index in, Index kernel, Index stride, Index padding, Index dilation = 1) {
    return (in + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
}

}  // namespace gradus::inline GRADUS_ABI
