// nn/sequential.hpp   Sequential: modules in a row, each fed the output of the one before. Names are "0", "1", ...
//     Sequential<float> net;
//     net.add<Conv2d<float>>(1, 16, Conv2dConfig{.kernel = 3}).add<ReLU<float>>();
#pragma once

#include <memory>

#include "gradus/nn/module.hpp"

namespace gradus::inline GRADUS_ABI {

template <FloatingElement T, Device D = Cpu>
class Sequential final : public Module<T, D> {
public:
    // Makes a Layer from the arguments and appends it.
    template <std::derived_from<Module<T, D>> Layer, class... Arguments>
    GRADUS_COLD Sequential& add(Arguments&&... arguments) {
        layers_.push_back(std::unique_ptr<Tree>(new Layer(std::forward<Arguments>(arguments)...)));
        this->child(std::to_string(layers_.size() - 1), *layers_.back());
        return *this;
    }
    std::size_t size() const { return layers_.size(); }

    GRADUS_GLUE Variable<T, D> forward(const Variable<T, D>& x) override {
        Variable<T, D> y = x;
        for (const std::unique_ptr<Tree>& layer : layers_) y = static_cast<Module<T, D>&>(*layer)(y);
        return y;
    }
    const char* type() const override { return "Sequential"; }

private:
    using Tree = ModuleTree<Sum<T>, D>;  // the same for all T, and with it the vector's code
    std::vector<std::unique_ptr<Tree>> layers_;
};

}  // namespace gradus::inline GRADUS_ABI
