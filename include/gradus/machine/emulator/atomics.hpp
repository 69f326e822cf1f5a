// machine/emulator/atomics.hpp   Atomics: read, change and write back as one step. Each returns the value before.
// Programming Guide, "Atomic Functions". The types are those that CUDA has for each function; half and bfloat16 for
// atomicAdd alone. Blocks in flight at the same time run on different threads of the processor, so these are real
// atomic operations. They order nothing else, as in CUDA: that is what __threadfence() is for.
// The order in which threads add is chance, and floating-point sums depend on it: the library's default kernels use no
// floating-point atomics.
#pragma once

#include "gradus/core/half.hpp"
#include "gradus/machine/emulator/observer.hpp"

namespace gradus::inline GRADUS_ABI::emulator {

template <class T>
concept AtomicInteger = std::same_as<T, int> || std::same_as<T, unsigned> || std::same_as<T, unsigned long long>;
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

// Replaces *address by change(*address); tries again where another thread was faster.
template <class T, class Change>
GRADUS_EMULATOR_QUIET inline T update(T* address, const Change& change, Site site) {
    using Bits = typename UnsignedOf<sizeof(T)>::type;
    tell_access(address, sizeof(T), true, true, site);
    Bits* const word = reinterpret_cast<Bits*>(address);
    Bits before = __atomic_load_n(word, __ATOMIC_RELAXED);
    for (;;) {
        const T value = std::bit_cast<T>(before);
        const Bits after = std::bit_cast<Bits>(change(value));
        if (__atomic_compare_exchange_n(word, &before, after, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) return value;
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
template <emulator::AtomicInteger T>
GRADUS_EMULATOR_QUIET T atomicMin(T* address, std::type_identity_t<T> value, const char* file = __builtin_FILE(),
                                  unsigned line = __builtin_LINE()) {
    return emulator::update(address, [value](T old) { return old < value ? old : value; }, {file, line});
}
template <emulator::AtomicInteger T>
GRADUS_EMULATOR_QUIET T atomicMax(T* address, std::type_identity_t<T> value, const char* file = __builtin_FILE(),
                                  unsigned line = __builtin_LINE()) {
    return emulator::update(address, [value](T old) { return old < value ? value : old; }, {file, line});
}
template <emulator::AtomicInteger T>
GRADUS_EMULATOR_QUIET T atomicAnd(T* address, std::type_identity_t<T> value, const char* file = __builtin_FILE(),
                                  unsigned line = __builtin_LINE()) {
    return emulator::update(address, [value](T old) { return old & value; }, {file, line});
}
template <emulator::AtomicInteger T>
GRADUS_EMULATOR_QUIET T atomicOr(T* address, std::type_identity_t<T> value, const char* file = __builtin_FILE(),
                                 unsigned line = __builtin_LINE()) {
    return emulator::update(address, [value](T old) { return old | value; }, {file, line});
}
template <emulator::AtomicInteger T>
GRADUS_EMULATOR_QUIET T atomicXor(T* address, std::type_identity_t<T> value, const char* file = __builtin_FILE(),
                                  unsigned line = __builtin_LINE()) {
    return emulator::update(address, [value](T old) { return old ^ value; }, {file, line});
}
// old >= limit ? 0 : old + 1: a counter that begins again after `limit`.
GRADUS_EMULATOR_QUIET inline unsigned atomicInc(unsigned* address, unsigned limit, const char* file = __builtin_FILE(),
                                                unsigned line = __builtin_LINE()) {
    return emulator::update(address, [limit](unsigned old) { return old >= limit ? 0 : old + 1; }, {file, line});
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
