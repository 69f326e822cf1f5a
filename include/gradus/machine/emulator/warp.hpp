// machine/emulator/warp.hpp   What the lanes of a warp do together: the meeting that shuffles, votes and wmma share.
// CUDA's rule (Programming Guide, "Warp Shuffle Functions" and others): the operation names its lanes in a mask; every
// lane of the mask that has not returned must execute the same operation with the same mask; the caller must be one of
// them. A card does not check this. Here a lane that calls with a mask without itself, and lanes that wait for one
// another in two different operations, end the kernel with a message.
// Of all these only __syncwarp orders memory: after it a lane may read what another wrote before. Shuffles, votes and
// matches "do not imply a memory barrier" (same chapters), nor does wmma.
// How      A lane brings its value (given), waits, and finds what it was sent (taken). The last to arrive does the work
//          for all. Lanes with disjoint masks may be in different operations at the same time.
#pragma once

#include "gradus/machine/emulator/diagnosis.hpp"
#include "gradus/machine/emulator/observer.hpp"

namespace gradus::inline GRADUS_ABI::emulator {

using Finish = void (*)(Warp& warp, std::uint32_t arrived);  // nullptr: the lanes only meet

// All have come: does the operation and lets its lanes continue.
GRADUS_EMULATOR_QUIET inline void complete(Block& block, unsigned warp_index, unsigned operation) {
    Warp& warp = block.warps[warp_index];
    const std::uint32_t arrived = warp.open[operation].arrived;
    const Finish finish = warp.open[operation].finish;
    if (finish != nullptr) finish(warp, arrived);
    if (operation + 1 < warp.open_count) warp.open[operation] = warp.open[warp.open_count - 1];
    --warp.open_count;
    if (current_observer != nullptr) current_observer->lanes_met(block, warp_index, arrived);
    block.ready[warp_index] |= arrived;
}

// A lane has returned from the kernel: nobody waits for it any more.
inline void complete_without(Block& block, unsigned warp_index) {
    Warp& warp = block.warps[warp_index];
    for (unsigned i = 0; i < warp.open_count;) {
        const bool is_complete = (warp.open[i].mask & warp.live) == (warp.open[i].arrived & warp.live);
        if (is_complete) {
            complete(block, warp_index, i);
        } else {
            ++i;
        }
    }
}

[[noreturn]] inline void fail_mask(const char* name, Site site, unsigned lane, std::uint32_t mask) {
    char hex[16];
    std::snprintf(hex, sizeof hex, "%08x", mask);
    fail_in_kernel(
        text(name, " at ", site, ": lane ", lane, " is not in its own mask ", static_cast<const char*>(hex)));
}
[[noreturn]] inline void fail_mixed(Block& block, const WarpOperation& open, const char* name, std::uint32_t mask) {
    char masks[40];
    std::snprintf(masks, sizeof masks, "masks %08x and %08x", mask, open.mask);
    fail_in_block(block, text("divergent warp operation: a lane is in ", name, " at ",
                              block.threads[block.current].where, ", lanes of its mask are in ", open.name, " at ",
                              open.site, " (", static_cast<const char*>(masks), ")"));
}

// The operation that this lane joins, found or opened. Lanes of its mask may still be busy in another operation. It is
// an error only if they wait there for this lane, which waits for them here; or if this very operation is open with
// another mask.
GRADUS_EMULATOR_QUIET inline unsigned join_operation(Block& block, Warp& warp, std::uint32_t mask, const char* name,
                                                     Site site, Finish finish) {
    const unsigned lane = block.current % lanes_per_warp;
    for (unsigned i = 0; i < warp.open_count; ++i) {
        const WarpOperation& open = warp.open[i];
        if ((open.mask >> lane & 1) == 0) continue;
        const bool is_same = open.finish == finish && same_site(open.site, site);
        if (is_same && open.mask == mask) return i;
        if (is_same || (open.arrived & mask) != 0) fail_mixed(block, open, name, mask);
    }
    warp.open[warp.open_count] = {mask, 0, name, site, finish};
    return warp.open_count++;
}

// Waits for the lanes of the mask. Before: warp.given[lane] (and source[lane]) is set. After: warp.taken[lane] is.
GRADUS_EMULATOR_INLINE void meet(std::uint32_t mask, const char* name, Finish finish, Site site) {
    Block& block = *running_block;
    Thread& me = block.threads[block.current];
    {
        GRADUS_EMULATOR_AT_WORK;
        const unsigned warp_index = block.current / lanes_per_warp, lane = block.current % lanes_per_warp;
        Warp& warp = block.warps[warp_index];
        me.where = site;
        me.state = ThreadState::in_warp_operation;
        if ((mask >> lane & 1) == 0) [[unlikely]]
            fail_mask(name, site, lane, mask);
        // The usual case first: one operation is open, and it is this one.
        const WarpOperation& first = warp.open[0];
        const bool is_usual = warp.open_count == 1 && first.mask == mask && first.finish == finish &&
                              first.site.line == site.line && first.site.file == site.file;
        const unsigned operation = is_usual ? 0 : join_operation(block, warp, mask, name, site, finish);
        const std::uint32_t arrived = warp.open[operation].arrived |= 1u << lane;
        if ((arrived & warp.live) == (mask & warp.live)) complete(block, warp_index, operation);
    }
    wait(block);
    me.state = ThreadState::runnable;
}

// What __syncwarp does for its lanes, besides letting them wait.
GRADUS_EMULATOR_QUIET inline void order_memory(Warp& warp, std::uint32_t arrived) {
    if (current_observer != nullptr)
        current_observer->memory_ordered(static_cast<unsigned>(&warp - running_block->warps), arrived);
}

GRADUS_EMULATOR_QUIET inline unsigned current_lane() { return running_block->current % lanes_per_warp; }
GRADUS_EMULATOR_QUIET inline Warp& current_warp() {
    return running_block->warps[running_block->current / lanes_per_warp];
}

}  // namespace gradus::inline GRADUS_ABI::emulator

namespace gradus::inline GRADUS_ABI::cuda_names {

// Lanes of the mask wait for one another; what they wrote before, the others see after.
GRADUS_EMULATOR_INLINE void __syncwarp(unsigned mask = 0xffffffffu, const char* file = __builtin_FILE(),
                                       unsigned line = __builtin_LINE()) {
    emulator::meet(mask, "__syncwarp", emulator::order_memory, {file, line});
}

// On a card: the lanes that happen to run together. Here: those that have not returned. A kernel must work with both.
GRADUS_EMULATOR_QUIET inline unsigned __activemask() { return emulator::current_warp().live; }

}  // namespace gradus::inline GRADUS_ABI::cuda_names
