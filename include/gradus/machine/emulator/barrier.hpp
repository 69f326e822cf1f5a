// machine/emulator/barrier.hpp   __syncthreads and its relatives: all threads of the block meet.
// CUDA's rule (Programming Guide, "Synchronization Functions"): __syncthreads() waits until all threads of the block
// have reached it. In a branch it is allowed only if all threads of the block take that branch. The emulator holds a
// kernel to a little more, so that one that passes here passes on every card:
//     all threads stand at the same line, and none has returned from the kernel.
#pragma once

#include "gradus/machine/emulator/diagnosis.hpp"
#include "gradus/machine/emulator/observer.hpp"

namespace gradus::inline GRADUS_ABI::emulator {

inline void open_barrier(Block& block) {
    if (block.unfinished != block.thread_count)
        fail_in_block(block,
                      "a barrier that not all threads reach: a branch that some do not take, or an early return (guard "
                      "the work, not the barrier)");
    block.votes_counted = block.arrived;
    block.yes_counted = block.yes_votes;
    block.arrived = block.yes_votes = 0;
    ++block.epoch;
    if (current_observer != nullptr) current_observer->block_met(block);
    for (unsigned w = 0; w < block.warp_count; ++w) block.ready[w] = block.warps[w].live;
}

[[noreturn]] inline void fail_divergent(Block& block) {
    fail_in_block(block, text("divergent barrier: one thread is at ", block.threads[block.current].where,
                              " while others wait at ", block.barrier_site));
}

GRADUS_EMULATOR_INLINE void wait_at_barrier(Site site) {
    Block& block = *running_block;
    Thread& me = block.threads[block.current];
    {
        GRADUS_EMULATOR_AT_WORK;
        me.where = site;
        me.state = ThreadState::at_barrier;
        if (block.arrived == 0) {
            block.barrier_site = site;
        } else if (!same_site(block.barrier_site, site)) [[unlikely]] {
            fail_divergent(block);
        }
        if (++block.arrived == block.unfinished) open_barrier(block);
    }
    wait(block);
    me.state = ThreadState::runnable;
}

GRADUS_EMULATOR_QUIET inline void wait_with_vote(bool vote, Site site) {
    running_block->yes_votes += vote;
    wait_at_barrier(site);
}

void complete_without(Block& block, unsigned warp);  // warp.hpp
void check_copies_are_done(const Block& block);      // async_copy.hpp

// The current thread has returned from the kernel.
inline void thread_returned(Block& block) {
    check_copies_are_done(block);
    block.threads[block.current].state = ThreadState::returned;
    const unsigned warp = block.current / lanes_per_warp, lane = block.current % lanes_per_warp;
    block.warps[warp].live &= ~(1u << lane);
    --block.unfinished;
    if (block.warps[warp].open_count > 0) complete_without(block, warp);
    if (block.arrived > 0 && block.arrived == block.unfinished) open_barrier(block);  // fails, and says why
}

}  // namespace gradus::inline GRADUS_ABI::emulator

namespace gradus::inline GRADUS_ABI::cuda_names {

GRADUS_EMULATOR_INLINE void __syncthreads(const char* file = __builtin_FILE(), unsigned line = __builtin_LINE()) {
    emulator::wait_at_barrier({file, line});
}
// The same, and tells each thread of how many threads the predicate held,
GRADUS_EMULATOR_QUIET inline int __syncthreads_count(int predicate, const char* file = __builtin_FILE(),
                                                     unsigned line = __builtin_LINE()) {
    emulator::wait_with_vote(predicate != 0, {file, line});
    return static_cast<int>(emulator::running_block->yes_counted);
}
// ... whether for all,
GRADUS_EMULATOR_QUIET inline int __syncthreads_and(int predicate, const char* file = __builtin_FILE(),
                                                   unsigned line = __builtin_LINE()) {
    emulator::wait_with_vote(predicate != 0, {file, line});
    return emulator::running_block->yes_counted == emulator::running_block->votes_counted;
}
// ... whether for any.
GRADUS_EMULATOR_QUIET inline int __syncthreads_or(int predicate, const char* file = __builtin_FILE(),
                                                  unsigned line = __builtin_LINE()) {
    emulator::wait_with_vote(predicate != 0, {file, line});
    return emulator::running_block->yes_counted > 0;
}

}  // namespace gradus::inline GRADUS_ABI::cuda_names
