// normalization/channel_lanes_cpu.hpp   How the statistics and maps of channels run on vectors and threads.
// Problem  Column statistics of an (M, C) matrix, where a row of C channels rarely fills whole registers.
// Vectors  `repeat` rows together do fill them: the matrix is read as an (M/repeat, repeat*C) matrix, whose lane l
//          belongs to channel l mod C. The numbers of a channel are written out once per lane. Rows that are left over
//          (fewer than repeat) go through the same code, one lane at a time.
// Threads  Blocks of rows of at least 256 KB, at most 64 of them. Their number and the order in which their sums are
//          added depend on M and C alone.
// float runs on vectors; the other types run the same code with one lane.
#pragma once

#include <algorithm>
#include <numeric>
#include <type_traits>

#include "gradus/core/allocator.hpp"
#include "gradus/core/element.hpp"
#include "gradus/machine/cpu/thread_pool.hpp"
#include "gradus/machine/cpu/vector.hpp"

namespace gradus::inline GRADUS_ABI {

// Vectors that one pass down the rows holds in registers, next to their channels' numbers.
inline constexpr int channel_strip = 4;

// How an (M, C) matrix is cut, see above.
struct ChannelPlan {
    ChannelPlan(Index M, Index C, bool vectors, Index element_bytes) : rows(M), channels(C) {
        const Index unit = vectors ? Index{channel_strip} * vec_floats : 1;
        repeat = C > 0 ? unit / std::gcd(C, unit) : 1;
        lanes = repeat * C;
        const Index wanted =
            std::max(ceil_div(M, 64), ceil_div(Index{256} << 10, std::max(C, Index{1}) * element_bytes));
        block_rows = round_up(wanted, repeat);
        blocks = ceil_div(M, block_rows);
    }
    Index rows, channels, repeat, lanes, block_rows, blocks;
};

// One number per lane from one number per channel.
template <class S>
class LaneBuffer {
public:
    explicit LaneBuffer(const ChannelPlan& plan) : size_(plan.lanes), channels_(plan.channels), buffer_(size_) {}
    S* data() const { return buffer_.data(); }
    void fill(S value) { std::fill(data(), data() + size_, value); }
    // lane l holds the number of channel l mod C.
    void spread_channels() {
        for (Index l = channels_; l < size_; ++l) data()[l] = data()[l - channels_];
    }
    // The reverse: the lanes of a channel are added into its first one.
    void add_repeats() {
        for (Index l = channels_; l < size_; l += channels_)
            for (Index c = 0; c < channels_; ++c) data()[c] += data()[l + c];
    }

private:
    Index size_, channels_;
    HostBuffer<S> buffer_;
};

// Runs kernel.columns<V, N>(offset, rows, stride, lane) on all columns of the rows [begin, end): N vectors V that start
// at element `offset` of the matrix, belong to the lanes from `lane` on, and repeat after `stride` elements. A matrix
// wider than a strip is walked row by row: memory is then one stream, which is worth more (2.5 times, measured at
// C = 256) than keeping a strip's numbers in registers.
template <class T, class Kernel>
void walk_channels(const ChannelPlan& plan, Index begin, Index end, const Kernel& kernel) {
    const Index wide_rows = (end - begin) / plan.repeat, tail = begin + wide_rows * plan.repeat;
    if constexpr (std::is_same_v<T, float>) {
        const Index strip = channel_strip * vec_floats;
        const Index band = plan.lanes == strip ? wide_rows : 1;
        for (Index row = 0; row < wide_rows; row += band)
            for (Index lane = 0; lane < plan.lanes; lane += strip)
                kernel.template columns<Vec, channel_strip>(begin * plan.channels + row * plan.lanes + lane,
                                                            std::min(band, wide_rows - row), plan.lanes, lane);
        if (tail == end) return;
        for (Index c = 0; c < plan.channels; ++c)
            kernel.template columns<float, 1>(tail * plan.channels + c, end - tail, plan.channels, c);
    } else {
        for (Index c = 0; c < plan.channels; ++c)
            kernel.template columns<Sum<T>, 1>(begin * plan.channels + c, end - begin, plan.channels, c);
    }
}

// V is Vec on float elements, or one number, which elements of any type convert to.
template <class V, class T>
GRADUS_INLINE V load_lanes(const T* p) {
    if constexpr (std::is_same_v<V, Vec>)
        return load(p);
    else
        return static_cast<V>(*p);
}
template <class V, class T>
GRADUS_INLINE void store_lanes(T* p, V v) {
    if constexpr (std::is_same_v<V, Vec>)
        store(p, v);
    else
        *p = static_cast<T>(v);
}
template <class V>
inline constexpr Index lanes_of = std::is_same_v<V, Vec> ? vec_floats : 1;

// Float sums run over a chunk of rows, this many times `repeat`, and are then added up in double: short enough for
// accuracy, long enough to make what follows a chunk cheap.
inline constexpr Index channel_chunk = 128;

}  // namespace gradus::inline GRADUS_ABI
