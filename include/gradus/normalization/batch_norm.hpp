// normalization/batch_norm.hpp   Batch normalisation: Ioffe & Szegedy 2015, arXiv 1502.03167, Alg. 1.
// Problem  Activations drift in scale, so only tiny learning rates are stable.
// Shapes   x, y, shortcut (M, C), M = N*H*W as NHWC stores it; gamma, beta, mean, var, rstd (C).
// Forward  mean = 1/M sum x,  var = 1/M sum (x-mean)^2,  rstd = 1/sqrt(var+eps),
//          xhat = (x-mean)*rstd,  y = gamma*xhat + beta
// Fused    y = relu(gamma*xhat + beta + shortcut): the end of a residual block in one pass. Both parts are optional.
// Backward of f = sum dy*y. Derivation:
//   (0) g = dy where y > 0, else 0           through the ReLU; without one g = dy. dshortcut = g
//   (1) dbeta = sum g                        (2) dgamma = sum g*xhat
//   (3) dxhat = gamma*g                      (4) dvar   = -1/2 rstd^3 sum dxhat*(x-mean)
//   (5) dmean = -rstd sum dxhat              the path through var is 0, because sum (x-mean) = 0
//   (6) dx    = rstd*dxhat + 2(x-mean)/M*dvar + dmean/M
//   (7) put (1)-(5) into (6):  dx = gamma*rstd * (g - dbeta/M - xhat*dgamma/M)
// Saved    x, which the convolution before it has made, and with ReLU and shortcut also y, which the next one keeps
//          anyway. xhat is computed again; so is the mask of a ReLU without a shortcut, which needs x alone.
// Deviates inference uses running averages r = (1-m)*r + m*statistic, not the population statistics of Alg. 2. As in
//          the paper, the running variance is the unbiased one, M/(M-1)*var.
// Cost     forward reads x twice, backward reads x and dy twice, and y where it is saved. Twins:
//          batch_norm_cpu.hpp, batch_norm_cuda.cuh
#pragma once

#include <cmath>
#include <memory>
#include <utility>

#include "gradus/autograd/variable.hpp"

namespace gradus::inline GRADUS_ABI {

// In these kernels an optional matrix is absent where its data() is null.
template <class T>
void batch_norm_statistics(Reference, Matrix<const T> x, Vector<Sum<T>> mean, Vector<Sum<T>> var) {
    const auto [M, C] = x.shape();
    for (Index c = 0; c < C; ++c) {
        Sum<T> sum = 0, squares = 0;
        for (Index m = 0; m < M; ++m) sum += x(m, c);
        mean(c) = sum / Sum<T>(M);
        for (Index m = 0; m < M; ++m) squares += (x(m, c) - mean(c)) * (x(m, c) - mean(c));  // no cancellation
        var(c) = squares / Sum<T>(M);
    }
}

// The numbers of every channel.
template <class S>
struct BatchNormChannels {
    Vector<const S> gamma, beta, mean, rstd;
};

// gamma*xhat + beta
template <class T>
Sum<T> batch_norm_value(Matrix<const T> x, const BatchNormChannels<Sum<T>>& by, Index m, Index c) {
    return by.gamma(c) * (x(m, c) - by.mean(c)) * by.rstd(c) + by.beta(c);
}

template <class T>
void batch_norm_forward(Reference, Matrix<const T> x, Matrix<const T> shortcut, const BatchNormChannels<Sum<T>>& by,
                        bool relu, Matrix<T> y) {
    const auto [M, C] = x.shape();
    for (Index m = 0; m < M; ++m)
        for (Index c = 0; c < C; ++c) {
            Sum<T> value = batch_norm_value(x, by, m, c);
            if (shortcut.data()) value += shortcut(m, c);
            if (relu && value < 0) value = 0;  // a NaN stays a NaN
            y(m, c) = T(value);
        }
}

// What backward knows of the forward pass. y may be absent where there was no shortcut.
template <class T>
struct BatchNormSaved {
    Matrix<const T> x, y;
    BatchNormChannels<Sum<T>> by;
    bool relu;
};

// Term (0).
template <class T>
Sum<T> batch_norm_masked(const BatchNormSaved<T>& saved, Matrix<const T> dy, Index m, Index c) {
    if (!saved.relu) return dy(m, c);
    const Sum<T> y = saved.y.data() ? Sum<T>(saved.y(m, c)) : batch_norm_value(saved.x, saved.by, m, c);
    return y > 0 ? Sum<T>(dy(m, c)) : Sum<T>(0);
}

template <class T>
void batch_norm_backward_sums(Reference, const BatchNormSaved<T>& saved, Matrix<const T> dy, Vector<Sum<T>> dgamma,
                              Vector<Sum<T>> dbeta) {
    const auto [M, C] = dy.shape();
    for (Index c = 0; c < C; ++c) {
        dbeta(c) = dgamma(c) = 0;
        for (Index m = 0; m < M; ++m) {
            const Sum<T> g = batch_norm_masked(saved, dy, m, c);
            dbeta(c) += g;                                                           // (1)
            dgamma(c) += g * (saved.x(m, c) - saved.by.mean(c)) * saved.by.rstd(c);  // (2)
        }
    }
}

// dgamma and dbeta are the sums above. row_weight is the share of one row in the statistics: 1/M, or 0 in inference,
// where they are constants. dx and dshortcut may each be absent. They may be one matrix, to which dshortcut then adds:
// every element of dx is written before the same element of dshortcut.
template <class T>
void batch_norm_backward(Reference, const BatchNormSaved<T>& saved, Matrix<const T> dy, Vector<const Sum<T>> dgamma,
                         Vector<const Sum<T>> dbeta, Sum<T> row_weight, Matrix<T> dx, Write dx_mode,
                         Matrix<T> dshortcut, Write dshortcut_mode) {
    const BatchNormChannels<Sum<T>>& by = saved.by;
    const auto [M, C] = dy.shape();
    for (Index m = 0; m < M; ++m)
        for (Index c = 0; c < C; ++c) {
            const Sum<T> g = batch_norm_masked(saved, dy, m, c), xhat = (saved.x(m, c) - by.mean(c)) * by.rstd(c);
            const Sum<T> through_statistics = row_weight * (dbeta(c) + xhat * dgamma(c));
            if (dx.data()) put(dx(m, c), by.gamma(c) * by.rstd(c) * (g - through_statistics), dx_mode);  // (7)
            if (dshortcut.data()) put(dshortcut(m, c), g, dshortcut_mode);                               // (0)
        }
}

// The kernels of C numbers are too small for a fast twin.
template <HostDevice D, class S>
void batch_norm_rstd(D, Vector<const S> var, double eps, Vector<S> rstd) {
    for (Index c = 0; c < var.size(); ++c) rstd(c) = 1 / std::sqrt(var(c) + static_cast<S>(eps));
}
template <HostDevice D, class S>
void batch_norm_update_running(D, Vector<const S> statistic, double scale, double momentum, Vector<S> running) {
    for (Index c = 0; c < statistic.size(); ++c)
        running(c) = static_cast<S>((1 - momentum) * running(c) + momentum * scale * statistic(c));
}
template <HostDevice D, class S>
void batch_norm_add_share(D, Vector<const S> share, Vector<S> target, Write mode) {
    for (Index c = 0; c < share.size(); ++c) put(target(c), share(c), mode);
}

template <class T, class D>
Matrix<const T> matrix_or_absent(const Tensor<T, D>& x) {
    return x.defined() ? x.template read<2>() : Matrix<const T>(nullptr, {0, 0});
}

struct BatchNormOptions {
    double eps = 1e-5;
    double momentum = 0.1;  // of the running averages: the share of the newest batch
    bool relu = false;
};

template <class T, class D>
struct BatchNormNode final : NodeOf<T, D> {
    Edge<T, D> x, shortcut;
    Edge<Sum<T>, D> gamma, beta;
    Saved<T, D> saved_x, saved_y;  // y only where a ReLU follows a shortcut
    Saved<Sum<T>, D> saved_gamma, saved_beta;
    Tensor<Sum<T>, D> mean, rstd;
    bool relu = false;
    bool uses_batch_statistics = true;  // false in inference: mean and rstd do not depend on x

    const char* name() const override { return uses_batch_statistics ? "batch_norm" : "batch_norm_inference"; }
    GRADUS_GLUE void backward(const Tensor<T, D>& dy) override {
        const BatchNormSaved<T> saved{saved_x.get().template read<2>(),
                                      matrix_or_absent(saved_y.get()),
                                      {saved_gamma.get().template read<1>(), saved_beta.get().template read<1>(),
                                       mean.template read<1>(), rstd.template read<1>()},
                                      relu};
        Tensor<Sum<T>, D> dgamma = Tensor<Sum<T>, D>::zeros(mean.shape()), dbeta = dgamma.clone();
        if (uses_batch_statistics || gamma.needs_gradient() || beta.needs_gradient())
            batch_norm_backward_sums(D{}, saved, dy.template read<2>(), dgamma.template write<1>(),
                                     dbeta.template write<1>());

        Matrix<T> dx(nullptr, {0, 0}), dshortcut(nullptr, {0, 0});
        Write dx_mode = Write::overwrite, dshortcut_mode = Write::overwrite;
        if (x.needs_gradient()) {
            GradientTarget<T, D> target = x.target();
            dx = target.template write<2>();
            dx_mode = target.mode;
        }
        // Without a ReLU the shortcut's gradient is dy itself, and need not be copied.
        if (shortcut.needs_gradient() && (relu || !shortcut.accept(dy))) {
            GradientTarget<T, D> target = shortcut.target();
            dshortcut = target.template write<2>();
            dshortcut_mode = target.mode;
        }
        const Sum<T> row_weight = uses_batch_statistics ? 1 / Sum<T>(saved.x.shape()[0]) : Sum<T>(0);
        if (dx.data() || dshortcut.data())
            batch_norm_backward(D{}, saved, dy.template read<2>(), dgamma.template read<1>(), dbeta.template read<1>(),
                                row_weight, dx, dx_mode, dshortcut, dshortcut_mode);
        pass_on(gamma, dgamma);
        pass_on(beta, dbeta);
    }

    // What training and inference share: y from x and given statistics, and the node behind it.
    GRADUS_GLUE static Variable<T, D> apply(const Variable<T, D>& x, const Variable<Sum<T>, D>& gamma,
                                            const Variable<Sum<T>, D>& beta, const Tensor<Sum<T>, D>& mean,
                                            const Tensor<Sum<T>, D>& rstd, bool uses_batch_statistics, bool relu,
                                            const Variable<T, D>& shortcut) {
        Tensor<T, D> y(x.shape());
        const BatchNormChannels<Sum<T>> by{gamma.value().template read<1>(), beta.value().template read<1>(),
                                           mean.template read<1>(), rstd.template read<1>()};
        batch_norm_forward(D{}, x.value().template read<2>(), matrix_or_absent(shortcut.value()), by, relu,
                           y.template write<2>());
        if (!gradus::needs_gradient(x, gamma, beta, shortcut)) return Variable<T, D>(y, nullptr);
        auto node = make_node<BatchNormNode>();
        node->x = node->input(x);
        node->gamma = node->input(gamma);
        node->beta = node->input(beta);
        if (shortcut.defined()) node->shortcut = node->input(shortcut);
        node->saved_x = x.value();
        if (relu && shortcut.defined()) node->saved_y = y;
        node->saved_gamma = gamma.value();
        node->saved_beta = beta.value();
        node->mean = mean;
        node->rstd = rstd;
        node->relu = relu;
        node->uses_batch_statistics = uses_batch_statistics;
        return Variable<T, D>(y, std::move(node));
    }

private:
    static void pass_on(const Edge<Sum<T>, D>& parameter, const Tensor<Sum<T>, D>& share) {
        if (!parameter.needs_gradient() || parameter.accept(share)) return;
        GradientTarget<Sum<T>, D> target = parameter.target();
        batch_norm_add_share(D{}, share.template read<1>(), target.template write<1>(), target.mode);
    }
};

GRADUS_COLD inline void check_batch_norm(const char* operation, const Shape& x, const Shape& gamma, const Shape& beta,
                                         const Shape& running_mean, const Shape& running_var,
                                         const BatchNormOptions& options, const Shape& shortcut) {
    GRADUS_CHECK(x.rank() >= 2, operation, ": x needs a batch and channels, (N, ..., C), it is ", x);
    const Shape channels{x[-1]};
    GRADUS_CHECK(gamma == channels && beta == channels && running_mean == channels && running_var == channels,
                 operation, ": x of shape ", x, " needs gamma, beta, running_mean and running_var of shape ", channels,
                 ", got ", gamma, ", ", beta, ", ", running_mean, ", ", running_var);
    GRADUS_CHECK(shortcut == x, operation, ": the shortcut has shape ", shortcut, ", x has ", x);
    GRADUS_CHECK(options.eps >= 0 && options.momentum >= 0 && options.momentum <= 1, operation,
                 ": needs eps >= 0 and momentum in [0, 1], got ", options.eps, " and ", options.momentum);
}

// Training: normalises with the statistics of this batch, and moves the running ones towards them. x is (N, ..., C);
// gamma, beta and the running statistics are (C); an optional shortcut has the shape of x. Errors: fewer than 2 values
// a channel (their variance is undefined), shapes that do not match. Source: the header's opening.
template <FloatingElement T, Device D>
GRADUS_GLUE Variable<T, D> batch_norm(const Variable<T, D>& x, const Variable<Sum<T>, D>& gamma,
                                      const Variable<Sum<T>, D>& beta, Tensor<Sum<T>, D>& running_mean,
                                      Tensor<Sum<T>, D>& running_var, const BatchNormOptions& options = {},
                                      const Variable<T, D>& shortcut = {}) {
    const OperationScope operation("batch_norm");
    check_batch_norm("batch_norm", x.shape(), gamma.shape(), beta.shape(), running_mean.shape(), running_var.shape(),
                     options, shortcut.defined() ? shortcut.shape() : x.shape());
    const Index C = x.shape()[-1], M = C > 0 ? x.value().numel() / C : 0;
    GRADUS_CHECK(M > 1, "batch_norm: training needs more than 1 value per channel, N*H*W > 1, x is ", x.shape());
    Tensor<Sum<T>, D> mean({C}), var({C}), rstd({C});
    batch_norm_statistics(D{}, x.value().template read<2>(), mean.template write<1>(), var.template write<1>());
    batch_norm_rstd(D{}, var.template read<1>(), options.eps, rstd.template write<1>());
    const double unbiased = static_cast<double>(M) / static_cast<double>(M - 1);
    batch_norm_update_running(D{}, mean.template read<1>(), 1.0, options.momentum, running_mean.template write<1>());
    batch_norm_update_running(D{}, var.template read<1>(), unbiased, options.momentum, running_var.template write<1>());
    return BatchNormNode<T, D>::apply(x, gamma, beta, mean, rstd, true, options.relu, shortcut);
}

// Inference: normalises with the running statistics, which are constants here; differentiable all the same.
template <FloatingElement T, Device D>
GRADUS_GLUE Variable<T, D> batch_norm_inference(const Variable<T, D>& x, const Variable<Sum<T>, D>& gamma,
                                                const Variable<Sum<T>, D>& beta, const Tensor<Sum<T>, D>& running_mean,
                                                const Tensor<Sum<T>, D>& running_var,
                                                const BatchNormOptions& options = {},
                                                const Variable<T, D>& shortcut = {}) {
    const OperationScope operation("batch_norm_inference");
    check_batch_norm("batch_norm_inference", x.shape(), gamma.shape(), beta.shape(), running_mean.shape(),
                     running_var.shape(), options, shortcut.defined() ? shortcut.shape() : x.shape());
    Tensor<Sum<T>, D> rstd(running_var.shape());
    batch_norm_rstd(D{}, running_var.template read<1>(), options.eps, rstd.template write<1>());
    // A copy: training may move the running mean before backward runs.
    return BatchNormNode<T, D>::apply(x, gamma, beta, running_mean.clone(), rstd, false, options.relu, shortcut);
}

}  // namespace gradus::inline GRADUS_ABI

#include "gradus/normalization/batch_norm_cpu.hpp"
