// pooling/global_avg_pool2d_cuda.cuh   The CUDA twins of global_avg_pool2d.hpp.
// The mean over an image is a sum over the middle of (N, H*W, C), and its gradient the gradient of that sum: the
// kernels are those of sum_cuda.cuh, with the factor 1 / (H*W).
// Cost     reads x once; backward writes dx once, and reads dy mostly from the cache.
#pragma once

#include "gradus/pooling/global_avg_pool2d.hpp"
#include "gradus/reduction/sum_cuda.cuh"

namespace gradus::inline GRADUS_ABI {

template <class T>
void global_avg_pool2d_forward(Cuda, Array4<const T> x, Matrix<T> y) {
    const Index N = x.shape()[0], pixels = x.shape()[1] * x.shape()[2], C = x.shape()[3];
    const ReductionPlan plan(N, pixels, C, vector_length<T>);
    sum_middle_cuda(x.data(), plan, 1 / static_cast<Sum<T>>(pixels), y.data(), Write::overwrite);
}

template <class T>
void global_avg_pool2d_backward(Cuda, Matrix<const T> dy, Array4<T> dx, Write mode) {
    if (dx.size() == 0) return;
    const Index N = dx.shape()[0], pixels = dx.shape()[1] * dx.shape()[2], C = dx.shape()[3];
    const Broadcast pairs("global_avg_pool2d", {N, 1, C}, {N, pixels, C});
    sum_backward(Cuda{}, pairs, Vector<const T>(dy.data(), {dy.size()}), 1 / static_cast<Sum<T>>(pixels),
                 Vector<T>(dx.data(), {dx.size()}), mode);
}

}  // namespace gradus::inline GRADUS_ABI
