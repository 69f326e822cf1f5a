// normalization/channel_lanes_cpu.hpp   How the statistics and maps of channels run on vectors and threads.
// Problem  Column statistics of an (M, C) matrix, where a row of C channels rarely fills whole registers.
// Vectors  `repeat` rows together do fill them: the matrix is read as an (M/repeat, repeat*C) matrix, whose lane l
//          belongs to channel l mod C. The numbers of a channel are written out once per lane. Rows that are left over
//          (fewer than repeat) go through the same code, one lane at a time.
// Threads  Blocks of rows of at least 256 KB, at most 64 of them. Their number and the order in which their sums are
//          added depend on M and C alone.
// Sums     in float over a chunk of rows, then in double: exact enough for any M, and still at the speed of float.
// float runs on vectors; the other types run the same code with one lane.
#pragma once

#include <algorithm>
#include <numeric>
#include <type_traits>
#include <utility>

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
        // Whole strips where that takes nine of them at most; else whole vectors, so that the numbers of all lanes fit
        // the first-level cache; and where they would not, for a C that is wide and odd, rows with a rest.
        const Index vector = vectors ? vec_floats : 1, strip = vectors ? channel_strip * vector : 1;
        repeat = C > 0 ? vector / std::gcd(C, vector) : 1;
        if (C > 0 && C / std::gcd(C, strip) <= 9) repeat = strip / std::gcd(C, strip);
        if (repeat * C > 4096) repeat = 1;
        lanes = repeat * C;
        const Index wanted =
            std::max(ceil_div(M, 64), ceil_div(Index{256} << 10, std::max(C, Index{1}) * element_bytes));
        block_rows = round_up(wanted, repeat);
        blocks = ceil_div(M, block_rows);
    }
    Index rows, channels, repeat, lanes, block_rows, blocks;
};

// One number per lane from one number per channel. As long as whole vectors.
template <class S>
class LaneBuffer {
public:
    explicit LaneBuffer(const ChannelPlan& plan)
        : size_(plan.lanes), channels_(plan.channels), buffer_(round_up(plan.lanes, vec_floats)) {}
    S* data() const { return buffer_.data(); }
    void fill(S value) { std::fill(data(), data() + round_up(size_, vec_floats), value); }
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

// Runs kernel.columns<V, N>(offset, rows, stride, lane) on all columns of some rows: N vectors V that start at element
// `offset` of the matrix, belong to the lanes from `lane` on, and repeat after `stride` elements.
template <class Kernel>
void walk_lanes(const ChannelPlan& plan, Index offset, Index rows, Index stride, const Kernel& kernel) {
    constexpr Index strip = channel_strip * vec_floats;
    Index lane = 0;
    for (; lane + strip <= plan.lanes; lane += strip)
        kernel.template columns<Vec, channel_strip>(offset + lane, rows, stride, lane);
    for (; lane + vec_floats <= plan.lanes; lane += vec_floats)
        kernel.template columns<Vec, 1>(offset + lane, rows, stride, lane);
    for (; lane < plan.lanes; ++lane) kernel.template columns<float, 1>(offset + lane, rows, stride, lane);
}
// All rows [begin, end). Where they are one strip wide, the numbers of all lanes stay in registers. Wider rows are
// taken from `Kernel::streams` equal parts of them at a time: so a lane's numbers are loaded and stored once for
// several rows, and memory is still read in ascending order, at a few places. (Neighbouring rows together would be 1.8
// times slower at C = 256: the processor does not foresee that order.)
template <class T, class Kernel>
void walk_channels(const ChannelPlan& plan, Index begin, Index end, const Kernel& kernel) {
    if constexpr (std::is_same_v<T, float>) {
        const bool is_strip = plan.lanes == Index{channel_strip} * vec_floats;
        const Index rows = (end - begin) / plan.repeat, start = begin * plan.channels;
        const Index together = is_strip ? rows : Kernel::streams, steps = rows / std::max(together, Index{1});
        for (Index i = 0; i < steps; ++i)
            walk_lanes(plan, start + i * plan.lanes, together, steps * plan.lanes, kernel);
        for (Index i = steps * together; i < rows; ++i) walk_lanes(plan, start + i * plan.lanes, 1, plan.lanes, kernel);
        begin += rows * plan.repeat;
    }
    if (begin == end) return;
    for (Index c = 0; c < plan.channels; ++c)
        kernel.template columns<Sum<T>, 1>(begin * plan.channels + c, end - begin, plan.channels, c);
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

// to += from, from = 0, on whole vectors.
inline void drain(double* from, double* to, Index lanes) {
    for (Index l = 0; l < lanes; ++l) to[l] += std::exchange(from[l], 0.0);
}
inline void drain(float* from, double* to, Index lanes) {
    constexpr Index step = vec_floats / 2;  // as many doubles as a register holds
    typedef float Narrow __attribute__((vector_size(step * sizeof(float)), may_alias));
    typedef double Wide __attribute__((vector_size(step * sizeof(double)), may_alias));
    for (Index l = 0; l < lanes; l += step) {
        Narrow& sums = *reinterpret_cast<Narrow*>(from + l);
        *reinterpret_cast<Wide*>(to + l) += __builtin_convertvector(sums, Wide);
        sums = Narrow{};
    }
}

// Two sums for every channel. A kernel adds to the recent ones, by lane, over a chunk of rows: short enough for the
// accuracy of float, long enough to make what follows a chunk cheap.
template <class T>
class ChannelSums {
public:
    static constexpr Index chunk = 128;  // times `repeat` rows

    explicit ChannelSums(const ChannelPlan& plan)
        : plan_(plan), recent_first_(plan), recent_second_(plan), first_(plan), second_(plan) {
        recent_first_.fill(0);
        recent_second_.fill(0);
    }
    Sum<T>* recent_first() const { return recent_first_.data(); }
    Sum<T>* recent_second() const { return recent_second_.data(); }

    // The sums over the rows [begin, end), which first(c) and second(c) then give.
    template <class Kernel>
    void run(Index begin, Index end, const Kernel& kernel) {
        first_.fill(0);
        second_.fill(0);
        const Index step = plan_.repeat * chunk, lanes = round_up(plan_.lanes, vec_floats);
        for (; begin < end; begin += step) {
            walk_channels<T>(plan_, begin, std::min(end, begin + step), kernel);
            drain(recent_first(), first_.data(), lanes);
            drain(recent_second(), second_.data(), lanes);
        }
        first_.add_repeats();
        second_.add_repeats();
    }
    double first(Index c) const { return first_.data()[c]; }
    double second(Index c) const { return second_.data()[c]; }

private:
    const ChannelPlan& plan_;
    LaneBuffer<Sum<T>> recent_first_, recent_second_;
    LaneBuffer<double> first_, second_;
};

}  // namespace gradus::inline GRADUS_ABI
