// A data set of coloured noise, for the tests of loaders.
#pragma once

#include "gradus/data/dataset.hpp"

inline gradus::Dataset coloured_noise(gradus::Index size) {
    gradus::Dataset data = gradus::make_dataset("noise", size, {9, 7, 3}, {"a", "b", "c", "d"});
    gradus::Generator generator{11, 0, 0};
    for (gradus::Index i = 0; i < data.images.numel(); ++i)
        data.images.mutable_data()[i] = static_cast<std::uint8_t>(generator.below(256));
    for (gradus::Index i = 0; i < size; ++i)
        data.labels.mutable_data()[i] = static_cast<std::int64_t>(generator.below(4));
    return data;
}
