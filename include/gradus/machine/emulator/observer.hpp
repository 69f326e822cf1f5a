// machine/emulator/observer.hpp   What a checker may want to know of the emulator (race_checker.hpp is one).
// The emulator tells its observer, if there is one, what happens around the memory accesses that the observer sees
// itself: launches, blocks, buffers, copies.
#pragma once

#include "gradus/machine/emulator/block.hpp"

namespace gradus::inline GRADUS_ABI::emulator {

struct Observer {
    virtual void launch_begins(const Launch& launch) = 0;
    virtual void launch_ends(const Launch& launch) = 0;
    virtual void block_begins(Block& block) = 0;
    virtual void block_ends(Block& block) = 0;
    virtual void allocated(char* buffer, std::size_t bytes) = 0;
    virtual void released(char* buffer, std::size_t bytes) = 0;
    virtual void written(const void* address, std::size_t bytes) = 0;  // by a copy or a memset
    virtual void fence(Block& block) = 0;                              // __threadfence
    // An access of the running thread that the emulator makes for it: atomics, wmma, asynchronous copies.
    virtual void accessed(const void* address, std::size_t bytes, bool is_write, bool is_atomic, Site site) = 0;
    // Lanes that wait for one another, and the whole block: what was before is before what comes after.
    virtual void warp_synchronized(Block& block, unsigned warp) = 0;
    virtual void block_synchronized(Block& block) = 0;

protected:
    ~Observer() = default;
};

GRADUS_EMULATOR_QUIET inline Observer*& observer() {
    static Observer* current = nullptr;
    return current;
}

GRADUS_EMULATOR_INLINE void tell_access(const void* address, std::size_t bytes, bool is_write, bool is_atomic,
                                        Site site) {
    if (Observer* watching = observer()) [[unlikely]]
        watching->accessed(address, bytes, is_write, is_atomic, site);
}

}  // namespace gradus::inline GRADUS_ABI::emulator
