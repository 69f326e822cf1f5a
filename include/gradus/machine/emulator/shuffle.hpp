// machine/emulator/shuffle.hpp   Warp shuffles: a lane reads a register of another lane.
// Programming Guide, "Warp Shuffle Functions". With width w (1, 2, 4, ..., 32) the warp falls into groups of w lanes,
// and lane l, the i-th of its group, receives the value of
//     __shfl_sync       lane `source` of its group, modulo w
//     __shfl_xor_sync   lane l ^ mask; its own value if that lane is in a later group
//     __shfl_down_sync  lane l + delta; its own value if that is past its group
//     __shfl_up_sync    lane l - delta; its own value if that is before its group
// A value read from a lane that is not in the mask, or that has returned, is undefined. Here it is all ones: NaN, or
// -1; and the race checker reports it, because with integers it may go unseen. It cannot know whether the value is
// used. Another width is an error.
#pragma once

#include "gradus/machine/emulator/warp.hpp"

namespace gradus::inline GRADUS_ABI::emulator {

// Each lane takes what its source gave.
GRADUS_EMULATOR_QUIET inline void hand_out(Warp& warp, std::uint32_t arrived) {
    for (unsigned lane = 0; lane < lanes_per_warp; ++lane) {
        if ((arrived >> lane & 1) == 0) continue;
        const unsigned source = warp.source[lane];
        const bool takes_part = (arrived >> source & 1) != 0;
        warp.taken[lane] = takes_part ? warp.given[source] : ~std::uint64_t{0};
        if (!takes_part && current_observer != nullptr) [[unlikely]] {
            const unsigned first = static_cast<unsigned>(&warp - running_block->warps) * lanes_per_warp;
            current_observer->misused(text("a shuffle: lane ", lane, " reads lane ", source, ", which takes no part"),
                                      first + lane, running_block->threads[first + lane].where);
        }
    }
}

// The number of a group's last lane, which is also the mask of the bits that tell its lanes apart.
GRADUS_EMULATOR_INLINE unsigned last_in_group(int width, const char* name, Site site) {
    if (width < 1 || width > 32 || (width & (width - 1)) != 0) [[unlikely]]
        fail_in_kernel(text(name, " at ", site, ": width ", width, " is no power of two from 1 to 32"));
    return static_cast<unsigned>(width) - 1;
}

template <class T>
GRADUS_EMULATOR_INLINE T shuffle(unsigned mask, T value, unsigned source, const char* name, Site site) {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(std::uint64_t),
                  "a shuffle moves at most 8 bytes a lane");
    Warp& warp = current_warp();
    const unsigned lane = current_lane();
    std::memcpy(&warp.given[lane], &value, sizeof(T));
    warp.source[lane] = source;
    meet(mask, name, hand_out, site);
    std::memcpy(&value, &warp.taken[lane], sizeof(T));
    return value;
}

}  // namespace gradus::inline GRADUS_ABI::emulator

namespace gradus::inline GRADUS_ABI::cuda_names {

template <class T>
GRADUS_EMULATOR_INLINE T __shfl_sync(unsigned mask, T value, int source, int width = 32,
                                     const char* file = __builtin_FILE(), unsigned line = __builtin_LINE()) {
    const unsigned in_group = emulator::last_in_group(width, "__shfl_sync", {file, line});
    const unsigned lane = emulator::current_lane();
    const unsigned from = (lane & ~in_group) | (static_cast<unsigned>(source) & in_group);
    return emulator::shuffle(mask, value, from, "__shfl_sync", {file, line});
}

template <class T>
GRADUS_EMULATOR_INLINE T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32,
                                         const char* file = __builtin_FILE(), unsigned line = __builtin_LINE()) {
    const unsigned in_group = emulator::last_in_group(width, "__shfl_xor_sync", {file, line});
    const unsigned lane = emulator::current_lane();
    const unsigned other = (lane ^ static_cast<unsigned>(lane_mask)) % emulator::lanes_per_warp;
    const bool is_later = (other & ~in_group) > (lane & ~in_group);
    return emulator::shuffle(mask, value, is_later ? lane : other, "__shfl_xor_sync", {file, line});
}

template <class T>
GRADUS_EMULATOR_INLINE T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                                          const char* file = __builtin_FILE(), unsigned line = __builtin_LINE()) {
    const unsigned in_group = emulator::last_in_group(width, "__shfl_down_sync", {file, line});
    const unsigned lane = emulator::current_lane();
    const bool is_past = (lane & in_group) + delta > in_group;
    return emulator::shuffle(mask, value, is_past ? lane : lane + delta, "__shfl_down_sync", {file, line});
}

template <class T>
GRADUS_EMULATOR_INLINE T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                                        const char* file = __builtin_FILE(), unsigned line = __builtin_LINE()) {
    const unsigned in_group = emulator::last_in_group(width, "__shfl_up_sync", {file, line});
    const unsigned lane = emulator::current_lane();
    const bool is_before = (lane & in_group) < delta;
    return emulator::shuffle(mask, value, is_before ? lane : lane - delta, "__shfl_up_sync", {file, line});
}

}  // namespace gradus::inline GRADUS_ABI::cuda_names
