// core/shape.hpp   The extents of a tensor: Shape{N, H, W, C}. At most 6 dimensions, stored in place.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "gradus/core/check.hpp"

namespace gradus::inline GRADUS_ABI {

using Index = std::int64_t;

class Shape {
public:
    static constexpr int max_rank = 6;
    static constexpr Index max_numel = Index{1} << 58;  // so that their bytes can be counted too

    Shape() = default;  // rank 0: a scalar, one element
    Shape(std::initializer_list<Index> extents) : Shape(extents.begin(), extents.end()) {}
    template <class Iterator>
    Shape(Iterator first, Iterator last) {
        for (; first != last; ++first) push_back(static_cast<Index>(*first));
    }
    template <std::size_t R>
    Shape(const std::array<Index, R>& extents) : Shape(extents.begin(), extents.end()) {}

    void push_back(Index extent) {
        GRADUS_CHECK(rank_ < max_rank, "shape: at most ", max_rank, " dimensions");
        GRADUS_CHECK(extent >= 0, "shape: an extent is negative: ", extent);
        extents_[static_cast<std::size_t>(rank_++)] = extent;
    }

    int rank() const { return rank_; }
    // A negative dimension counts from the end: shape[-1] is the last extent.
    Index operator[](int dimension) const { return extents_[position(dimension)]; }
    Index& operator[](int dimension) { return extents_[position(dimension)]; }
    const Index* begin() const { return extents_.data(); }
    const Index* end() const { return extents_.data() + rank_; }

    Index numel() const {
        Index product = 1;
        for (Index extent : *this)
            GRADUS_CHECK(!__builtin_mul_overflow(product, extent, &product) && product <= max_numel, "shape: ", *this,
                         " has more than 2^58 elements");
        return product;
    }

    // The extents of a view of R dimensions: with fewer than there are, the leading ones merge.
    template <std::size_t R>
    std::array<Index, R> merged() const {
        constexpr int views = static_cast<int>(R);
        GRADUS_CHECK(views <= (rank_ == 0 ? 1 : rank_), "tensor: a view of ", R, " dimensions of a tensor of shape ",
                     *this);
        std::array<Index, R> extents;
        extents.fill(1);
        for (int d = 0; d < rank_; ++d)
            extents[static_cast<std::size_t>(std::max(d - (rank_ - views), 0))] *=
                extents_[static_cast<std::size_t>(d)];
        return extents;
    }

    friend bool operator==(const Shape& a, const Shape& b) {
        if (a.rank_ != b.rank_) return false;
        for (int d = 0; d < a.rank_; ++d)
            if (a[d] != b[d]) return false;
        return true;
    }
    friend void append_text(std::string& out, const Shape& shape) {
        out += '(';
        for (int d = 0; d < shape.rank(); ++d) {
            if (d > 0) out += ", ";
            append_text(out, shape[d]);
        }
        out += shape.rank() == 1 ? ",)" : ")";
    }

private:
    std::size_t position(int dimension) const {
        const int d = dimension < 0 ? dimension + rank_ : dimension;
        GRADUS_CHECK(d >= 0 && d < rank_, "shape: dimension ", dimension, " of a shape of rank ", rank_);
        return static_cast<std::size_t>(d);
    }

    std::array<Index, max_rank> extents_{};
    int rank_ = 0;
};

// "conv2d: bias must be (16,), got (8,)"
GRADUS_COLD inline void check_shape(const char* operation, const char* what, const Shape& got, const Shape& wanted) {
    GRADUS_CHECK(got == wanted, operation, ": ", what, " must be ", wanted, ", got ", got);
}

}  // namespace gradus::inline GRADUS_ABI
