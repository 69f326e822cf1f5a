// golden/fill_rule.hpp   Numbers from a name: the inputs of the golden values and the weights of their models, computed
// alike here and in make_golden.py, so that no file has to hold them.
//     z = (crc32(name) << 32) + i + 0x9E3779B97F4A7C15
//     z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;  z = z ^ (z >> 31)
//     V(name, i) = 2 * (z >> 11) / 2^53 - 1                    in [-1, 1); the mixing is SplitMix64's (Steele, Lea,
//                                                              Flood 2014)
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "gradus/nn/state_dict.hpp"
#include "gradus/training/crc32.hpp"

namespace golden {

using gradus::Index;

// V(name, 0), V(name, 1), ...
inline std::vector<double> fill(const std::string& name, Index count) {
    const std::uint64_t first = std::uint64_t{gradus::crc32(std::as_bytes(std::span(name.data(), name.size())))} << 32;
    std::vector<double> values;
    for (Index i = 0; i < count; ++i) {
        std::uint64_t z = first + static_cast<std::uint64_t>(i) + 0x9E3779B97F4A7C15u;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        z ^= z >> 31;
        values.push_back(2 * (static_cast<double>(z >> 11) * 0x1p-53) - 1);
    }
    return values;
}

// An input of an operation, in row-major order: 256 steps from low to high, which float holds exactly.
inline std::vector<double> draw(const std::string& name, Index count, double low = -2, double high = 2) {
    std::vector<double> values = fill(name, count);
    for (double& value : values) value = low + (high - low) * std::floor((value + 1) * 128) / 256;
    return values;
}

// No two equal numbers, 1/16 apart, around 0.
inline std::vector<double> draw_distinct(const std::string& name, Index count) {
    const std::vector<double> values = fill(name, count);
    std::vector<std::size_t> order(values.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
    std::vector<double> ranks(values.size());
    for (std::size_t rank = 0; rank < order.size(); ++rank)
        ranks[order[rank]] = (static_cast<double>(rank) - static_cast<double>(order.size() / 2)) / 16;
    return ranks;
}

// A model's entry of this name and this shape in a file: weights of rank 2 and more V * sqrt(g / fan_in),
// running_var 1 + V/2, other weights (gamma) 1 + V/5, the rest V/10.
inline std::vector<double> fill_entry(const std::string& name, const gradus::Shape& shape, double g) {
    std::vector<double> values = fill(name, shape.numel());
    const double scale = shape.rank() >= 2 ? std::sqrt(g / static_cast<double>(shape.numel() / shape[0])) : 0;
    for (double& v : values) {
        if (shape.rank() >= 2)
            v *= scale;
        else if (name.ends_with("running_var"))
            v = 1 + 0.5 * v;
        else if (name.ends_with(".weight"))
            v = 1 + 0.2 * v;
        else
            v *= 0.1;
    }
    return values;
}

template <class T, class D>
void fill_parameters(gradus::Module<T, D>& model, double g = 3) {
    using S = gradus::Sum<T>;
    std::vector<gradus::NamedTensor<S>> state = gradus::state_dict(model);
    for (gradus::NamedTensor<S>& entry : state) {
        const gradus::Shape shape = entry.tensor.shape();
        entry.tensor = gradus::Tensor<double>::from(shape, fill_entry(entry.name, shape, g)).template as<S>();
    }
    gradus::load_state_dict(model, state);
}

}  // namespace golden
