// machine/emulator/observer.hpp   What a checker may want to know of the emulator (race_checker.hpp is one).
// The emulator tells its observer, if there is one, what happens around the memory accesses that the observer sees
// itself: launches, blocks, buffers, copies.
#pragma once

#include "gradus/machine/emulator/block.hpp"

namespace gradus::inline GRADUS_ABI::emulator {

struct Observer {
    virtual void launch_begins(const Launch& launch) = 0;
    virtual std::string launch_ends(const Launch& launch) = 0;  // what went wrong; "" if nothing did
    virtual void block_begins(Block& block) = 0;
    virtual void block_ends(Block& block) = 0;
    virtual void allocated(const char* buffer, std::size_t bytes) = 0;
    virtual void written(const void* address, std::size_t bytes) = 0;      // by a copy or a memset
    virtual void undefined(const void* address, std::size_t bytes) = 0;    // until it is written anew
    virtual bool was_written(const void* address, std::size_t bytes) = 0;  // what a library call is about to read
    virtual void fence(bool for_device) = 0;                               // __threadfence, or that of the block
    // An access of the running thread that the emulator makes for it: atomics, wmma, asynchronous copies.
    virtual void accessed(const void* address, std::size_t bytes, bool is_write, bool is_atomic, Site site) = 0;
    // What is wrong, without being a matter of memory, in what that thread does at that place.
    virtual void misused(const std::string& what, unsigned thread, Site site) = 0;
    virtual void lanes_met(Block& block, unsigned warp, std::uint32_t lanes) = 0;  // in any operation of the warp
    // Lanes, or all threads of the block, have met: what each did before is before what any of them does after.
    virtual void memory_ordered(unsigned warp, std::uint32_t lanes) = 0;
    virtual void block_met(Block& block) = 0;

protected:
    ~Observer() = default;
};

inline constinit Observer* current_observer = nullptr;

// As long as one exists, this thread's accesses are the emulator's own, and none of the observer's business.
inline constinit thread_local bool is_unobserved = false;
struct Unobserved {
    GRADUS_EMULATOR_QUIET Unobserved() : before(std::exchange(is_unobserved, true)) {}
    GRADUS_EMULATOR_QUIET ~Unobserved() { is_unobserved = before; }
    const bool before;
};

GRADUS_EMULATOR_INLINE void tell_access(const void* address, std::size_t bytes, bool is_write, bool is_atomic,
                                        Site site) {
    if (current_observer != nullptr) [[unlikely]]
        current_observer->accessed(address, bytes, is_write, is_atomic, site);
}

}  // namespace gradus::inline GRADUS_ABI::emulator
