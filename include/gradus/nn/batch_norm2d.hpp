// nn/batch_norm2d.hpp   BatchNorm2d: batch normalisation over (N, H, W) with running statistics for evaluation.
// Parameters "weight" (gamma, starts at 1) and "bias" (beta, 0); buffers "running_mean" (0) and "running_var" (1).
// With .relu a ReLU follows in the same pass, and bn(x, shortcut) adds a residual block's shortcut before it:
//     y = relu(bn(x) + shortcut)
#pragma once

#include "gradus/nn/init.hpp"
#include "gradus/nn/module.hpp"
#include "gradus/normalization/batch_norm.hpp"

namespace gradus::inline GRADUS_ABI {

template <FloatingElement T, Device D = Cpu>
class BatchNorm2d final : public Module<T, D> {
public:
    GRADUS_COLD explicit BatchNorm2d(Index channels, const BatchNormOptions& options = {})
        : gamma(Tensor<Sum<T>, D>::ones({channels}), true),
          beta(Tensor<Sum<T>, D>::zeros({channels}), true),
          running_mean(Tensor<Sum<T>, D>::zeros({channels})),
          running_var(Tensor<Sum<T>, D>::ones({channels})),
          options_(options) {
        this->parameter("weight", gamma);
        this->parameter("bias", beta);
        this->buffer("running_mean", running_mean);
        this->buffer("running_var", running_var);
    }

    using Module<T, D>::operator();
    GRADUS_GLUE Variable<T, D> operator()(const Variable<T, D>& x, const Variable<T, D>& shortcut) {
        const LayerScope scope(this->name());
        return this->observed(x, normalise(x, shortcut));
    }
    GRADUS_GLUE Variable<T, D> forward(const Variable<T, D>& x) override { return normalise(x, {}); }
    const char* type() const override { return options_.relu ? "BatchNorm2d+ReLU" : "BatchNorm2d"; }

    Variable<Sum<T>, D> gamma, beta;
    Tensor<Sum<T>, D> running_mean, running_var;

private:
    GRADUS_GLUE Variable<T, D> normalise(const Variable<T, D>& x, const Variable<T, D>& shortcut) {
        if (this->is_training()) return batch_norm(x, gamma, beta, running_mean, running_var, options_, shortcut);
        return batch_norm_inference(x, gamma, beta, running_mean, running_var, options_, shortcut);
    }
    BatchNormOptions options_;
};

}  // namespace gradus::inline GRADUS_ABI
