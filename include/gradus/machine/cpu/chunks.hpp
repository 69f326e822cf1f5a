// machine/cpu/chunks.hpp   Shares a loop over n elements out to the threads.
//     for_chunks(n, [&](Index begin, Index end) { ... });
//     for_broadcast_runs(pairs, [&](Index i, Index count) { ... });
// A chunk is long enough to pay for its hand-over, and short enough that a few of them even out slow threads: 16,384
// floats are 64 KB, half of a second-level cache or less. Where chunks begin depends on n alone.
#pragma once

#include <algorithm>

#include "gradus/core/broadcast.hpp"
#include "gradus/machine/cpu/thread_pool.hpp"

namespace gradus::inline GRADUS_ABI {

inline constexpr Index chunk_elements = 16384;

template <class Body>
void for_chunks(Index n, const Body& body) {
    parallel_for((n + chunk_elements - 1) / chunk_elements,
                 [&](Index chunk) { body(chunk * chunk_elements, std::min(n, (chunk + 1) * chunk_elements)); });
}

// run(i, count) for runs of elements i to i + count - 1 of a broadcast's result that lie in one innermost group: along a
// run each operand either walks or stands still. Together the runs are all elements.
template <class Run>
void for_broadcast_runs(const Broadcast& pairs, const Run& run) {
    const Index n = pairs.shape().numel();
    const Index inner = pairs.groups().empty() ? 1 : pairs.groups().back().extent;
    if (n == 0) return;
    if (inner >= chunk_elements) {  // several chunks for every pass through the innermost group
        const Index pieces = (inner + chunk_elements - 1) / chunk_elements;
        parallel_for(n / inner * pieces, [&](Index task) {
            const Index begin = task % pieces * chunk_elements;
            run(task / pieces * inner + begin, std::min(chunk_elements, inner - begin));
        });
        return;
    }
    const Index together = chunk_elements / inner;  // passes in a chunk
    parallel_for((n / inner + together - 1) / together, [&](Index task) {
        const Index end = std::min(n / inner, (task + 1) * together);
        for (Index pass = task * together; pass < end; ++pass) run(pass * inner, inner);
    });
}

}  // namespace gradus::inline GRADUS_ABI
