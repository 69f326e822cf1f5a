// nn/conv2d_layer.hpp   Conv2d: a convolution with its weight (out, KH, KW, in/groups) and bias (out). Files hold the
//                       weight as (out, in/groups, KH, KW), see state_dict.hpp.
#pragma once

#include "gradus/convolution/conv2d.hpp"
#include "gradus/nn/init.hpp"
#include "gradus/nn/module.hpp"

namespace gradus::inline GRADUS_ABI {

struct Conv2dConfig {
    Index kernel = 1;  // a square kernel x kernel window
    Index stride = 1;
    Index padding = 0;
    Index dilation = 1;
    Index groups = 1;
    bool bias = true;
};

template <FloatingElement T, Device D = Cpu>
class Conv2d final : public Module<T, D> {
public:
    GRADUS_COLD Conv2d(Index in, Index out, const Conv2dConfig& config = {})
        : options_{.stride = config.stride,
                   .padding = config.padding,
                   .dilation = config.dilation,
                   .groups = config.groups} {
        GRADUS_CHECK(in > 0 && out > 0 && config.kernel > 0 && config.groups > 0 && in % config.groups == 0 &&
                         out % config.groups == 0,
                     "conv2d: in ", in, " and out ", out, " must be positive multiples of groups ", config.groups,
                     ", kernel ", config.kernel, " positive");
        weight = Variable<Sum<T>, D>(Tensor<Sum<T>, D>({out, config.kernel, config.kernel, in / config.groups}), true);
        default_uniform_(weight, fan_in(weight.shape()));
        this->parameter("weight", weight, FileLayout::oihw);
        if (!config.bias) return;
        bias = Variable<Sum<T>, D>(Tensor<Sum<T>, D>({out}), true);
        default_uniform_(bias, fan_in(weight.shape()));
        this->parameter("bias", bias);
    }

    GRADUS_GLUE Variable<T, D> forward(const Variable<T, D>& x) override { return conv2d(x, weight, bias, options_); }
    const char* type() const override { return "Conv2d"; }
    GRADUS_COLD Index macs(const Shape&, const Shape& output) const override {
        return output.numel() * fan_in(weight.shape());
    }

    Variable<Sum<T>, D> weight, bias;

private:
    Conv2dOptions options_;
};

}  // namespace gradus::inline GRADUS_ABI
