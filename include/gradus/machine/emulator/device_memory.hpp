// machine/emulator/device_memory.hpp   The memory of the emulated card, which host code cannot touch.
// Problem  A pointer from cudaMalloc means nothing on the host. Code that forgets this crashes on a card; an emulator
//          that took memory from malloc would let it pass.
// Answer   One large range of addresses, in which buffers are cut best-fit. It is readable and writable only while a
//          kernel or a copy runs (DeviceAccess); at all other times a host access faults, and faults.hpp says which
//          buffer it was. What a card leaves to chance is made to show: a new buffer is filled with 0xFF, NaN in every
//          floating-point type, and its address is a multiple of 256 but rarely of more.
// Between buffers lie at least 256 bytes, poisoned under AddressSanitizer, which then finds what runs out of bounds; so
// does the race checker. A freed buffer is poisoned too, until its place is used again.
// Cost     Two mprotect calls for a launch or a copy. Memory is taken from the system as it is used; huge pages make
//          the calls cheap.
#pragma once

#include <map>
#include <mutex>

#include "gradus/machine/emulator/error_codes.hpp"
#include "gradus/machine/emulator/observer.hpp"
#include "gradus/machine/emulator/settings.hpp"
#include "gradus/machine/emulator/shared_memory.hpp"

namespace gradus::inline GRADUS_ABI::emulator {

void install_fault_handler();  // faults.hpp

inline constexpr std::size_t device_memory_bytes = std::size_t{16} << 30;

class DeviceMemory {
public:
    static constexpr std::size_t alignment = 256;
    struct Buffer {
        char* address = nullptr;
        std::size_t bytes = 0;
    };

    // nullptr when the card is full.
    void* allocate(std::size_t bytes) {
        const std::lock_guard lock(mutex_);
        install_fault_handler();  // the host may touch the buffer before anything is launched
        if (base_ == nullptr) reserve();
        const std::size_t size = chunk_bytes(bytes);
        auto best = free_.end();
        for (auto chunk = free_.begin(); chunk != free_.end(); ++chunk)
            if (chunk->second >= size && (best == free_.end() || chunk->second < best->second)) best = chunk;
        std::size_t offset = used_;
        if (best != free_.end()) {
            offset = best->first;
            const std::size_t rest = best->second - size;
            free_.erase(best);
            if (rest > 0) free_[offset + size] = rest;
        } else {
            if (size > device_memory_bytes - used_) return nullptr;
            used_ += size;
            if (!is_protected_) protect(offset, size, PROT_READ | PROT_WRITE);
        }
        buffers_[offset] = bytes;
        live_bytes_ += bytes;
        char* address = base_ + offset;
        forbid(address, size);
        allow(address, bytes);
        if (is_protected_) protect(offset, bytes, PROT_READ | PROT_WRITE);
        std::memset(address, 0xFF, bytes);
        if (is_protected_) protect(offset, bytes, PROT_NONE);
        if (current_observer != nullptr) current_observer->allocated(address, bytes);
        return address;
    }

    // False where no buffer begins at this address.
    bool release(void* pointer) {
        const std::lock_guard lock(mutex_);
        const auto found = buffers_.find(offset_of(pointer));
        if (!contains(pointer) || found == buffers_.end()) return false;
        std::size_t offset = found->first, size = chunk_bytes(found->second);
        live_bytes_ -= found->second;
        forbid(base_ + offset, size);
        buffers_.erase(found);
        auto after = free_.lower_bound(offset);
        if (after != free_.end() && after->first == offset + size) {
            size += after->second;
            after = free_.erase(after);
        }
        if (after != free_.begin() && std::prev(after)->first + std::prev(after)->second == offset) {
            std::prev(after)->second += size;
        } else {
            free_[offset] = size;
        }
        return true;
    }

    // The buffer that holds this address; bytes is 0 where there is none.
    Buffer find(const void* pointer) {
        const std::lock_guard lock(mutex_);
        return find_unlocked(pointer);
    }
    // The same for a signal handler or a checker, while no other thread allocates.
    Buffer find_unlocked(const void* pointer) const {
        if (!contains(pointer)) return {};
        auto next = buffers_.upper_bound(offset_of(pointer));
        if (next == buffers_.begin()) return {};
        --next;
        if (offset_of(pointer) >= next->first + next->second) return {};
        return {base_ + next->first, next->second};
    }
    // The buffer that this address, which may lie in none, is in or nearest to; bytes is 0 where there are no buffers.
    Buffer nearest_unlocked(const void* pointer) const {
        const std::size_t offset = offset_of(pointer);
        const auto next = buffers_.upper_bound(offset);
        auto nearest = next;
        if (next != buffers_.begin()) {
            const auto before = std::prev(next);
            const std::size_t end = before->first + before->second;
            if (next == buffers_.end() || offset < end || offset - end < next->first - offset) nearest = before;
        }
        return nearest == buffers_.end() ? Buffer{} : Buffer{base_ + nearest->first, nearest->second};
    }
    // Has a buffer lain here that was freed, and none since?
    bool is_freed_unlocked(const void* pointer) const {
        const auto next = free_.upper_bound(offset_of(pointer));
        return next != free_.begin() && offset_of(pointer) < std::prev(next)->first + std::prev(next)->second;
    }
    // Do `bytes` bytes from here on lie in one buffer?
    bool holds(const void* pointer, std::size_t bytes) {
        const Buffer buffer = find(pointer);
        if (bytes == 0) return true;
        return buffer.bytes > 0 &&
               bytes <= buffer.bytes - static_cast<std::size_t>(static_cast<const char*>(pointer) - buffer.address);
    }
    bool contains(const void* pointer) const {
        return base_ != nullptr && pointer >= base_ && pointer < base_ + device_memory_bytes;
    }
    std::size_t live_bytes() {
        const std::lock_guard lock(mutex_);
        return live_bytes_;
    }
    const char* base() const { return base_; }

    void open() {
        const std::lock_guard lock(mutex_);
        if (open_++ == 0 && is_protected_ && used_ > 0) protect(0, used_, PROT_READ | PROT_WRITE);
        is_protected_ = false;
    }
    void close() {
        const std::lock_guard lock(mutex_);
        if (--open_ > 0 || !settings().protect_device_memory) return;
        if (used_ > 0) protect(0, used_, PROT_NONE);
        is_protected_ = true;
    }

private:
    static constexpr std::size_t huge_page = std::size_t{2} << 20;  // protection changes whole ones: far cheaper
    static std::size_t chunk_bytes(std::size_t bytes) { return round_up(bytes + alignment, 2 * alignment); }
    std::size_t offset_of(const void* pointer) const {
        return static_cast<std::size_t>(static_cast<const char*>(pointer) - base_);
    }

    void reserve() {
        void* memory = mmap(nullptr, device_memory_bytes + huge_page, PROT_NONE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        GRADUS_CHECK(memory != MAP_FAILED, "emulator: no address space for device memory");
        base_ = reinterpret_cast<char*>(round_up(reinterpret_cast<std::uintptr_t>(memory), huge_page));
#if defined(__linux__)
        madvise(base_, device_memory_bytes, MADV_HUGEPAGE);  // advice: failure is harmless
#endif
        used_ = alignment;  // so that no buffer begins at a rounder address than it may count on
    }
    void protect(std::size_t offset, std::size_t bytes, int protection) {
        const std::size_t begin = offset / huge_page * huge_page;
        mprotect(base_ + begin, round_up(offset + bytes - begin, huge_page), protection);
    }

    std::mutex mutex_;
    char* base_ = nullptr;
    std::size_t used_ = 0, live_bytes_ = 0;  // used_: nothing has ever been allocated beyond
    int open_ = 0;
    bool is_protected_ = true;
    std::map<std::size_t, std::size_t> buffers_, free_;  // offset: bytes
};

inline DeviceMemory& device_memory() {
    static DeviceMemory* const memory = new DeviceMemory;  // never destroyed: static objects may free buffers late
    return *memory;
}

// Host memory from cudaMallocHost, which a card can reach too: address and size.
inline std::map<const char*, std::size_t>& pinned_buffers() {
    static auto* const buffers = new std::map<const char*, std::size_t>;
    return *buffers;
}
inline bool is_pinned(const void* pointer) {
    auto next = pinned_buffers().upper_bound(static_cast<const char*>(pointer));
    if (next == pinned_buffers().begin()) return false;
    --next;
    return pointer < next->first + next->second;
}

// As long as one exists, device memory can be read and written.
struct DeviceAccess {
    DeviceAccess() { device_memory().open(); }
    ~DeviceAccess() { device_memory().close(); }
    DeviceAccess(const DeviceAccess&) = delete;
    DeviceAccess& operator=(const DeviceAccess&) = delete;
};

}  // namespace gradus::inline GRADUS_ABI::emulator
