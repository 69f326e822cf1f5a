// nn/flatten_layer.hpp   Flatten: (N, H, W, C) -> (N, C*H*W), in C, H, W order, so that a Linear after it is PyTorch's.
#pragma once

#include "gradus/nn/module.hpp"
#include "gradus/shaping/permute.hpp"

namespace gradus::inline GRADUS_ABI {

template <FloatingElement T, Device D = Cpu>
class Flatten final : public Module<T, D> {
public:
    Variable<T, D> forward(const Variable<T, D>& x) override { return flatten(x); }
    const char* type() const override { return "Flatten"; }
};

}  // namespace gradus::inline GRADUS_ABI
