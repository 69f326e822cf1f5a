// machine/cuda/broadcast_map.hpp   The operands of a broadcast (core/broadcast.hpp), as a kernel finds their elements.
#pragma once

#include "gradus/core/broadcast.hpp"
#include "gradus/machine/cuda/stride_map.hpp"

namespace gradus::inline GRADUS_ABI {

inline StrideMap operand_map(const Broadcast& pairs, bool Broadcast::Group::*repeats) {
    StrideMap map;
    Index walked = 1;
    for (std::size_t g = pairs.groups().size(); g-- > 0;) {
        const Broadcast::Group& group = pairs.groups()[g];
        map.add(group.extent, group.*repeats ? 0 : walked);
        if (!(group.*repeats)) walked *= group.extent;
    }
    return map;
}
// Of x and of y, for the elements of the result.
inline StrideMap map_of_x(const Broadcast& pairs) { return operand_map(pairs, &Broadcast::Group::repeats_x); }
inline StrideMap map_of_y(const Broadcast& pairs) { return operand_map(pairs, &Broadcast::Group::repeats_y); }

}  // namespace gradus::inline GRADUS_ABI
