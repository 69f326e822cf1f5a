// nn/activation.hpp   Activation functions as modules, for Sequential: ReLU<float>, and Activation<Silu, float> for any
//                     other function of elementwise/unary.hpp.
// Inside a forward() the functions themselves are shorter: relu(conv(x)).
#pragma once

#include "gradus/elementwise/unary.hpp"
#include "gradus/nn/module.hpp"

namespace gradus::inline GRADUS_ABI {

// Function is one of the structs of elementwise/unary.hpp, or one of your own.
template <class Function, FloatingElement T, Device D = Cpu>
class Activation final : public Module<T, D> {
public:
    explicit Activation(Function function = {}) : function_(function) {}  // a slope, where the function has one

    Variable<T, D> forward(const Variable<T, D>& x) override { return unary(function_, x); }
    const char* type() const override { return Function::name; }

private:
    Function function_;
};

template <FloatingElement T, Device D = Cpu>
using ReLU = Activation<Relu, T, D>;

}  // namespace gradus::inline GRADUS_ABI
