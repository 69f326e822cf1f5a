// models/cifar_resnet.hpp   The CIFAR residual networks of depth 6n+2 (He et al. 2015, arXiv 1512.03385, section 4.2).
//     3x3 convolution, BN, ReLU, then three stages of n basic blocks, a global average pool, a fully connected layer:
//         stage    blocks   channels   output (of a 32x32 input)
//         layer1   n        16         32x32
//         layer2   n        32         16x16    its first block has stride 2
//         layer3   n        64         8x8      its first block has stride 2
// Depth 20 with option A has 269,722 parameters and 40,551,040 multiply-adds.
#pragma once

#include <array>

#include "gradus/blocks/residual.hpp"
#include "gradus/nn/linear_layer.hpp"
#include "gradus/pooling/global_avg_pool2d.hpp"

namespace gradus::inline GRADUS_ABI {

struct ResidualStage {
    Index channels;
    Index stride;  // of the first block
};
inline constexpr std::array<ResidualStage, 3> cifar_resnet_stages{{{16, 1}, {32, 2}, {64, 2}}};

struct CifarResNetConfig {
    Index depth = 20;  // 6n+2: 8, 14, 20, 32, 44, 56, 110
    Index classes = 10;
    Index channels = 3;  // of the images
    ShortcutKind shortcut = ShortcutKind::pad;
};

template <FloatingElement T, Device D = Cpu>
class CifarResNet final : public Module<T, D> {
public:
    GRADUS_COLD explicit CifarResNet(const CifarResNetConfig& config = {})
        : conv1_(config.channels, cifar_resnet_stages[0].channels, {.kernel = 3, .padding = 1, .bias = false}),
          bn1_(cifar_resnet_stages[0].channels, {.relu = true}),
          fc_(cifar_resnet_stages.back().channels, config.classes) {
        GRADUS_CHECK(config.depth >= 8 && config.depth % 6 == 2,
                     "cifar_resnet: depth must be 6n+2 (8, 14, 20, 32, ...), got ", config.depth);
        this->child("conv1", conv1_);
        this->child("bn1", bn1_);
        const Index blocks = (config.depth - 2) / 6;
        Index in = cifar_resnet_stages[0].channels;
        for (std::size_t s = 0; s < cifar_resnet_stages.size(); ++s) {
            const ResidualStage& stage = cifar_resnet_stages[s];
            for (Index b = 0; b < blocks; ++b) {
                const Index stride = b == 0 ? stage.stride : 1;
                layers_[s].template add<BasicBlock<T, D>>(in, stage.channels, ResidualConfig{stride, config.shortcut});
                in = stage.channels;
            }
            this->child(text("layer", s + 1), layers_[s]);
        }
        this->child("fc", fc_);
        for (const Parameter<Sum<T>, D>& parameter : this->named_parameters())
            if (parameter.layout == FileLayout::oihw) kaiming_normal_(*parameter.variable);
    }

    GRADUS_GLUE Variable<T, D> forward(const Variable<T, D>& x) override {
        Variable<T, D> y = bn1_(conv1_(x));                    // (N, H, W, 16)
        for (Sequential<T, D>& layer : layers_) y = layer(y);  // (N, H/4, W/4, 64)
        return fc_(global_avg_pool2d(y));                      // (N, classes)
    }
    const char* type() const override { return "CifarResNet"; }

private:
    Conv2d<T, D> conv1_;
    BatchNorm2d<T, D> bn1_;
    std::array<Sequential<T, D>, cifar_resnet_stages.size()> layers_;
    Linear<T, D> fc_;
};

}  // namespace gradus::inline GRADUS_ABI
