// machine/emulator/vote.hpp   Warp votes: every lane says yes or no, every lane hears the result; who has my value;
// sums.
// Programming Guide, "Warp Vote Functions", "Warp Match Functions", "Warp Reduce Functions". Lanes outside the mask
// count as no.
//     __ballot_sync      a bit for each lane that said yes
//     __any_sync         did one say yes      __all_sync    did all of them say yes
//     __match_any_sync   a bit for each lane whose value is mine, bit for bit
//     __match_all_sync   the mask if all values are the same, else 0; *same tells which
//     __reduce_add_sync  the sum of the lanes' integers, modulo 2^32; __reduce_min_sync, ..._max_sync, ..._and_sync,
//                        ..._or_sync and ..._xor_sync likewise
#pragma once

#include "gradus/machine/emulator/warp.hpp"

namespace gradus::inline GRADUS_ABI::emulator {

GRADUS_EMULATOR_QUIET inline void count_votes(Warp& warp, std::uint32_t arrived) {
    std::uint64_t yes = 0;
    for (unsigned lane = 0; lane < lanes_per_warp; ++lane)
        if ((arrived >> lane & 1) != 0 && warp.given[lane] != 0) yes |= std::uint64_t{1} << lane;
    const std::uint64_t result = yes | std::uint64_t{arrived} << 32;  // who said yes, and who voted
    for (unsigned lane = 0; lane < lanes_per_warp; ++lane)
        if ((arrived >> lane & 1) != 0) warp.taken[lane] = result;
}

GRADUS_EMULATOR_QUIET inline void match_values(Warp& warp, std::uint32_t arrived) {
    for (unsigned lane = 0; lane < lanes_per_warp; ++lane) {
        if ((arrived >> lane & 1) == 0) continue;
        std::uint64_t same = 0;
        for (unsigned other = 0; other < lanes_per_warp; ++other)
            if ((arrived >> other & 1) != 0 && warp.given[other] == warp.given[lane]) same |= std::uint64_t{1} << other;
        warp.taken[lane] = same | std::uint64_t{arrived} << 32;
    }
}

enum class Reduction { add, min, max, bit_and, bit_or, bit_xor };
template <Reduction How, class T>
T reduce_pair(T x, T y) {
    if constexpr (How == Reduction::add) return static_cast<T>(static_cast<unsigned>(x) + static_cast<unsigned>(y));
    if constexpr (How == Reduction::min) return std::min(x, y);
    if constexpr (How == Reduction::max) return std::max(x, y);
    if constexpr (How == Reduction::bit_and) return x & y;
    if constexpr (How == Reduction::bit_or) return x | y;
    if constexpr (How == Reduction::bit_xor) return x ^ y;
}
template <Reduction How, class T>
GRADUS_EMULATOR_QUIET void reduce_values(Warp& warp, std::uint32_t arrived) {
    const unsigned first = static_cast<unsigned>(std::countr_zero(arrived));
    T result = static_cast<T>(warp.given[first]);
    for (unsigned lane = first + 1; lane < lanes_per_warp; ++lane)
        if ((arrived >> lane & 1) != 0) result = reduce_pair<How>(result, static_cast<T>(warp.given[lane]));
    for (unsigned lane = 0; lane < lanes_per_warp; ++lane)
        if ((arrived >> lane & 1) != 0) warp.taken[lane] = static_cast<unsigned>(result);
}
template <class T>
concept Reducible = std::same_as<T, int> || std::same_as<T, unsigned>;

struct Votes {
    unsigned yes, voted;
};
GRADUS_EMULATOR_INLINE Votes vote(unsigned mask, std::uint64_t value, const char* name, Finish finish, Site site) {
    Warp& warp = current_warp();
    const unsigned lane = current_lane();
    warp.given[lane] = value;
    meet(mask, name, finish, site);
    return {static_cast<unsigned>(warp.taken[lane]), static_cast<unsigned>(warp.taken[lane] >> 32)};
}

template <Reduction How, class T>
GRADUS_EMULATOR_INLINE T reduce(unsigned mask, T value, const char* name, Site site) {
    Warp& warp = current_warp();
    const unsigned lane = current_lane();
    warp.given[lane] = static_cast<unsigned>(value);
    meet(mask, name, reduce_values<How, T>, site);
    return static_cast<T>(warp.taken[lane]);
}

template <class T>
GRADUS_EMULATOR_QUIET inline std::uint64_t bits_of(T value) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "a match compares 4 or 8 bytes");
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof(T));
    return bits;
}

}  // namespace gradus::inline GRADUS_ABI::emulator

namespace gradus::inline GRADUS_ABI::cuda_names {

GRADUS_EMULATOR_INLINE unsigned __ballot_sync(unsigned mask, int predicate, const char* file = __builtin_FILE(),
                                              unsigned line = __builtin_LINE()) {
    return emulator::vote(mask, predicate != 0, "__ballot_sync", emulator::count_votes, {file, line}).yes;
}
GRADUS_EMULATOR_INLINE int __any_sync(unsigned mask, int predicate, const char* file = __builtin_FILE(),
                                      unsigned line = __builtin_LINE()) {
    return emulator::vote(mask, predicate != 0, "__any_sync", emulator::count_votes, {file, line}).yes != 0;
}
GRADUS_EMULATOR_INLINE int __all_sync(unsigned mask, int predicate, const char* file = __builtin_FILE(),
                                      unsigned line = __builtin_LINE()) {
    const emulator::Votes votes =
        emulator::vote(mask, predicate != 0, "__all_sync", emulator::count_votes, {file, line});
    return votes.yes == votes.voted;
}
template <class T>
GRADUS_EMULATOR_INLINE unsigned __match_any_sync(unsigned mask, T value, const char* file = __builtin_FILE(),
                                                 unsigned line = __builtin_LINE()) {
    return emulator::vote(mask, emulator::bits_of(value), "__match_any_sync", emulator::match_values, {file, line}).yes;
}
template <class T>
GRADUS_EMULATOR_INLINE unsigned __match_all_sync(unsigned mask, T value, int* same, const char* file = __builtin_FILE(),
                                                 unsigned line = __builtin_LINE()) {
    const emulator::Votes votes =
        emulator::vote(mask, emulator::bits_of(value), "__match_all_sync", emulator::match_values, {file, line});
    *same = votes.yes == votes.voted;
    return *same != 0 ? mask : 0;
}
template <emulator::Reducible T>
GRADUS_EMULATOR_INLINE T __reduce_add_sync(unsigned mask, T value, const char* file = __builtin_FILE(),
                                           unsigned line = __builtin_LINE()) {
    return emulator::reduce<emulator::Reduction::add>(mask, value, "__reduce_add_sync", {file, line});
}
template <emulator::Reducible T>
GRADUS_EMULATOR_INLINE T __reduce_min_sync(unsigned mask, T value, const char* file = __builtin_FILE(),
                                           unsigned line = __builtin_LINE()) {
    return emulator::reduce<emulator::Reduction::min>(mask, value, "__reduce_min_sync", {file, line});
}
template <emulator::Reducible T>
GRADUS_EMULATOR_INLINE T __reduce_max_sync(unsigned mask, T value, const char* file = __builtin_FILE(),
                                           unsigned line = __builtin_LINE()) {
    return emulator::reduce<emulator::Reduction::max>(mask, value, "__reduce_max_sync", {file, line});
}
GRADUS_EMULATOR_INLINE unsigned __reduce_and_sync(unsigned mask, unsigned value, const char* file = __builtin_FILE(),
                                                  unsigned line = __builtin_LINE()) {
    return emulator::reduce<emulator::Reduction::bit_and>(mask, value, "__reduce_and_sync", {file, line});
}
GRADUS_EMULATOR_INLINE unsigned __reduce_or_sync(unsigned mask, unsigned value, const char* file = __builtin_FILE(),
                                                 unsigned line = __builtin_LINE()) {
    return emulator::reduce<emulator::Reduction::bit_or>(mask, value, "__reduce_or_sync", {file, line});
}
GRADUS_EMULATOR_INLINE unsigned __reduce_xor_sync(unsigned mask, unsigned value, const char* file = __builtin_FILE(),
                                                  unsigned line = __builtin_LINE()) {
    return emulator::reduce<emulator::Reduction::bit_xor>(mask, value, "__reduce_xor_sync", {file, line});
}

}  // namespace gradus::inline GRADUS_ABI::cuda_names
