// machine/emulator/async_copy.hpp   cp.async: copies into shared memory that finish later (machine/cuda/ptx.hpp).
// A card copies while the thread computes. Until the thread has waited for the copy, what stands in the target is
// undefined. Here: all ones (NaN, or -1) from the start of the copy, and unwritten memory for the race checker; the
// copy itself happens in the wait. A kernel that overwrites a buffer that others still read destroys it at once. One
// that forgets to wait reads all ones every time, and ends with an error: a thread may not return before its copies are
// done.
// The instruction goes from global to shared memory and nowhere else. It takes any two pointers, and on a card the
// wrong ones are a fault at some address that nobody wrote down.
#pragma once

#include "gradus/machine/emulator/device_memory.hpp"
#include "gradus/machine/emulator/diagnosis.hpp"
#include "gradus/machine/emulator/observer.hpp"

namespace gradus::inline GRADUS_ABI::emulator {

inline AsyncCopies& async_copies() {
    Block& block = *running_block;
    if (block.async_copies.empty()) block.async_copies.resize(most_threads);
    return block.async_copies[block.current];
}

inline void check_copy(const void* target, const void* source, unsigned bytes, unsigned used, Site site) {
    const Block& block = *running_block;
    const auto is_misaligned = [bytes](const void* p) { return reinterpret_cast<std::uintptr_t>(p) % bytes != 0; };
    std::string wrong;
    if (target < block.arena || target >= block.arena + arena_bytes) {
        wrong = "the target is not in shared memory";
    } else if (used > 0 && !device_memory().contains(source) && !is_pinned(source)) {
        wrong = "the source is not in global memory";
    } else if (used > bytes) {
        wrong = text("of ", bytes, " bytes, ", used, " are to be copied");
    } else if (is_misaligned(target) || is_misaligned(source)) {
        wrong = text("the ", is_misaligned(target) ? "target" : "source", " is not a multiple of ", bytes, " bytes");
    }
    if (!wrong.empty()) fail_in_kernel(text("cp.async at ", site, ": ", wrong));
}

// Copies the first `used` of `bytes` bytes; the rest becomes zero.
GRADUS_EMULATOR_QUIET inline void start_copy(void* target, const void* source, unsigned bytes, unsigned used,
                                             Site site) {
    const Unobserved guard;
    check_copy(target, source, bytes, used, site);
    AsyncCopies& copies = async_copies();
    tell_access(target, bytes, true, false, site);
    std::memset(target, 0xFF, bytes);
    if (current_observer != nullptr) current_observer->undefined(target, bytes);
    copies.pending.push_back({target, source, bytes, used, copies.groups, site});
}

GRADUS_EMULATOR_QUIET inline void commit_copies() {
    const Unobserved guard;
    ++async_copies().groups;
}

// Returns when all groups but the newest `still_open` have been copied.
GRADUS_EMULATOR_QUIET inline void wait_for_copies(unsigned still_open) {
    const Unobserved guard;
    AsyncCopies& copies = async_copies();
    std::size_t done = 0;
    for (; done < copies.pending.size(); ++done) {
        const AsyncCopy& copy = copies.pending[done];
        if (copy.group + still_open >= copies.groups) break;
        if (copy.used > 0) tell_access(copy.source, copy.used, false, false, copy.site);
        tell_access(copy.target, copy.bytes, true, false, copy.site);
        std::memcpy(copy.target, copy.source, copy.used);
        std::memset(static_cast<char*>(copy.target) + copy.used, 0, copy.bytes - copy.used);
    }
    copies.pending.erase(copies.pending.begin(), copies.pending.begin() + static_cast<std::ptrdiff_t>(done));
}

// The current thread has returned from the kernel.
inline void check_copies_are_done(const Block& block) {
    if (block.async_copies.empty() || block.async_copies[block.current].pending.empty()) return;
    fail_in_kernel(text("the thread has returned, and never waited for its cp.async at ",
                        block.async_copies[block.current].pending.front().site));
}

}  // namespace gradus::inline GRADUS_ABI::emulator
