// machine/cpu/chunks.hpp   Shares a loop over n elements out to the threads.
//     for_chunks(n, [&](Index begin, Index end) { ... });
//     for_broadcast_runs(pairs, [&](Index i, Index x, Index y, Index count) { ... });
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

// Walks through a broadcast's innermost groups, one whole pass after the other, without a division for each.
class BroadcastPasses {
public:
    BroadcastPasses(const Broadcast& pairs, Index first) : x(pairs.x_index(first)), y(pairs.y_index(first)) {
        Index x_stride = 1, y_stride = 1, rest = first;
        for (std::size_t g = pairs.groups().size(); g-- > 0;) {
            const Broadcast::Group& group = pairs.groups()[g];
            loops_[g] = {group.extent, rest % group.extent, group.repeats_x ? 0 : x_stride,
                         group.repeats_y ? 0 : y_stride};
            if (!group.repeats_x) x_stride *= group.extent;
            if (!group.repeats_y) y_stride *= group.extent;
            rest /= group.extent;
        }
        outer_ = pairs.groups().empty() ? 0 : pairs.groups().size() - 1;
    }
    void next() {
        for (std::size_t g = outer_; g-- > 0;) {
            Loop& loop = loops_[g];
            x += loop.x_stride;
            y += loop.y_stride;
            if (++loop.at < loop.extent) return;
            x -= loop.extent * loop.x_stride;
            y -= loop.extent * loop.y_stride;
            loop.at = 0;
        }
    }

    Index x, y;  // where the operands are

private:
    struct Loop {
        Index extent, at, x_stride, y_stride;
    };
    Loop loops_[Shape::max_rank] = {};
    std::size_t outer_ = 0;
};

// run(i, x, y, count) for runs of elements i to i + count - 1 of a broadcast's result that lie in one innermost group:
// along a run each operand, beginning with its element x or y, either walks or stands still. All runs are all elements.
template <class Run>
void for_broadcast_runs(const Broadcast& pairs, const Run& run) {
    const Index n = pairs.shape().numel();
    const Index inner = pairs.groups().empty() ? 1 : pairs.groups().back().extent;
    if (n == 0) return;
    if (inner >= chunk_elements) {  // several chunks for every pass through the innermost group
        const Index pieces = (inner + chunk_elements - 1) / chunk_elements;
        parallel_for(n / inner * pieces, [&](Index task) {
            const Index begin = task % pieces * chunk_elements, i = task / pieces * inner + begin;
            run(i, pairs.x_index(i), pairs.y_index(i), std::min(chunk_elements, inner - begin));
        });
        return;
    }
    const Index together = chunk_elements / inner;  // passes in a chunk
    parallel_for((n / inner + together - 1) / together, [&](Index task) {
        const Index end = std::min(n / inner, (task + 1) * together);
        BroadcastPasses pass(pairs, task * together * inner);
        for (Index i = task * together; i < end; ++i, pass.next()) run(i * inner, pass.x, pass.y, inner);
    });
}

}  // namespace gradus::inline GRADUS_ABI
