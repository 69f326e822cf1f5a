// core/broadcast.hpp   Which elements of two tensors meet: numpy's rules of broadcasting.
// Shapes are aligned at their last dimension; a missing dimension counts as 1; an extent of 1 is repeated to fit the
// other one. (8, 4, 4, 16) and (16) give (8, 4, 4, 16), (3, 1) and (1, 5) give (3, 5).
// A sum over dimensions is the same picture backwards: (8, 1, 1, 16) is the sum of (8, 4, 4, 16) over dimensions 1, 2,
// and element i of the large tensor belongs to the element of the small one that would be repeated there.
#pragma once

#include <algorithm>
#include <vector>

#include "gradus/core/shape.hpp"

namespace gradus::inline GRADUS_ABI {

class Broadcast {
public:
    // Neighbouring dimensions in which the same operands are repeated walk as one. Extents of 1 need no walk at all.
    struct Group {
        Index extent;
        bool repeats_x, repeats_y;
    };

    Broadcast(const char* operation, const Shape& x, const Shape& y) {
        const int rank = std::max(x.rank(), y.rank());
        for (int d = 0; d < rank; ++d) {
            const Index a = extent(x, d - rank), b = extent(y, d - rank);
            GRADUS_CHECK(a == b || a == 1 || b == 1, operation, ": shapes ", x, " and ", y, " do not broadcast");
            const Index n = a == 1 ? b : a;
            shape_.push_back(n);
            if (n == 1) continue;
            if (!groups_.empty() && groups_.back().repeats_x == (a != n) && groups_.back().repeats_y == (b != n))
                groups_.back().extent *= n;
            else
                groups_.push_back({n, a != n, b != n});
        }
    }

    const Shape& shape() const { return shape_; }  // of the result
    const std::vector<Group>& groups() const { return groups_; }

    // The elements of x and y that belong to element i of the result.
    Index x_index(Index i) const { return operand_index(i, &Group::repeats_x); }
    Index y_index(Index i) const { return operand_index(i, &Group::repeats_y); }

private:
    Index operand_index(Index i, bool Group::*repeats) const {
        Index index = 0, stride = 1;
        for (std::size_t g = groups_.size(); g-- > 0;) {
            const Index n = groups_[g].extent;
            if (!(groups_[g].*repeats)) {
                index += i % n * stride;
                stride *= n;
            }
            i /= n;
        }
        return index;
    }
    // `from_end` is -1 for the last dimension.
    static Index extent(const Shape& shape, int from_end) { return -from_end <= shape.rank() ? shape[from_end] : 1; }

    Shape shape_;
    std::vector<Group> groups_;
};

}  // namespace gradus::inline GRADUS_ABI
