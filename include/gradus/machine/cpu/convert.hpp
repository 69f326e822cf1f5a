// machine/cpu/convert.hpp   16-bit numbers as float and back: the kernels of this backend compute in float.
#pragma once

#include <algorithm>
#include <type_traits>

#include "gradus/core/allocator.hpp"
#include "gradus/core/element.hpp"
#include "gradus/core/view.hpp"
#include "gradus/machine/cpu/thread_pool.hpp"

namespace gradus::inline GRADUS_ABI {

inline constexpr Index convert_block = 16384;

template <class From, class To>
void convert(const From* from, Index count, To* to) {
    parallel_for((count + convert_block - 1) / convert_block, [&](Index task) {
        const Index end = std::min(count, (task + 1) * convert_block);
        for (Index i = task * convert_block; i < end; ++i) to[i] = static_cast<To>(static_cast<float>(from[i]));
    });
}

// A view as float: the view itself where it holds float, else a copy.
template <class T, int R>
class AsFloat {
public:
    explicit AsFloat(View<const T, R> view) : shape_(view.shape()), copy_(view.size()) {
        convert(view.data(), view.size(), copy_.data());
    }
    View<const float, R> view() const { return {copy_.data(), shape_}; }

private:
    typename View<const T, R>::Extents shape_;
    HostBuffer<float> copy_;
};
template <int R>
class AsFloat<float, R> {
public:
    explicit AsFloat(View<const float, R> view) : view_(view) {}
    View<const float, R> view() const { return view_; }

private:
    View<const float, R> view_;
};

// A result computed in float: kept in a copy, which holds the old values if the result adds to them, and rounded once
// at the end.
template <class T, int R>
class FloatResult {
public:
    FloatResult(View<T, R> target, Write mode) : target_(target), copy_(target.size()) {
        if (mode == Write::add) convert(target.data(), target.size(), copy_.data());
    }
    View<float, R> view() const { return {copy_.data(), target_.shape()}; }
    void finish() const { convert(copy_.data(), target_.size(), target_.data()); }

private:
    View<T, R> target_;
    HostBuffer<float> copy_;
};
template <int R>
class FloatResult<float, R> {
public:
    FloatResult(View<float, R> target, Write) : target_(target) {}
    View<float, R> view() const { return target_; }
    void finish() const {}

private:
    View<float, R> target_;
};

}  // namespace gradus::inline GRADUS_ABI
