// pooling/global_avg_pool2d.hpp   The mean of every channel over the image (Lin, Chen, Yan 2013, arXiv 1312.4400, 3.2).
// Problem  A fully connected layer on a feature map has a weight for every pixel and fits one image size. A mean has
//          neither.
// Shapes   x (N, H, W, C), y (N, C)
// Forward  y(n, c) = 1/(H*W) sum over h, w of x(n, h, w, c)
// Backward of f = sum dy*y:   dx(n, h, w, c) = dy(n, c) / (H*W)
// Cost     one pass over x, one over dx. Twins: global_avg_pool2d_cpu.hpp, global_avg_pool2d_cuda.cuh
#pragma once

#include <memory>
#include <utility>

#include "gradus/autograd/variable.hpp"

namespace gradus::inline GRADUS_ABI {

template <class T>
void global_avg_pool2d_forward(Reference, Array4<const T> x, Matrix<T> y) {
    const auto [N, H, W, C] = x.shape();
    for (Index n = 0; n < N; ++n)
        for (Index c = 0; c < C; ++c) {
            Sum<T> sum = 0;
            for (Index h = 0; h < H; ++h)
                for (Index w = 0; w < W; ++w) sum += Sum<T>(x(n, h, w, c));
            y(n, c) = T(sum / Sum<T>(H * W));
        }
}

template <class T>
void global_avg_pool2d_backward(Reference, Matrix<const T> dy, Array4<T> dx, Write mode) {
    const auto [N, H, W, C] = dx.shape();
    for (Index n = 0; n < N; ++n)
        for (Index h = 0; h < H; ++h)
            for (Index w = 0; w < W; ++w)
                for (Index c = 0; c < C; ++c) put(dx(n, h, w, c), Sum<T>(dy(n, c)) / Sum<T>(H * W), mode);
}

template <class T, class D>
struct GlobalAvgPool2dNode final : NodeOf<T, D> {
    Edge<T, D> x;

    const char* name() const override { return "global_avg_pool2d"; }
    GRADUS_GLUE void backward(const Tensor<T, D>& dy) override {
        GradientTarget<T, D> dx = x.target();
        global_avg_pool2d_backward(D{}, dy.template read<2>(), dx.template write<4>(), dx.mode);
    }
};

// (N, H, W, C) -> (N, C). Errors: another rank, an image without pixels.
template <FloatingElement T, Device D>
GRADUS_GLUE Variable<T, D> global_avg_pool2d(const Variable<T, D>& x) {
    const OperationScope operation("global_avg_pool2d");
    GRADUS_CHECK(x.shape().rank() == 4, "global_avg_pool2d: x must be (N, H, W, C), got ", x.shape());
    GRADUS_CHECK(x.shape()[1] > 0 && x.shape()[2] > 0, "global_avg_pool2d: the mean of no pixels, x is ", x.shape());
    Tensor<T, D> y({x.shape()[0], x.shape()[3]});
    global_avg_pool2d_forward(D{}, x.value().template read<4>(), y.template write<2>());
    if (!needs_gradient(x)) return Variable<T, D>(y, nullptr);
    auto node = make_node<GlobalAvgPool2dNode<T, D>>();
    node->x = node->input(x);
    return Variable<T, D>(y, std::move(node));
}

}  // namespace gradus::inline GRADUS_ABI

#include "gradus/pooling/global_avg_pool2d_cpu.hpp"
