// machine/emulator/racecheck.cpp   The race checker itself: the functions that instrumented kernels call.
// race_checker.hpp says what it is and how to build with it. This file is compiled without -fsanitize=thread: a checker
// must not check itself. (Inline functions that it shares with instrumented code may be instrumented all the same; the
// flag is_unobserved keeps them out.)
#include <cstdio>

#include "gradus/machine/emulator/access_counts.hpp"
#include "gradus/machine/emulator/emulator.hpp"
#include "gradus/machine/emulator/kernel_memory.hpp"
#include "gradus/machine/emulator/race_checker.hpp"
#include "gradus/machine/emulator/race_reports.hpp"
#include "gradus/machine/emulator/race_shadow.hpp"

namespace gradus::inline GRADUS_ABI::emulator {

namespace {

class RaceChecker final : public Observer {
public:
    RaceChecker() {
        device_shadow_.cover(device_memory_bytes);
        device_written_.cover(device_memory_bytes);
        shared_shadow_.cover(arena_bytes);
        shared_written_.cover(arena_bytes);
        current_observer = this;
    }
    ~RaceChecker() {
        current_observer = nullptr;
        if (!counts_.empty() && settings().print_counts) std::fputs(table_of(counts_).c_str(), stdout);
    }

    // The instrumented accesses.
    void access(const void* address, std::size_t bytes, bool is_write, bool is_atomic, std::uint32_t place,
                bool may_have_padding = false) {
        Block& block = *running_block;
        const char* const byte = static_cast<const char*>(address);
        const bool is_shared = is_near_arena(block, byte), is_foreign = !is_shared && !device_memory().contains(byte);
        if (is_foreign && kernel_memory_.may_touch(block, byte)) return;
        const unsigned lane = block.current % lanes_per_warp, warp = block.current / lanes_per_warp;
        AccessRecord now;
        now.block = order_.current_block();
        now.epoch = block.epoch;
        now.tick = order_.tick();
        now.place = place;
        now.thread = static_cast<std::uint16_t>(block.current);
        now.is_atomic = is_atomic;
        if (is_foreign) return reports_.add_foreign(block, byte, now, is_write);
        if (!is_inside(block, byte, bytes, is_shared))
            return reports_.add("out of bounds", byte, now, is_write, nullptr);
        if ((bytes & (bytes - 1)) == 0 && reinterpret_cast<std::uintptr_t>(byte) % bytes != 0)
            reports_.add("misaligned access", byte, now, is_write, nullptr);
        warps_[warp].add(place, lane, reinterpret_cast<std::uintptr_t>(byte), static_cast<unsigned>(bytes), is_write,
                         is_shared);

        const std::size_t offset = static_cast<std::size_t>(byte - (is_shared ? block.arena : device_memory().base()));
        WrittenBytes& written = is_shared ? shared_written_ : device_written_;
        if ((!is_write || is_atomic) && !(may_have_padding ? written.some(offset, bytes) : written.all(offset, bytes)))
            reports_.add("read of memory that nobody has written", byte, now, false, nullptr);
        if (is_write) written.set(offset, bytes, true);
        for (std::size_t at = offset; at < offset + bytes;) {  // word by word
            const std::size_t in_word = at % 4, count = std::min(4 - in_word, offset + bytes - at);
            now.bytes = static_cast<std::uint8_t>(((1u << count) - 1) << in_word);
            ShadowCell& cell = (is_shared ? shared_shadow_ : device_shadow_).cell(at / 4);
            Conflict conflict;
            if (compare_and_remember(cell, now, is_write, is_shared, order_, conflict))
                reports_.add("race", byte + (at - offset), now, is_write, &conflict);
            at += count;
        }
        if (is_atomic) order_.atomic(block.current, address);
    }

    // A basic block of the kernel begins.
    void branch(std::uint32_t place) {
        const unsigned thread = running_block->current;
        branches_[thread / lanes_per_warp].add(place, thread % lanes_per_warp);
    }

    void launch_begins(const Launch& launch) override {
        const Unobserved guard;
        order_.launch_begins();
        reports_.launch_begins();
        const auto known = numbers_.insert({launch.kernel, counts_.size()});
        if (known.second) counts_.emplace_back().kernel = kernel_name(launch.kernel);
        current_counts_ = known.first->second;
        ++counts_[current_counts_].launches;
    }
    std::string launch_ends(const Launch& launch) override {
        const Unobserved guard;
        return reports_.of_launch(launch);
    }
    void block_begins(Block& block) override {
        const Unobserved guard;
        order_.block_begins();
        reports_.block_begins(order_.current_block(), block.linear_index);
        shared_written_.set(0, arena_bytes, false);
        last_device_ = {};
        last_shared_ = {};
    }
    void block_ends(Block& block) override {
        const Unobserved guard;
        if (block.error != nullptr) reports_.kernel_has_failed();
        for (unsigned w = 0; w < block.warp_count; ++w) flush(block, w);
    }
    void allocated(const char* buffer, std::size_t bytes) override {
        const Unobserved guard;
        device_written_.set(static_cast<std::size_t>(buffer - device_memory().base()), bytes, false);
    }
    void written(const void* address, std::size_t bytes) override {
        const Unobserved guard;
        if (!device_memory().contains(address)) return;
        device_written_.set(static_cast<std::size_t>(static_cast<const char*>(address) - device_memory().base()), bytes,
                            true);
    }
    void undefined(const void* address, std::size_t bytes) override {
        const Unobserved guard;
        const Block& block = *running_block;
        const char* const byte = static_cast<const char*>(address);
        if (is_near_arena(block, byte)) shared_written_.set(static_cast<std::size_t>(byte - block.arena), bytes, false);
    }
    bool was_written(const void* address, std::size_t bytes) override {
        const Unobserved guard;
        if (!device_memory().contains(address)) return true;
        return device_written_.all(static_cast<std::size_t>(static_cast<const char*>(address) - device_memory().base()),
                                   bytes);
    }
    void fence(bool for_device) override {
        const Unobserved guard;
        order_.fence(running_block->current, for_device);
    }
    void accessed(const void* address, std::size_t bytes, bool is_write, bool is_atomic, Site site) override {
        const Unobserved guard;
        access(address, bytes, is_write, is_atomic, reports_.places().of_site(site));
    }
    void misused(const std::string& what, unsigned thread, Site site) override {
        const Unobserved guard;
        reports_.add_misuse(what, thread, site);
    }
    void lanes_met(Block& block, unsigned warp, std::uint32_t lanes) override {
        const Unobserved guard;
        if (lanes == block.warps[warp].live) flush(block, warp);
    }
    void memory_ordered(unsigned warp, std::uint32_t lanes) override {
        const Unobserved guard;
        order_.lanes_met(warp, lanes);
    }
    void block_met(Block& block) override {
        const Unobserved guard;
        block_ends(block);
        order_.block_met();
    }

    std::vector<KernelCounts> take_counts() {
        numbers_.clear();
        return std::exchange(counts_, {});
    }
    std::uint32_t place_of(const void* return_address) { return reports_.places().of_instruction(return_address); }

private:
    KernelCounts& counts_of_kernel() { return counts_[current_counts_]; }
    void flush(const Block& block, unsigned warp) {
        warps_[warp].flush(lanes_of(block, warp), counts_of_kernel());
        branches_[warp].flush(lanes_of(block, warp), counts_of_kernel());
    }
    static unsigned lanes_of(const Block& block, unsigned warp) {
        return std::min(lanes_per_warp, block.thread_count - warp * lanes_per_warp);
    }

    // The array or buffer hit last comes first: most accesses are to the same few.
    bool is_inside(const Block& block, const char* byte, std::size_t bytes, bool is_shared) {
        Range& last = is_shared ? last_shared_ : last_device_;
        if (last.holds(byte, bytes)) return true;
        if (is_shared) {
            for (const SharedArray& array : block.shared_arrays)
                if (Range{array.address, array.bytes}.holds(byte, bytes)) last = {array.address, array.bytes};
        } else {
            const DeviceMemory::Buffer buffer = device_memory().find_unlocked(byte);
            last = {buffer.address, buffer.bytes};
        }
        return last.holds(byte, bytes);
    }

    HappenedBefore order_;
    Shadow device_shadow_, shared_shadow_;
    WrittenBytes device_written_, shared_written_;
    Range last_device_, last_shared_;
    WarpAccesses warps_[most_warps];
    WarpBranches branches_[most_warps];
    std::vector<KernelCounts> counts_;
    std::map<const void*, std::size_t> numbers_;  // of kernels in counts_
    std::size_t current_counts_ = 0;
    KernelMemory kernel_memory_;
    RaceReports reports_;
};

RaceChecker checker;

// What every instrumented access comes to. Outside of kernels, and inside the checker, it is of no interest.
void observe(const void* address, std::size_t bytes, bool is_write, const void* return_address,
             bool may_have_padding = false) {
    if (running_block == nullptr || is_unobserved || current_observer == nullptr) return;
    const Unobserved guard;
    checker.access(address, bytes, is_write, false, checker.place_of(return_address), may_have_padding);
}

void observe_branch(const void* return_address) {
    if (running_block == nullptr || is_unobserved || current_observer == nullptr) return;
    const Unobserved guard;
    checker.branch(checker.place_of(return_address));
}

// A copy of a struct or of many bytes, in pieces as a card moves them: of at most 16 bytes, and of no more than size
// and address are multiples of. Between a struct's members may lie bytes that nobody writes.
void observe_range(const void* address, std::size_t bytes, bool is_write, const void* return_address) {
    const std::uintptr_t multiples = reinterpret_cast<std::uintptr_t>(address) | bytes | 16;
    const std::size_t piece = std::size_t{1} << std::countr_zero(multiples);
    for (std::size_t at = 0; at < bytes; at += piece)
        observe(static_cast<const char*>(address) + at, piece, is_write, return_address, true);
}
// 16 bytes at once: no type of C++ but a struct, which may be aligned to 8 (those aligned to 16 by CUDA's or Gradus'
// own types come to gradus_observe_copy).
void observe_16(const void* address, bool is_write, const void* return_address) {
    if (reinterpret_cast<std::uintptr_t>(address) % 8 == 0) return observe_range(address, 16, is_write, return_address);
    observe(address, 16, is_write, return_address);
}

}  // namespace

void require_race_checker() {}
std::vector<KernelCounts> take_kernel_counts() { return checker.take_counts(); }

}  // namespace gradus::inline GRADUS_ABI::emulator

// The functions that the compiler calls, named as in its sanitizer's library (compiler-rt, tsan_interface.h).
using gradus::emulator::observe;
using gradus::emulator::observe_16;
using gradus::emulator::observe_branch;
using gradus::emulator::observe_range;

// Where the compiler does not know the address to be aligned, it has put the members of a struct together.
#define GRADUS_UNALIGNED_ACCESSES_OF(bytes)                                                                     \
    void __tsan_unaligned_read##bytes(void* p) { observe_range(p, bytes, false, __builtin_return_address(0)); } \
    void __tsan_unaligned_write##bytes(void* p) { observe_range(p, bytes, true, __builtin_return_address(0)); }
#define GRADUS_ACCESSES_OF(bytes)                                                                        \
    void __tsan_read##bytes(void* p) { observe(p, bytes, false, __builtin_return_address(0)); }          \
    void __tsan_write##bytes(void* p) { observe(p, bytes, true, __builtin_return_address(0)); }          \
    void __tsan_volatile_read##bytes(void* p) { observe(p, bytes, false, __builtin_return_address(0)); } \
    void __tsan_volatile_write##bytes(void* p) { observe(p, bytes, true, __builtin_return_address(0)); } \
    GRADUS_UNALIGNED_ACCESSES_OF(bytes)

// Copies of structs and arrays. Newer versions of clang call __tsan_memcpy and its like; clang 14 and g++ call memcpy
// itself, so the whole program's is replaced here. The work is left to the functions of glibc that a program with
// _FORTIFY_SOURCE calls instead. Their last argument, the size of the target, is given as larger than any: where it is
// the number of bytes, clang turns the call into one of memmove, which stands here.
extern "C" void* libc_memmove(void*, const void*, std::size_t, std::size_t size_of_target) asm("__memmove_chk");
extern "C" void* libc_memset(void*, int, std::size_t, std::size_t size_of_target) asm("__memset_chk");
#define GRADUS_COPIES(copy, move, set)                                    \
    void* copy(void* target, const void* source, std::size_t bytes) {     \
        observe_range(source, bytes, false, __builtin_return_address(0)); \
        observe_range(target, bytes, true, __builtin_return_address(0));  \
        return libc_memmove(target, source, bytes, PTRDIFF_MAX);          \
    }                                                                     \
    void* move(void* target, const void* source, std::size_t bytes) {     \
        observe_range(source, bytes, false, __builtin_return_address(0)); \
        observe_range(target, bytes, true, __builtin_return_address(0));  \
        return libc_memmove(target, source, bytes, PTRDIFF_MAX);          \
    }                                                                     \
    void* set(void* target, int value, std::size_t bytes) {               \
        observe_range(target, bytes, true, __builtin_return_address(0));  \
        return libc_memset(target, value, bytes, PTRDIFF_MAX);            \
    }

// Atomic operations of host code that was instrumented too, for example of the thread pool: done, not checked. Those of
// kernels go through atomics.hpp.
#define GRADUS_ATOMICS_OF(bits, T)                                                                                    \
    T __tsan_atomic##bits##_load(const volatile T* p, int) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }           \
    void __tsan_atomic##bits##_store(volatile T* p, T v, int) { __atomic_store_n(p, v, __ATOMIC_SEQ_CST); }           \
    T __tsan_atomic##bits##_exchange(volatile T* p, T v, int) { return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST); } \
    T __tsan_atomic##bits##_fetch_add(volatile T* p, T v, int) { return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST); } \
    T __tsan_atomic##bits##_fetch_sub(volatile T* p, T v, int) { return __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST); } \
    T __tsan_atomic##bits##_fetch_and(volatile T* p, T v, int) { return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST); } \
    T __tsan_atomic##bits##_fetch_or(volatile T* p, T v, int) { return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST); }   \
    T __tsan_atomic##bits##_fetch_xor(volatile T* p, T v, int) { return __atomic_fetch_xor(p, v, __ATOMIC_SEQ_CST); } \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile T* p, T* c, T v, int, int) {                           \
        return __atomic_compare_exchange_n(p, c, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                       \
    }                                                                                                                 \
    int __tsan_atomic##bits##_compare_exchange_weak(volatile T* p, T* c, T v, int, int) {                             \
        return __atomic_compare_exchange_n(p, c, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                       \
    }                                                                                                                 \
    T __tsan_atomic##bits##_compare_exchange_val(volatile T* p, T c, T v, int, int) {                                 \
        __atomic_compare_exchange_n(p, &c, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                             \
        return c;                                                                                                     \
    }

extern "C" {
void __sanitizer_cov_trace_pc() { observe_branch(__builtin_return_address(0)); }
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_read_range(void* p, std::size_t bytes) { observe_range(p, bytes, false, __builtin_return_address(0)); }
void __tsan_write_range(void* p, std::size_t bytes) { observe_range(p, bytes, true, __builtin_return_address(0)); }
void gradus_observe_copy(const void* target, const void* source, std::size_t bytes, const void* caller) {
    for (std::size_t at = 0; at < bytes; at += 16) {  // vectors of more than 16 bytes are multiples of 16
        observe(static_cast<const char*>(source) + at, std::min<std::size_t>(bytes, 16), false, caller);
        observe(static_cast<const char*>(target) + at, std::min<std::size_t>(bytes, 16), true, caller);
    }
}
GRADUS_COPIES(__tsan_memcpy, __tsan_memmove, __tsan_memset)
#if defined(__GLIBC__)
GRADUS_COPIES(memcpy, memmove, memset)
#endif
void __tsan_atomic_thread_fence(int) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
void __tsan_atomic_signal_fence(int) {}
GRADUS_ACCESSES_OF(1)
GRADUS_ACCESSES_OF(2)
GRADUS_ACCESSES_OF(4)
GRADUS_ACCESSES_OF(8)
void __tsan_read16(void* p) { observe_16(p, false, __builtin_return_address(0)); }
void __tsan_write16(void* p) { observe_16(p, true, __builtin_return_address(0)); }
GRADUS_UNALIGNED_ACCESSES_OF(16)
GRADUS_ATOMICS_OF(8, std::uint8_t)
GRADUS_ATOMICS_OF(16, std::uint16_t)
GRADUS_ATOMICS_OF(32, std::uint32_t)
GRADUS_ATOMICS_OF(64, std::uint64_t)
}
