// blocks/residual.hpp   Residual blocks: y = relu(F(x) + shortcut(x)) (He et al. 2015, arXiv 1512.03385, fig. 2, 5).
// Problem  A deeper plain network trains worse than a shallow one. Learning the difference F to the identity is easier,
//          and the gradient reaches early layers through the sum unhindered.
//     BasicBlock   F = 3x3(s) BN ReLU 3x3 BN                       two convolutions of `channels`
//     Bottleneck   F = 1x1 BN ReLU 3x3(s) BN ReLU 1x1 BN           narrow in the middle; the output has 4 * channels
// Deviates the stride of Bottleneck sits in its 3x3, as in torchvision (ResNet-B), not in the first 1x1: there, three
//          quarters of the input would never be read.
#pragma once

#include "gradus/blocks/shortcut.hpp"

namespace gradus::inline GRADUS_ABI {

struct ResidualConfig {
    Index stride = 1;
    ShortcutKind shortcut = ShortcutKind::projection;
};

// What both blocks share: the shortcut. Derived blocks compute F and add it in their last batch norm.
template <FloatingElement T, Device D>
class ResidualBlock : public Module<T, D> {
public:
    GRADUS_COLD ResidualBlock(Index in, Index out, const ResidualConfig& config)
        : out_(out), stride_(config.stride), changes_shape_(in != out || config.stride != 1) {
        if (changes_shape_ && config.shortcut == ShortcutKind::projection)
            add_projection(downsample_, in, out, config.stride);
    }

protected:
    // To be called last in a derived constructor: torchvision lists the shortcut after the branch.
    void register_shortcut() {
        if (downsample_.size() > 0) this->child("downsample", downsample_);
    }
    GRADUS_GLUE Variable<T, D> shortcut(const Variable<T, D>& x) {
        if (!changes_shape_) return x;
        return downsample_.size() > 0 ? downsample_(x) : pad_shortcut(x, out_, stride_);
    }

private:
    Index out_, stride_;
    bool changes_shape_;
    Sequential<T, D> downsample_;
};

template <FloatingElement T, Device D = Cpu>
class BasicBlock final : public ResidualBlock<T, D> {
public:
    static constexpr Index expansion = 1;

    GRADUS_COLD BasicBlock(Index in, Index channels, const ResidualConfig& config = {})
        : ResidualBlock<T, D>(in, channels, config),
          conv1_(in, channels, {.kernel = 3, .stride = config.stride, .padding = 1, .bias = false}),
          bn1_(channels, {.relu = true}),
          conv2_(channels, channels, {.kernel = 3, .padding = 1, .bias = false}),
          bn2_(channels, {.relu = true}) {
        this->child("conv1", conv1_);
        this->child("bn1", bn1_);
        this->child("conv2", conv2_);
        this->child("bn2", bn2_);
        this->register_shortcut();
    }
    GRADUS_GLUE Variable<T, D> forward(const Variable<T, D>& x) override {
        return bn2_(conv2_(bn1_(conv1_(x))), this->shortcut(x));
    }
    const char* type() const override { return "BasicBlock"; }

private:
    Conv2d<T, D> conv1_;
    BatchNorm2d<T, D> bn1_;
    Conv2d<T, D> conv2_;
    BatchNorm2d<T, D> bn2_;
};

template <FloatingElement T, Device D = Cpu>
class Bottleneck final : public ResidualBlock<T, D> {
public:
    static constexpr Index expansion = 4;

    GRADUS_COLD Bottleneck(Index in, Index channels, const ResidualConfig& config = {})
        : ResidualBlock<T, D>(in, expansion * channels, config),
          conv1_(in, channels, {.bias = false}),
          bn1_(channels, {.relu = true}),
          conv2_(channels, channels, {.kernel = 3, .stride = config.stride, .padding = 1, .bias = false}),
          bn2_(channels, {.relu = true}),
          conv3_(channels, expansion * channels, {.bias = false}),
          bn3_(expansion * channels, {.relu = true}) {
        this->child("conv1", conv1_);
        this->child("bn1", bn1_);
        this->child("conv2", conv2_);
        this->child("bn2", bn2_);
        this->child("conv3", conv3_);
        this->child("bn3", bn3_);
        this->register_shortcut();
    }
    GRADUS_GLUE Variable<T, D> forward(const Variable<T, D>& x) override {
        return bn3_(conv3_(bn2_(conv2_(bn1_(conv1_(x))))), this->shortcut(x));
    }
    const char* type() const override { return "Bottleneck"; }

private:
    Conv2d<T, D> conv1_;
    BatchNorm2d<T, D> bn1_;
    Conv2d<T, D> conv2_;
    BatchNorm2d<T, D> bn2_;
    Conv2d<T, D> conv3_;
    BatchNorm2d<T, D> bn3_;
};

}  // namespace gradus::inline GRADUS_ABI
