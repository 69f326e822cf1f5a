// machine/emulator/atomics.hpp   Atomics: read, change and write back as one step. Each returns the value before.
// Programming Guide, "Atomic Functions". The types are those that CUDA has for each function; half and bfloat16 for
// atomicAdd alone. Blocks in flight at the same time run on different threads of the processor, so these are real
// atomic operations. They order nothing else, as in CUDA: that is what __threadfence() is for.
// The order in which threads add is chance, and floating-point sums depend on it: the library's default kernels use no
// floating-point atomics.
#pragma once

#include "gradus/core/half.hpp"
#include "gradus/machine/emulator/diagnosis.hpp"
#include "gradus/machine/emulator/observer.hpp"

namespace gradus::inline GRADUS_ABI::emulator {

template <class T>
concept AtomicInteger = std::same_as<T, int> || std::same_as<T, unsigned> || std::same_as<T, unsigned long long>;
template <class T>  // of the minimum, the maximum and the operations on bits
concept AtomicSignedToo = AtomicInteger<T> || std::same_as<T, long long>;
template <class T>
concept AtomicAddend = AtomicInteger<T> || std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, Half> ||
    std::same_as<T, BFloat16>;

template <std::size_t Bytes>
struct UnsignedOf;
template <>
struct UnsignedOf<2> {
    using type = std::uint16_t;
};
template <>
struct UnsignedOf<4> {
    using type = std::uint32_t;
};
template <>
struct UnsignedOf<8> {
    using type = std::uint64_t;
};

// Threads of a block change at barriers only, and blocks not at all. A thread that waits in a loop of atomics for what
// another is to write waits for ever; on a card, too, unless the other happens to run at the same time. So many atomics
// in a row of one thread, at one address, that change nothing are taken for such a loop. With several blocks in flight
// the other may really come, if late.
inline void notice_unchanged(Block& block, const void* address, Site site) {
    if (block.spins_at != address || block.spinning != block.current) block.spins = 0;
    block.spins_at = address;
    block.spinning = block.current;
    const bool is_alone = settings().blocks_in_flight == 1 || current_observer != nullptr;
    const std::uint64_t most = is_alone ? std::uint64_t{1} << 21 : std::uint64_t{1} << 30;
    if (++block.spins < most) return;
    block.spins = 0;
    fail_in_kernel(text("atomics at ", site, " seem to wait for another thread: ", most,
                        " in a row have changed nothing (a thread may wait at barriers only, and for no other block)"));
}

// Replaces *address by change(*address); tries again where another thread was faster.
template <class T, class Change>
GRADUS_EMULATOR_QUIET inline T update(T* address, const Change& change, Site site) {
    GRADUS_EMULATOR_AT_WORK;
    using Bits = typename UnsignedOf<sizeof(T)>::type;
    tell_access(address, sizeof(T), true, true, site);
    Bits* const word = reinterpret_cast<Bits*>(address);
    Bits before = __atomic_load_n(word, __ATOMIC_RELAXED);
    for (;;) {
        const T value = std::bit_cast<T>(before);
        const Bits after = std::bit_cast<Bits>(change(value));
        if (!__atomic_compare_exchange_n(word, &before, after, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) continue;
        Block* const block = running_block;
        if (block != nullptr && after != before) block->spins = 0;
        if (block != nullptr && after == before) notice_unchanged(*block, address, site);
        return value;
    }
}

GRADUS_EMULATOR_QUIET inline void fence(bool for_device) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (current_observer != nullptr) current_observer->fence(for_device);
}

}  // namespace gradus::inline GRADUS_ABI::emulator

namespace gradus::inline GRADUS_ABI::cuda_names {

template <emulator::AtomicAddend T>
GRADUS_EMULATOR_QUIET T atomicAdd(T* address, std::type_identity_t<T> value, const char* file = __builtin_FILE(),
                                  unsigned line = __builtin_LINE()) {
    return emulator::update(address, [value](T old) { return static_cast<T>(old + value); }, {file, line});
}
// Of a __half2 or __nv_bfloat162: each half is added at once, the two together are not.
template <class T>
requires(std::same_as<T, Half> || std::same_as<T, BFloat16>) GRADUS_EMULATOR_QUIET CudaVector2<T> atomicAdd(
    CudaVector2<T>* address, std::type_identity_t<CudaVector2<T>> value, const char* file = __builtin_FILE(),
    unsigned line = __builtin_LINE()) {
    const T x = atomicAdd(&address->x, value.x, file, line), y = atomicAdd(&address->y, value.y, file, line);
    return {x, y};
}
template <class T>
requires(std::same_as<T, int> || std::same_as<T, unsigned>) GRADUS_EMULATOR_QUIET T
    atomicSub(T* address, std::type_identity_t<T> value, const char* file = __builtin_FILE(),
              unsigned line = __builtin_LINE()) {
    return emulator::update(address, [value](T old) { return static_cast<T>(old - value); }, {file, line});
}
template <class T>
requires(emulator::AtomicInteger<T> || std::same_as<T, float>) GRADUS_EMULATOR_QUIET T
    atomicExch(T* address, std::type_identity_t<T> value, const char* file = __builtin_FILE(),
               unsigned line = __builtin_LINE()) {
    return emulator::update(address, [value](T) { return value; }, {file, line});
}
template <emulator::AtomicSignedToo T>
GRADUS_EMULATOR_QUIET T atomicMin(T* address, std::type_identity_t<T> value, const char* file = __builtin_FILE(),
                                  unsigned line = __builtin_LINE()) {
    return emulator::update(address, [value](T old) { return old < value ? old : value; }, {file, line});
}
template <emulator::AtomicSignedToo T>
GRADUS_EMULATOR_QUIET T atomicMax(T* address, std::type_identity_t<T> value, const char* file = __builtin_FILE(),
                                  unsigned line = __builtin_LINE()) {
    return emulator::update(address, [value](T old) { return old < value ? value : old; }, {file, line});
}
template <emulator::AtomicSignedToo T>
GRADUS_EMULATOR_QUIET T atomicAnd(T* address, std::type_identity_t<T> value, const char* file = __builtin_FILE(),
                                  unsigned line = __builtin_LINE()) {
    return emulator::update(address, [value](T old) { return old & value; }, {file, line});
}
template <emulator::AtomicSignedToo T>
GRADUS_EMULATOR_QUIET T atomicOr(T* address, std::type_identity_t<T> value, const char* file = __builtin_FILE(),
                                 unsigned line = __builtin_LINE()) {
    return emulator::update(address, [value](T old) { return old | value; }, {file, line});
}
template <emulator::AtomicSignedToo T>
GRADUS_EMULATOR_QUIET T atomicXor(T* address, std::type_identity_t<T> value, const char* file = __builtin_FILE(),
                                  unsigned line = __builtin_LINE()) {
    return emulator::update(address, [value](T old) { return old ^ value; }, {file, line});
}
// old >= limit ? 0 : old + 1: a counter that begins again after `limit`.
GRADUS_EMULATOR_QUIET inline unsigned atomicInc(unsigned* address, unsigned limit, const char* file = __builtin_FILE(),
                                                unsigned line = __builtin_LINE()) {
    return emulator::update(address, [limit](unsigned old) { return old >= limit ? 0 : old + 1; }, {file, line});
}
// old == 0 or old > limit ? limit : old - 1: the same downwards.
GRADUS_EMULATOR_QUIET inline unsigned atomicDec(unsigned* address, unsigned limit, const char* file = __builtin_FILE(),
                                                unsigned line = __builtin_LINE()) {
    const auto change = [limit](unsigned old) { return old == 0 || old > limit ? limit : old - 1; };
    return emulator::update(address, change, {file, line});
}
// Writes `value` where `expected` stands.
template <class T>
requires(emulator::AtomicInteger<T> || std::same_as<T, unsigned short>) GRADUS_EMULATOR_QUIET T
    atomicCAS(T* address, std::type_identity_t<T> expected, std::type_identity_t<T> value,
              const char* file = __builtin_FILE(), unsigned line = __builtin_LINE()) {
    return emulator::update(address, [=](T old) { return old == expected ? value : old; }, {file, line});
}

// What this thread wrote before is seen by every thread of the grid that sees what it writes after; with _block, by
// every thread of the block.
GRADUS_EMULATOR_QUIET inline void __threadfence() { emulator::fence(true); }
GRADUS_EMULATOR_QUIET inline void __threadfence_block() { emulator::fence(false); }
GRADUS_EMULATOR_QUIET inline void __threadfence_system() { emulator::fence(true); }

}  // namespace gradus::inline GRADUS_ABI::cuda_names
