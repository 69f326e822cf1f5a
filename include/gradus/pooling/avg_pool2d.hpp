// pooling/avg_pool2d.hpp   The mean of every window: the subsampling of LeCun et al. 1989, without its weights.
// Problem  Halving an image by taking every second pixel throws three quarters of it away; a mean uses all (ResNet-D:
//          He T. et al. 2018, arXiv 1812.01187, section 4.2).
// Shapes   x (N, H, W, C), y (N, P, Q, C); P and Q as pooling/pool_windows.hpp has them
// Forward  y(n, i, j, c) = 1/size(i, j) * sum of x(n, h, w, c) over h in window i, w in window j
//          size counts padding where count_include_pad is set, as if it were pixels of value 0, else pixels of x only.
// Backward of f = sum dy*y:
//   (1) dx(n, h, w, c) = sum over windows i, j that read (h, w) of dy(n, i, j, c) / size(i, j)
// Adaptive pooling is the same with windows that follow from the size of the output.
// Cost     K*K additions an output; the backward pass reads dy (K/s)^2 times, from the cache.
//          Twins: avg_pool2d_cpu.hpp, avg_pool2d_cuda.cuh
#pragma once

#include <memory>
#include <utility>

#include "gradus/autograd/variable.hpp"
#include "gradus/pooling/pool_windows.hpp"

namespace gradus::inline GRADUS_ABI {

struct AvgPool2dOptions {
    Index kernel = 2;
    Index stride = 0;  // 0: as the kernel
    Index padding = 0;
    bool ceil_mode = false;
    bool count_include_pad = true;
};

template <class T>
void avg_pool2d_forward(Reference, Array4<const T> x, const PoolWindows& rows, const PoolWindows& columns,
                        Array4<T> y) {
    const auto [N, P, Q, C] = y.shape();
    for (Index n = 0; n < N; ++n)
        for (Index i = 0; i < P; ++i)
            for (Index j = 0; j < Q; ++j)
                for (Index c = 0; c < C; ++c) {
                    Sum<T> sum = 0;
                    for (Index h = rows.window(i).begin; h < rows.window(i).end; ++h)
                        for (Index w = columns.window(j).begin; w < columns.window(j).end; ++w)
                            sum += Sum<T>(x(n, h, w, c));
                    y(n, i, j, c) = T(sum / Sum<T>(rows.divisor(i) * columns.divisor(j)));
                }
}

template <class T>  // (1)
void avg_pool2d_backward(Reference, Array4<const T> dy, const PoolWindows& rows, const PoolWindows& columns,
                         Array4<T> dx, Write mode) {
    const auto [N, H, W, C] = dx.shape();
    for (Index n = 0; n < N; ++n)
        for (Index h = 0; h < H; ++h)
            for (Index w = 0; w < W; ++w)
                for (Index c = 0; c < C; ++c) {
                    Sum<T> sum = 0;
                    for (Index i = rows.readers(h).begin; i < rows.readers(h).end; ++i)
                        for (Index j = columns.readers(w).begin; j < columns.readers(w).end; ++j)
                            sum += Sum<T>(dy(n, i, j, c)) / Sum<T>(rows.divisor(i) * columns.divisor(j));
                    put(dx(n, h, w, c), sum, mode);
                }
}

template <class T, class D>
struct AvgPool2dNode final : NodeOf<T, D> {
    Edge<T, D> x;
    PoolWindows rows, columns;

    AvgPool2dNode(const PoolWindows& row_windows, const PoolWindows& column_windows)
        : rows(row_windows), columns(column_windows) {}
    // The means of these windows, recorded where x needs a gradient.
    static Variable<T, D> record(const Variable<T, D>& x, const PoolWindows& rows, const PoolWindows& columns) {
        Tensor<T, D> y({x.shape()[0], rows.out, columns.out, x.shape()[3]});
        avg_pool2d_forward(D{}, x.value().template read<4>(), rows, columns, y.template write<4>());
        if (!needs_gradient(x)) return Variable<T, D>(y, nullptr);
        auto node = make_node<AvgPool2dNode>(rows, columns);
        node->x = node->input(x);
        return Variable<T, D>(y, std::move(node));
    }
    const char* name() const override { return rows.kernel == 0 ? "adaptive_avg_pool2d" : "avg_pool2d"; }
    void backward(const Tensor<T, D>& dy) override {
        GradientTarget<T, D> dx = x.target();
        avg_pool2d_backward(D{}, dy.template read<4>(), rows, columns, dx.template write<4>(), dx.mode);
    }
};

// (N, H, W, C) -> (N, P, Q, C). Errors: another rank, windows that do not fit. Source: PyTorch's avg_pool2d.
template <FloatingElement T, Device D>
Variable<T, D> avg_pool2d(const Variable<T, D>& x, const AvgPool2dOptions& options = {}) {
    const OperationScope operation("avg_pool2d");
    const auto [kernel, stride, padding, ceil_mode, counts] = options;
    GRADUS_CHECK(x.shape().rank() == 4, "avg_pool2d: x must be (N, H, W, C), got ", x.shape());
    const PoolWindows rows = strided_windows("avg_pool2d", x.shape()[1], kernel, stride, padding, ceil_mode, counts);
    const PoolWindows columns = strided_windows("avg_pool2d", x.shape()[2], kernel, stride, padding, ceil_mode, counts);
    return AvgPool2dNode<T, D>::record(x, rows, columns);
}

// (N, H, W, C) -> (N, out_height, out_width, C). Errors: another rank, an extent of 0. Source: PyTorch's
// adaptive_avg_pool2d.
template <FloatingElement T, Device D>
Variable<T, D> adaptive_avg_pool2d(const Variable<T, D>& x, Index out_height, Index out_width) {
    const OperationScope operation("adaptive_avg_pool2d");
    GRADUS_CHECK(x.shape().rank() == 4, "adaptive_avg_pool2d: x must be (N, H, W, C), got ", x.shape());
    const PoolWindows rows = adaptive_windows("adaptive_avg_pool2d", x.shape()[1], out_height);
    const PoolWindows columns = adaptive_windows("adaptive_avg_pool2d", x.shape()[2], out_width);
    return AvgPool2dNode<T, D>::record(x, rows, columns);
}

}  // namespace gradus::inline GRADUS_ABI

#include "gradus/pooling/avg_pool2d_cpu.hpp"
