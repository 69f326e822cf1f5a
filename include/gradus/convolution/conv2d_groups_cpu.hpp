// convolution/conv2d_groups_cpu.hpp   Groups that are narrower than a vector: several of them as one.
// Problem  With 4 channels in a group, three quarters of a vector of 16 stay empty, and every tap is a run of only 4.
// Answer   As many groups as fill a vector become one group. Its weight is block-diagonal: zeros where output and input
//          are of different groups. A wider sum takes more multiply-adds of a vector, fewer groups take fewer: their
//          number stays what it was, and the rest, tiles and the writing of results, becomes less. The gradient of the
//          weights is computed with the blocks off the diagonal, which are then left out.
// Deviates 0 * infinity is not 0: an infinity or NaN reaches the outputs of the groups beside its own.
#pragma once

#include <algorithm>

#include "gradus/convolution/conv2d_options.hpp"
#include "gradus/core/allocator.hpp"
#include "gradus/core/view.hpp"
#include "gradus/machine/cpu/vector.hpp"

namespace gradus::inline GRADUS_ABI {

// How many groups become one: the most that divide their number and fit a vector on both sides; 1 means none do.
inline Index groups_in_vector(const Conv2dOptions& options, Index inputs, Index outputs) {
    Index together = 1;
    for (Index count = 2; count * std::max(inputs, outputs) <= vec_floats; ++count)
        if (options.groups % count == 0) together = count;
    return together;
}

// A weight (O, KH, KW, I) with `together` groups as one: (O, KH, KW, together * I).
class BlockDiagonal {
public:
    BlockDiagonal(const Array4<const float>::Extents& weight, const Conv2dOptions& options, Index together)
        : O_(weight[0]),
          taps_(weight[1] * weight[2]),
          I_(weight[3]),
          per_group_(O_ / options.groups),
          together_(together),
          wide_(O_ * taps_ * together * I_),
          options_(options),
          shape_{O_, weight[1], weight[2], together * I_} {
        options_.groups /= together;
    }
    const Conv2dOptions& options() const { return options_; }
    Array4<float> view() const { return {wide_.data(), shape_}; }

    void fill(Array4<const float> weight) const {
        std::fill_n(wide_.data(), view().size(), 0.0f);
        for (Index row = 0; row < O_ * taps_; ++row) std::copy_n(weight.data() + row * I_, I_, block(row));
    }
    void collect(Array4<float> weight, Write mode) const {
        for (Index row = 0; row < O_ * taps_; ++row)
            for (Index i = 0; i < I_; ++i) put(weight.data()[row * I_ + i], block(row)[i], mode);
    }

private:
    // Of the row of one output and tap, the part that belongs to the output's own group.
    float* block(Index row) const {
        const Index group = row / taps_ / per_group_;
        return wide_.data() + row * together_ * I_ + group % together_ * I_;
    }

    Index O_, taps_, I_, per_group_, together_;
    HostBuffer<float> wide_;
    Conv2dOptions options_;
    Array4<float>::Extents shape_;
};

}  // namespace gradus::inline GRADUS_ABI
