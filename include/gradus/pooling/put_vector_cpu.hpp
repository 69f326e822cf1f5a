// pooling/put_vector_cpu.hpp   put() of core/view.hpp for a vector of channels, of which the last may be incomplete.
#pragma once

#include "gradus/core/view.hpp"
#include "gradus/machine/cpu/vector.hpp"

namespace gradus::inline GRADUS_ABI {

// Writes or adds the first `lanes` lanes. What lies behind them may belong to another thread: it is not even read.
GRADUS_INLINE void put_vector(float* target, Vec value, Index lanes, Write mode) {
    if (mode == Write::add) value += load_some(target, lanes);
    store_some(target, value, lanes);
}

}  // namespace gradus::inline GRADUS_ABI
