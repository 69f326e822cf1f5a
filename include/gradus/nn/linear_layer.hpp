// nn/linear_layer.hpp   Linear: y = x W^T + b, x (N, in), W (out, in), b (out). Parameters "weight" and "bias".
#pragma once

#include "gradus/linear/linear.hpp"
#include "gradus/nn/init.hpp"
#include "gradus/nn/module.hpp"

namespace gradus::inline GRADUS_ABI {

struct LinearConfig {
    bool bias = true;
};

template <FloatingElement T, Device D = Cpu>
class Linear final : public Module<T, D> {
public:
    GRADUS_COLD Linear(Index in, Index out, const LinearConfig& config = {})
        : weight(Tensor<Sum<T>, D>({out, in}), true) {
        GRADUS_CHECK(in > 0 && out > 0, "linear: needs positive sizes, got in ", in, " and out ", out);
        default_uniform_(weight, in);
        this->parameter("weight", weight);
        if (!config.bias) return;
        bias = Variable<Sum<T>, D>(Tensor<Sum<T>, D>({out}), true);
        default_uniform_(bias, in);
        this->parameter("bias", bias);
    }

    GRADUS_GLUE Variable<T, D> forward(const Variable<T, D>& x) override { return linear(x, weight, bias); }
    const char* type() const override { return "Linear"; }
    GRADUS_COLD Index macs(const Shape& input, const Shape&) const override {
        return input[0] * weight.value().numel();
    }

    Variable<Sum<T>, D> weight, bias;
};

}  // namespace gradus::inline GRADUS_ABI
