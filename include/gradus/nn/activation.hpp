// nn/activation.hpp   Activation functions as modules, for Sequential: ReLU<float>, Sigmoid<float>, ...
// Inside a forward() the functions themselves are shorter: relu(conv(x)).
#pragma once

#include "gradus/elementwise/unary.hpp"
#include "gradus/nn/module.hpp"

namespace gradus::inline GRADUS_ABI {

// Function is one of the structs of elementwise/unary.hpp, or one of your own.
template <class Function, FloatingElement T, Device D = Cpu>
class Activation final : public Module<T, D> {
public:
    Variable<T, D> forward(const Variable<T, D>& x) override { return unary(Function{}, x); }
    const char* type() const override { return Function::name; }
};

template <FloatingElement T, Device D = Cpu>
using ReLU = Activation<Relu, T, D>;

}  // namespace gradus::inline GRADUS_ABI
