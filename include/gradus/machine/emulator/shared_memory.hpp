// machine/emulator/shared_memory.hpp   The memory that the threads of a block share.
//     GRADUS_SHARED(float, tile, [16][17]);               __shared__ float tile[16][17];
//     GRADUS_SHARED_ALIGNED(16, float, tile, [16][16]);   the same, aligned to 16 bytes for float4 loads
//     GRADUS_SHARED(Sums, sums, );                        __shared__ Sums sums;
//     GRADUS_DYNAMIC_SHARED(float, buffer);               extern __shared__ float buffer[];  of launch()'s shared_bytes
// Problem  __shared__ cannot be had in plain C++: an array that is neither a thread's nor the program's.
// Answer   An arena for each block in flight. The first thread that reaches a declaration places the array, the others
//          find it. What a GPU leaves to chance is made to show:
//     - an array is filled with 0xFF for each block, which is NaN in every floating-point type: whoever reads what
//       nobody wrote gets NaN;
//     - an array is aligned to what its type asks for and no better, so that a missing alignment shows;
//     - between arrays lie gaps, poisoned under AddressSanitizer;
//     - around the arena lies memory that nobody may touch: an index that leaves it ends the kernel (faults.hpp).
// A kernel may use 48 KB, static and dynamic together; more after cudaFuncSetAttribute, as on a card.
#pragma once

#include <cstring>
#include <string_view>

#include "gradus/machine/emulator/diagnosis.hpp"

namespace gradus::inline GRADUS_ABI::emulator {

inline constexpr std::size_t arena_bytes = 512 * 1024;
inline constexpr std::size_t arena_guard = 1024 * 1024;
inline constexpr std::size_t arena_gap = 64;
inline constexpr std::size_t static_shared_limit = 48 * 1024;

// What a kernel remembers of its array, so that a thread need not search for it. Void in the next block.
struct SharedSlot {
    std::uint32_t generation;
    void* address;
};

inline std::size_t round_up(std::size_t n, std::size_t unit) { return (n + unit - 1) / unit * unit; }

// Is this address in the arena, or in the guards around it?
inline bool is_near_arena(const Block& block, const void* address) {
    const char* const byte = static_cast<const char*>(address);
    return block.arena != nullptr && byte >= block.arena - arena_guard &&
           byte < block.arena + arena_bytes + arena_guard;
}

// Marks bytes of the arena as forbidden or allowed, for AddressSanitizer.
inline void forbid([[maybe_unused]] char* from, [[maybe_unused]] std::size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
    __asan_poison_memory_region(from, bytes);
#endif
}
inline void allow([[maybe_unused]] char* from, [[maybe_unused]] std::size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(from, bytes);
#endif
}

// A fresh arena for the next block, with its dynamic array in front.
inline void reset_shared_memory(Block& block) {
    if (block.arena == nullptr) {
        void* memory =
            mmap(nullptr, arena_bytes + 2 * arena_guard, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        GRADUS_CHECK(memory != MAP_FAILED, "emulator: no memory for shared memory");
        block.arena = static_cast<char*>(memory) + arena_guard;
        mprotect(block.arena, arena_bytes, PROT_READ | PROT_WRITE);
    }
    static constinit thread_local std::uint32_t generation = 0;  // the slots are this thread's, too
    block.shared_generation = ++generation;
    block.shared_arrays.clear();
    const std::size_t dynamic_bytes = block.launch->dynamic_shared_bytes;
    block.dynamic_shared = block.arena + arena_gap;
    block.arena_used = arena_gap + dynamic_bytes;
    block.static_bytes = 0;
    forbid(block.arena, arena_bytes);
    allow(block.dynamic_shared, dynamic_bytes);
    std::memset(block.dynamic_shared, 0xFF, dynamic_bytes);
    if (dynamic_bytes > 0)
        block.shared_arrays.push_back({"dynamic shared memory", block.dynamic_shared, dynamic_bytes});
}

// Places an array: at a multiple of its alignment, but not of twice that.
GRADUS_EMULATOR_QUIET inline void* place_shared(SharedSlot& slot, const char* name, std::size_t bytes,
                                                std::size_t alignment) {
    const Unobserved guard;
    Block& block = *running_block;
    std::size_t offset = round_up(block.arena_used + arena_gap, alignment);
    if (offset % (2 * alignment) == 0) offset += alignment;
    block.static_bytes += bytes;
    const std::size_t total = block.static_bytes + block.launch->dynamic_shared_bytes;
    if (block.static_bytes > static_shared_limit || total > block.launch->shared_limit ||
        offset + bytes + arena_gap > arena_bytes)
        fail_in_kernel(text("shared memory: ", name, " makes it ", block.static_bytes, " bytes of static and ",
                            block.launch->dynamic_shared_bytes, " of dynamic memory; a block has ",
                            block.launch->shared_limit));
    block.arena_used = offset + bytes;
    allow(block.arena + offset, bytes);
    std::memset(block.arena + offset, 0xFF, bytes);
    block.shared_arrays.push_back({name, block.arena + offset, bytes});
    slot = {block.shared_generation, block.arena + offset};
    return slot.address;
}

GRADUS_EMULATOR_INLINE void* find_shared(SharedSlot& slot, const char* name, std::size_t bytes, std::size_t alignment) {
    if (slot.generation == running_block->shared_generation) [[likely]]
        return slot.address;
    return place_shared(slot, name, bytes, alignment);
}

}  // namespace gradus::inline GRADUS_ABI::emulator

#define GRADUS_SHARED(type, name, ...) GRADUS_SHARED_ALIGNED(alignof(type), type, name, __VA_ARGS__)
#define GRADUS_SHARED_ALIGNED(alignment, type, name, ...)                                 \
    using name##_array = type __VA_ARGS__;                                                \
    static constinit thread_local ::gradus::emulator::SharedSlot name##_slot{0, nullptr}; \
    name##_array& name = *static_cast<name##_array*>(                                     \
        ::gradus::emulator::find_shared(name##_slot, #name, sizeof(name##_array),         \
                                        (alignment) > alignof(name##_array) ? (alignment) : alignof(name##_array)))
#define GRADUS_DYNAMIC_SHARED(type, name) \
    type* const name = reinterpret_cast<type*>(::gradus::emulator::running_block->dynamic_shared)
