// elementwise/chunks_cpu.hpp   Shares a loop over n elements out to the threads.
//     for_chunks(n, [&](Index begin, Index end) { ... });
// A chunk is long enough to pay for its hand-over, and short enough that a few of them even out slow threads: 16,384
// floats are 64 KB, half of a second-level cache or less. Where chunks begin depends on n alone.
#pragma once

#include <algorithm>

#include "gradus/machine/cpu/thread_pool.hpp"

namespace gradus::inline GRADUS_ABI {

inline constexpr Index chunk_elements = 16384;

template <class Body>
void for_chunks(Index n, const Body& body) {
    parallel_for((n + chunk_elements - 1) / chunk_elements,
                 [&](Index chunk) { body(chunk * chunk_elements, std::min(n, (chunk + 1) * chunk_elements)); });
}

}  // namespace gradus::inline GRADUS_ABI
