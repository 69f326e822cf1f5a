// core/allocator.hpp   Host memory: a caching allocator that counts what lives.
// Problem  A training step allocates and frees the same few hundred buffers again and again. malloc hands large ones
//          back to the operating system, and each return costs page faults (PyTorch's step runs 20-50% slower without
//          tuned malloc).
// Answer   Take memory from the system in large arenas, keep what is freed, split and join free chunks (best fit:
//          Knuth, The Art of Computer Programming, vol. 1, 2.5). Every buffer is 64-byte aligned, a vector register,
//          and is followed by at least 64 readable bytes, so that a vector load may run past the last element.
// Cost     O(log free chunks) an allocation, one lock. Under AddressSanitizer every buffer comes from the system
//          instead, so that use after free and overflows are found.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <set>
#include <type_traits>
#include <utility>

#include "gradus/core/device.hpp"
#include "gradus/core/mutex.hpp"
#include "gradus/core/shape.hpp"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace gradus::inline GRADUS_ABI {

struct MemoryStats {
    std::size_t live_bytes = 0;      // asked for and not yet freed
    std::size_t peak_bytes = 0;      // the largest live_bytes since the start or reset_peak
    std::size_t reserved_bytes = 0;  // taken from the operating system
};

class HostAllocator {
public:
    static constexpr std::size_t alignment = 64;
    static constexpr std::size_t slack = 64;

    void* allocate(std::size_t bytes) {
        const Lock lock(mutex_);
        void* data = take(bytes);
        stats_.live_bytes += bytes;  // only now: there may have been no memory
        stats_.peak_bytes = std::max(stats_.peak_bytes, stats_.live_bytes);
        return data;
    }

    void release(void* data, std::size_t bytes) {
        const Lock lock(mutex_);
        stats_.live_bytes -= bytes;
#if defined(__SANITIZE_ADDRESS__)
        std::free(data);
#else
        Chunk* chunk = static_cast<Chunk*>(data) - 1;
        if (chunk->after && chunk->after->is_free) {
            free_.erase({chunk->after->size, chunk->after});
            join_with_next(chunk);
        }
        if (chunk->before && chunk->before->is_free) {
            chunk = chunk->before;
            free_.erase({chunk->size, chunk});
            join_with_next(chunk);
        }
        chunk->is_free = true;
        free_.insert({chunk->size, chunk});
#endif
    }

    MemoryStats stats() {
        const Lock lock(mutex_);
        return stats_;
    }
    void reset_peak() {
        const Lock lock(mutex_);
        stats_.peak_bytes = stats_.live_bytes;
    }

private:
    static constexpr std::size_t huge_page = std::size_t{2} << 20;
    static constexpr std::size_t arena_bytes = std::size_t{32} << 20;

    // The header in front of every buffer. Chunks of one arena are neighbours in memory, linked in that order.
    struct alignas(64) Chunk {
        std::size_t size;  // with this header
        Chunk* before;
        Chunk* after;
        bool is_free;
    };

    static std::size_t round_up(std::size_t n, std::size_t unit) { return (n + unit - 1) / unit * unit; }

    static void* from_system(std::size_t align, std::size_t bytes) {
        void* memory = std::aligned_alloc(align, bytes);
        GRADUS_CHECK(memory != nullptr, "allocate: out of memory, asked for ", bytes, " bytes");
        return memory;
    }

    void* take(std::size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
        return from_system(alignment, round_up(bytes + slack, alignment));
#else
        const std::size_t size = round_up(bytes + slack, alignment) + sizeof(Chunk);
        auto best = free_.lower_bound({size, nullptr});
        Chunk* chunk = best == free_.end() ? new_arena(size) : best->second;
        if (best != free_.end()) free_.erase(best);
        split(chunk, size);
        chunk->is_free = false;
        return chunk + 1;
#endif
    }

    Chunk* new_arena(std::size_t at_least) {
        const std::size_t bytes = round_up(std::max(at_least, arena_bytes), huge_page);
        void* memory = from_system(huge_page, bytes);
#if defined(__linux__)
        madvise(memory, bytes, MADV_HUGEPAGE);  // fewer page faults and TLB misses; only advice, so failure is harmless
#endif
        stats_.reserved_bytes += bytes;
        return new (memory) Chunk{bytes, nullptr, nullptr, false};
    }

    // Cuts a chunk down to `size`; the rest becomes a free chunk of its own where it is worth a header.
    void split(Chunk* chunk, std::size_t size) {
        if (chunk->size < size + sizeof(Chunk) + alignment) return;
        void* behind = reinterpret_cast<std::byte*>(chunk) + size;
        Chunk* rest = new (behind) Chunk{chunk->size - size, chunk, chunk->after, true};
        if (rest->after) rest->after->before = rest;
        chunk->after = rest;
        chunk->size = size;
        free_.insert({rest->size, rest});
    }

    static void join_with_next(Chunk* chunk) {
        Chunk* next = chunk->after;
        chunk->size += next->size;
        chunk->after = next->after;
        if (chunk->after) chunk->after->before = chunk;
    }

    Mutex mutex_;
    MemoryStats stats_;
    std::set<std::pair<std::size_t, Chunk*>> free_;  // by size, then by address: the first that fits is the best fit
};

// The one allocator of the process. Leaked on purpose: buffers of static objects may be freed after main has returned.
inline HostAllocator& host_allocator() {
    static HostAllocator* const allocator = new HostAllocator;
    return *allocator;
}

// What core asks of a device, as overloads on its tag.
inline void* allocate_bytes(Cpu, std::size_t bytes) { return host_allocator().allocate(bytes); }
inline void* allocate_bytes(Reference, std::size_t bytes) { return host_allocator().allocate(bytes); }
inline void release_bytes(Cpu, void* data, std::size_t bytes) { host_allocator().release(data, bytes); }
inline void release_bytes(Reference, void* data, std::size_t bytes) { host_allocator().release(data, bytes); }
inline MemoryStats memory_stats(Cpu) { return host_allocator().stats(); }
inline MemoryStats memory_stats(Reference) { return host_allocator().stats(); }
inline void reset_peak_memory(Cpu) { host_allocator().reset_peak(); }
inline void reset_peak_memory(Reference) { host_allocator().reset_peak(); }

// Scratch memory of a host kernel: `count` uninitialised elements, given back at the end of the scope.
template <class T>
class HostBuffer {
    static_assert(std::is_trivially_copyable_v<T>);

public:
    explicit HostBuffer(Index count)
        : bytes_(static_cast<std::size_t>(count) * sizeof(T)),
          data_(static_cast<T*>(host_allocator().allocate(bytes_))) {}
    ~HostBuffer() { host_allocator().release(data_, bytes_); }
    HostBuffer(const HostBuffer&) = delete;
    HostBuffer& operator=(const HostBuffer&) = delete;
    T* data() const { return data_; }

private:
    std::size_t bytes_;
    T* data_;
};

}  // namespace gradus::inline GRADUS_ABI
