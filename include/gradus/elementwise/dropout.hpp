// elementwise/dropout.hpp   Dropout: Hinton et al. 2012, arXiv 1207.0580; Srivastava et al. 2014, JMLR 15.
// Problem  Features that work only together with certain others overfit. So in training every activation is set to 0
//          with probability p, and no feature can rely on another.
// Forward  y(i) = x(i) * m(i) / (1 - p),  m(i) = 1 with probability 1 - p, else 0
// Backward of f = sum dy*y: dx(i) = dy(i) * m(i) / (1 - p), the same function of dy.
// Deviates the papers scale the weights by 1 - p in evaluation; here training scales by 1 / (1 - p) ("inverted"), so
//          that evaluation is the identity.
// The mask is never stored. m(i) depends on the generator's state and on i alone (core/random.hpp), so backward
// computes it again, and any number of threads gives the same one.
// Cost     ten rounds of Philox for every four elements, forward and again backward. Keeps nothing but the generator.
//          Twins: dropout_cpu.hpp, dropout_cuda.cuh
#pragma once

#include <memory>
#include <utility>

#include "gradus/autograd/variable.hpp"

namespace gradus::inline GRADUS_ABI {

// Which elements stay, and by how much they grow.
struct DropoutMask {
    Generator generator;  // positioned at the first word of the mask, an even one
    std::uint32_t below;  // the words that drop an element: p of all 2^32
    double growth;        // 1 / (1 - p)

    // Of elements 4 * block to 4 * block + 3.
    GRADUS_HOST_DEVICE PhiloxBlock words(Index block) const {
        return generator.block(generator.position / 2 + static_cast<std::uint64_t>(block));
    }
};

template <class T>
void dropout_apply(Reference, const DropoutMask& mask, Vector<const T> x, Vector<T> y, Write mode) {
    const Sum<T> growth = static_cast<Sum<T>>(mask.growth);
    for (Index i = 0; i < x.size(); ++i) {
        const bool stays = mask.words(i / 4)[static_cast<std::size_t>(i % 4)] >= mask.below;
        put(y(i), stays ? Sum<T>(x(i)) * growth : Sum<T>(0), mode);
    }
}

template <class T, class D>
struct DropoutNode final : NodeOf<T, D> {
    Edge<T, D> x;
    DropoutMask mask;

    explicit DropoutNode(const DropoutMask& m) : mask(m) {}
    const char* name() const override { return "dropout"; }
    void backward(const Tensor<T, D>& dy) override {
        GradientTarget<T, D> dx = x.target();
        dropout_apply(D{}, mask, dy.template read<1>(), dx.template write<1>(), dx.mode);
    }
};

// 0 <= p < 1. Where `training` is false, and for p = 0, the result is x. Otherwise the generator moves on by two words
// for every four elements.
template <FloatingElement T, Device D>
Variable<T, D> dropout(const Variable<T, D>& x, double p, bool training = true,
                       Generator& generator = default_generator()) {
    const OperationScope operation("dropout");
    GRADUS_CHECK(p >= 0 && p < 1, "dropout: p must be at least 0 and below 1, got ", p);
    if (!training || p == 0) return x;
    GRADUS_CHECK(!is_capturing(D{}), "dropout: a graph would draw the same elements every time it is replayed");
    generator.position += generator.position % 2;
    const DropoutMask mask{generator, static_cast<std::uint32_t>(p * 0x1p32), 1 / (1 - p)};
    generator.position += 2 * static_cast<std::uint64_t>((x.shape().numel() + 3) / 4);

    Tensor<T, D> y(x.shape());
    dropout_apply(D{}, mask, x.value().template read<1>(), y.template write<1>(), Write::overwrite);
    if (!needs_gradient(x)) return Variable<T, D>(y, nullptr);
    auto node = make_node<DropoutNode<T, D>>(mask);
    node->x = node->input(x);
    return Variable<T, D>(y, std::move(node));
}

}  // namespace gradus::inline GRADUS_ABI

#include "gradus/elementwise/dropout_cpu.hpp"
