// nn/pool_layers.hpp   Pooling as modules, for Sequential. (N, H, W, C) -> (N, P, Q, C), or (N, C) for GlobalAvgPool2d.
#pragma once

#include "gradus/nn/module.hpp"
#include "gradus/pooling/avg_pool2d.hpp"
#include "gradus/pooling/global_avg_pool2d.hpp"
#include "gradus/pooling/max_pool2d.hpp"

namespace gradus::inline GRADUS_ABI {

template <FloatingElement T, Device D = Cpu>
class MaxPool2d final : public Module<T, D> {
public:
    explicit MaxPool2d(const MaxPool2dOptions& options = {}) : options_(options) {}
    Variable<T, D> forward(const Variable<T, D>& x) override { return max_pool2d(x, options_); }
    const char* type() const override { return "MaxPool2d"; }

private:
    MaxPool2dOptions options_;
};

template <FloatingElement T, Device D = Cpu>
class AvgPool2d final : public Module<T, D> {
public:
    explicit AvgPool2d(const AvgPool2dOptions& options = {}) : options_(options) {}
    Variable<T, D> forward(const Variable<T, D>& x) override { return avg_pool2d(x, options_); }
    const char* type() const override { return "AvgPool2d"; }

private:
    AvgPool2dOptions options_;
};

template <FloatingElement T, Device D = Cpu>
class AdaptiveAvgPool2d final : public Module<T, D> {
public:
    AdaptiveAvgPool2d(Index out_height, Index out_width) : height_(out_height), width_(out_width) {}
    Variable<T, D> forward(const Variable<T, D>& x) override { return adaptive_avg_pool2d(x, height_, width_); }
    const char* type() const override { return "AdaptiveAvgPool2d"; }

private:
    Index height_, width_;
};

template <FloatingElement T, Device D = Cpu>
class GlobalAvgPool2d final : public Module<T, D> {
public:
    Variable<T, D> forward(const Variable<T, D>& x) override { return global_avg_pool2d(x); }
    const char* type() const override { return "GlobalAvgPool2d"; }
};

}  // namespace gradus::inline GRADUS_ABI
