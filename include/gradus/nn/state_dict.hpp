// nn/state_dict.hpp   A model's parameters and buffers as named tensors, the way files hold them.
// Names and layouts are PyTorch's: "layer1.0.conv1.weight" is (O, I, KH, KW) in the file and (O, KH, KW, I) in memory.
// So a safetensors file written by either library loads into the other.
#pragma once

#include <string>
#include <vector>

#include "gradus/nn/module.hpp"

namespace gradus::inline GRADUS_ABI {

template <class P>
struct NamedTensor {
    std::string name;
    Tensor<P, Cpu> tensor;
};

// (O, H, W, I) -> (O, I, H, W): the last axis moves to the second place.
template <class P>
GRADUS_COLD Tensor<P, Cpu> ohwi_to_oihw(const Tensor<P, Cpu>& weight) {
    const Shape& s = weight.shape();
    Tensor<P, Cpu> file({s[0], s[3], s[1], s[2]});
    const View<const P, 4> from = weight.template read<4>();
    const View<P, 4> to = file.template write<4>();
    for (Index o = 0; o < s[0]; ++o)
        for (Index h = 0; h < s[1]; ++h)
            for (Index w = 0; w < s[2]; ++w)
                for (Index i = 0; i < s[3]; ++i) to(o, i, h, w) = from(o, h, w, i);
    return file;
}
// (O, I, H, W) -> (O, H, W, I)
template <class P>
GRADUS_COLD Tensor<P, Cpu> oihw_to_ohwi(const Tensor<P, Cpu>& file) {
    const Shape& s = file.shape();
    Tensor<P, Cpu> weight({s[0], s[2], s[3], s[1]});
    const View<const P, 4> from = file.template read<4>();
    const View<P, 4> to = weight.template write<4>();
    for (Index o = 0; o < s[0]; ++o)
        for (Index i = 0; i < s[1]; ++i)
            for (Index h = 0; h < s[2]; ++h)
                for (Index w = 0; w < s[3]; ++w) to(o, h, w, i) = from(o, i, h, w);
    return weight;
}

template <FloatingElement P, Device D>
GRADUS_COLD std::vector<NamedTensor<P>> state_dict(ModuleTree<P, D>& model) {
    std::vector<NamedTensor<P>> state;
    for (const Parameter<P, D>& parameter : model.named_parameters()) {
        const Tensor<P, Cpu> value = parameter.variable->value().template to<Cpu>();
        state.push_back({parameter.name, parameter.layout == FileLayout::oihw ? ohwi_to_oihw(value) : value});
    }
    for (const Buffer<P, D>& buffer : model.named_buffers())
        state.push_back({buffer.name, buffer.tensor->template to<Cpu>()});
    return state;
}

// Copies every parameter and buffer of the model out of `state`. A missing name or another shape is an error and names
// both; entries that the model does not have are left alone. Nothing is changed unless everything fits.
template <FloatingElement P, Device D>
GRADUS_COLD void load_state_dict(ModuleTree<P, D>& model, const std::vector<NamedTensor<P>>& state) {
    const std::vector<NamedTensor<P>> expected = state_dict(model);
    std::vector<const Tensor<P, Cpu>*> found;
    for (const NamedTensor<P>& entry : expected) {
        const Tensor<P, Cpu>* match = nullptr;
        for (const NamedTensor<P>& candidate : state)
            if (candidate.name == entry.name) match = &candidate.tensor;
        GRADUS_CHECK(match != nullptr, "load_state_dict: there is no '", entry.name, "'");
        GRADUS_CHECK(match->shape() == entry.tensor.shape(), "load_state_dict: '", entry.name, "' has shape ",
                     match->shape(), ", the model expects ", entry.tensor.shape());
        found.push_back(match);
    }
    std::size_t i = 0;
    for (const Parameter<P, D>& parameter : model.named_parameters()) {
        const Tensor<P, Cpu>& file = *found[i++];
        const Tensor<P, Cpu> value = parameter.layout == FileLayout::oihw ? oihw_to_ohwi(file) : file;
        parameter.variable->mutable_value().copy_from(value.template to<D>());
    }
    for (const Buffer<P, D>& buffer : model.named_buffers()) buffer.tensor->copy_from(found[i++]->template to<D>());
}

}  // namespace gradus::inline GRADUS_ABI
