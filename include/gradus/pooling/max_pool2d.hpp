// pooling/max_pool2d.hpp   The largest value of every window: LeCun's subsampling with a maximum (Ranzato et al. 2007,
// "Unsupervised learning of invariant feature hierarchies").
// Problem  Where exactly a feature is matters less the deeper the layer. A maximum keeps that it is there, and shrinks
//          the image.
// Shapes   x (N, H, W, C), y and winner (N, P, Q, C); P and Q as pooling/pool_windows.hpp has them
// Forward  y(n, i, j, c) = max of x(n, h, w, c) over h in window i, w in window j. Padding never wins.
//          A NaN wins. Of equal values the first one wins.
// Backward of f = sum dy*y. y is the winner, so dy goes to it alone:
//   (1) dx(n, h, w, c) = sum over windows i, j that read (h, w) of dy(n, i, j, c) where (h, w) won, else 0
// Saved    the winner's place in its window, one byte for each output: windows have at most 16 x 16 pixels.
// Cost     K*K comparisons an output; the backward pass reads dy and winner (K/s)^2 times, from the cache.
//          Twins: max_pool2d_cpu.hpp, max_pool2d_cuda.cuh
#pragma once

#include <memory>
#include <utility>

#include "gradus/autograd/variable.hpp"
#include "gradus/pooling/pool_windows.hpp"

namespace gradus::inline GRADUS_ABI {

struct MaxPool2dOptions {
    Index kernel = 2;
    Index stride = 0;  // 0: as the kernel
    Index padding = 0;
    bool ceil_mode = false;
};

// The pixel (h, w) as a number within window (i, j).
GRADUS_HOST_DEVICE inline Index place_in_window(const PoolWindows& rows, const PoolWindows& columns, Index i, Index j,
                                                Index h, Index w) {
    return (h - (i * rows.stride - rows.padding)) * columns.kernel + (w - (j * columns.stride - columns.padding));
}

// A winner without data is not wanted.
template <class T>
void max_pool2d_forward(Reference, Array4<const T> x, const PoolWindows& rows, const PoolWindows& columns, Array4<T> y,
                        Array4<std::uint8_t> winner) {
    const auto [N, P, Q, C] = y.shape();
    for (Index n = 0; n < N; ++n)
        for (Index i = 0; i < P; ++i)
            for (Index j = 0; j < Q; ++j)
                for (Index c = 0; c < C; ++c) {
                    Index best_h = rows.window(i).begin, best_w = columns.window(j).begin;
                    for (Index h = rows.window(i).begin; h < rows.window(i).end; ++h)
                        for (Index w = columns.window(j).begin; w < columns.window(j).end; ++w) {
                            const Sum<T> value = x(n, h, w, c), best = x(n, best_h, best_w, c);
                            if (!(value > best) && value == value) continue;
                            best_h = h;
                            best_w = w;
                        }
                    y(n, i, j, c) = x(n, best_h, best_w, c);
                    if (winner.data())
                        winner(n, i, j, c) =
                            static_cast<std::uint8_t>(place_in_window(rows, columns, i, j, best_h, best_w));
                }
}

template <class T>  // (1)
void max_pool2d_backward(Reference, Array4<const T> dy, Array4<const std::uint8_t> winner, const PoolWindows& rows,
                         const PoolWindows& columns, Array4<T> dx, Write mode) {
    const auto [N, H, W, C] = dx.shape();
    for (Index n = 0; n < N; ++n)
        for (Index h = 0; h < H; ++h)
            for (Index w = 0; w < W; ++w)
                for (Index c = 0; c < C; ++c) {
                    Sum<T> sum = 0;
                    for (Index i = rows.readers(h).begin; i < rows.readers(h).end; ++i)
                        for (Index j = columns.readers(w).begin; j < columns.readers(w).end; ++j)
                            if (winner(n, i, j, c) == place_in_window(rows, columns, i, j, h, w))
                                sum += Sum<T>(dy(n, i, j, c));
                    put(dx(n, h, w, c), sum, mode);
                }
}

template <class T, class D>
struct MaxPool2dNode final : NodeOf<T, D> {
    Edge<T, D> x;
    Tensor<std::uint8_t, D> winner;
    PoolWindows rows, columns;

    MaxPool2dNode(const PoolWindows& row_windows, const PoolWindows& column_windows)
        : rows(row_windows), columns(column_windows) {}
    const char* name() const override { return "max_pool2d"; }
    void backward(const Tensor<T, D>& dy) override {
        GradientTarget<T, D> dx = x.target();
        max_pool2d_backward(D{}, dy.template read<4>(), winner.template read<4>(), rows, columns,
                            dx.template write<4>(), dx.mode);
    }
};

// (N, H, W, C) -> (N, P, Q, C). Errors: another rank, windows that do not fit, a kernel above 16. Source: PyTorch's
// max_pool2d without dilation.
template <FloatingElement T, Device D>
Variable<T, D> max_pool2d(const Variable<T, D>& x, const MaxPool2dOptions& options = {}) {
    const OperationScope operation("max_pool2d");
    const auto [kernel, stride, padding, ceil_mode] = options;
    GRADUS_CHECK(x.shape().rank() == 4, "max_pool2d: x must be (N, H, W, C), got ", x.shape());
    GRADUS_CHECK(kernel <= 16, "max_pool2d: the kernel may be 16 at most, got ", kernel);
    const Index N = x.shape()[0], C = x.shape()[3];
    const PoolWindows rows = strided_windows("max_pool2d", x.shape()[1], kernel, stride, padding, ceil_mode);
    const PoolWindows columns = strided_windows("max_pool2d", x.shape()[2], kernel, stride, padding, ceil_mode);
    Tensor<T, D> y({N, rows.out, columns.out, C});
    Tensor<std::uint8_t, D> winner;
    if (needs_gradient(x)) winner = Tensor<std::uint8_t, D>(y.shape());
    max_pool2d_forward(D{}, x.value().template read<4>(), rows, columns, y.template write<4>(),
                       winner.defined() ? winner.template write<4>() : Array4<std::uint8_t>(nullptr, {0, 0, 0, 0}));
    if (!needs_gradient(x)) return Variable<T, D>(y, nullptr);
    auto node = make_node<MaxPool2dNode<T, D>>(rows, columns);
    node->x = node->input(x);
    node->winner = winner;
    return Variable<T, D>(y, std::move(node));
}

}  // namespace gradus::inline GRADUS_ABI

#include "gradus/pooling/max_pool2d_cpu.hpp"
