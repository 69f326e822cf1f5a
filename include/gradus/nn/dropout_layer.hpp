// nn/dropout_layer.hpp   Dropout: in training each element is 0 with probability p, x/(1-p) otherwise.
// In evaluation it is the identity.
#pragma once

#include "gradus/elementwise/dropout.hpp"
#include "gradus/nn/module.hpp"

namespace gradus::inline GRADUS_ABI {

template <FloatingElement T, Device D = Cpu>
class Dropout final : public Module<T, D> {
public:
    explicit Dropout(double p = 0.5) : p_(p) { GRADUS_CHECK(p >= 0 && p < 1, "dropout: p must be in [0, 1), got ", p); }
    Variable<T, D> forward(const Variable<T, D>& x) override { return dropout(x, p_, this->is_training()); }
    const char* type() const override { return "Dropout"; }

private:
    double p_;
};

}  // namespace gradus::inline GRADUS_ABI
