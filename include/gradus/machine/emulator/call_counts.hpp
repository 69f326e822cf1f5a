// machine/emulator/call_counts.hpp   How often a program made the calls that cost time on a card.
// A launch costs the host microseconds, an allocation hundreds of them, and a call that waits stops the host until the
// card has come so far. A test compares two moments:
//     const emulator::CallCounts before = emulator::call_counts();
#pragma once

#include "gradus/machine/emulator/keywords.hpp"

namespace gradus::inline GRADUS_ABI::emulator {

struct CallCounts {
    std::uint64_t launches = 0;  // of kernels, without those inside of graphs
    std::uint64_t graph_launches = 0;
    std::uint64_t allocations = 0;  // of device memory or pinned memory
    std::uint64_t waits = 0;        // calls that return when the card has finished something
};

// Those of this thread, so that a thread that may wait does not hide one that may not.
inline CallCounts& call_counts() {
    static constinit thread_local CallCounts counts;
    return counts;
}

}  // namespace gradus::inline GRADUS_ABI::emulator
