// nn/init.hpp   How parameters start, so that signals neither vanish nor explode with depth.
//     Kaiming (He, Zhang, Ren, Sun 2015, arXiv 1502.01852, eq. 10 and 14)   std = gain / sqrt(fan)
//             the gain makes up for the activation that follows: sqrt(2) for ReLU, which halves the signal's power
//     Xavier  (Glorot, Bengio 2010, eq. 16)                                 bound = sqrt(6 / (fan_in + fan_out))
// A weight is (O, KH, KW, I) or (O, I): fan_in = KH*KW*I inputs feed an output, fan_out = KH*KW*O outputs read an
// input.
#pragma once

#include <cmath>

#include "gradus/autograd/variable.hpp"

namespace gradus::inline GRADUS_ABI {

inline Index fan_in(const Shape& weight) { return weight[0] == 0 ? 0 : weight.numel() / weight[0]; }
inline Index fan_out(const Shape& weight) { return weight[-1] == 0 ? 0 : weight.numel() / weight[-1]; }

template <FloatingElement P, Device D>
void constant_(Variable<P, D>& parameter, double value) {
    parameter.mutable_value().copy_from(Tensor<P, D>::full(parameter.shape(), static_cast<P>(value)));
}
template <FloatingElement P, Device D>
GRADUS_COLD void uniform_(Variable<P, D>& parameter, double bound, Generator& generator = default_generator()) {
    parameter.mutable_value().copy_from(Tensor<P, D>::uniform(parameter.shape(), -bound, bound, generator));
}
template <FloatingElement P, Device D>
GRADUS_COLD void normal_(Variable<P, D>& parameter, double std, Generator& generator = default_generator()) {
    std::vector<P> values(static_cast<std::size_t>(parameter.shape().numel()));
    for (P& value : values) value = static_cast<P>(std * generator.normal());
    parameter.mutable_value().copy_from(Tensor<P, D>::from(parameter.shape(), values));
}

// What torchvision's ResNets use for their convolutions: N(0, 2 / fan_out), which preserves the gradient's variance.
template <FloatingElement P, Device D>
void kaiming_normal_(Variable<P, D>& weight, Generator& generator = default_generator()) {
    normal_(weight, std::sqrt(2.0 / static_cast<double>(fan_out(weight.shape()))), generator);
}
// PyTorch's default for Linear and Conv2d, weight and bias alike: U(-1/sqrt(fan_in), 1/sqrt(fan_in)).
template <FloatingElement P, Device D>
void default_uniform_(Variable<P, D>& parameter, Index fan, Generator& generator = default_generator()) {
    uniform_(parameter, fan > 0 ? 1.0 / std::sqrt(static_cast<double>(fan)) : 0.0, generator);
}
template <FloatingElement P, Device D>
void xavier_uniform_(Variable<P, D>& weight, Generator& generator = default_generator()) {
    const double fans = static_cast<double>(fan_in(weight.shape()) + fan_out(weight.shape()));
    uniform_(weight, std::sqrt(6.0 / fans), generator);
}

}  // namespace gradus::inline GRADUS_ABI
