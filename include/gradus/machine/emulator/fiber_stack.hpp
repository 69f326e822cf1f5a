// machine/emulator/fiber_stack.hpp   Stacks for fibers: cheap to have a thousand of, safe to overflow.
// Problem  A block of 1024 threads that meet at a barrier needs 1024 stacks at once.
// Answer   Reserve address space and let the operating system add memory page by page where a fiber really writes:
//          a kernel's frame is small, so that a stack of 64 KB costs one page or two. Below each stack lies a page that
//          nobody may touch: a kernel whose local arrays are too large stops with a clear message (faults.hpp) instead
//          of writing into its neighbour. Stacks are used again, the one used last first, while it is in the cache.
// The tops are staggered: were they all a multiple of 4096, the hot ends of all stacks would compete for the same few
// lines of the first-level cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include "gradus/core/check.hpp"
#include "gradus/machine/emulator/keywords.hpp"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace gradus::inline GRADUS_ABI::emulator {

struct FiberStack {
    void* bottom;        // the lowest address that may be used; the guard page ends here
    std::size_t bytes;   // from there up
    std::uintptr_t top;  // where a fiber begins
};

class FiberStacks {
public:
    explicit FiberStacks(std::size_t bytes) : bytes_(round_up(bytes, page())) {}
    FiberStacks(const FiberStacks&) = delete;
    FiberStacks& operator=(const FiberStacks&) = delete;
    ~FiberStacks() {
        for (char* group : groups_) munmap(group, group_size * (bytes_ + page()));
    }

    FiberStack* take() {
        if (free_.empty()) add_group();
        FiberStack* stack = free_.back();
        free_.pop_back();
        return stack;
    }
    void give_back(FiberStack* stack) { free_.push_back(stack); }
    std::size_t bytes() const { return bytes_; }

    // Is this address in the guard page of one of the stacks? Called from a signal handler: only reads.
    bool is_guard(const void* address) const {
        const char* byte = static_cast<const char*>(address);
        for (const char* group : groups_)
            if (byte >= group && byte < group + group_size * (bytes_ + page()))
                return static_cast<std::size_t>(byte - group) % (bytes_ + page()) < page();
        return false;
    }

private:
    static constexpr std::size_t group_size = 32;
    static std::size_t page() {
        static const std::size_t bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
        return bytes;
    }
    static std::size_t round_up(std::size_t n, std::size_t unit) { return (n + unit - 1) / unit * unit; }

    void add_group() {
        const std::size_t stride = page() + bytes_;  // guard, stack, guard, stack, ...
        void* memory = mmap(nullptr, group_size * stride, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        GRADUS_CHECK(memory != MAP_FAILED, "emulator: no memory for the stacks of a block");
        char* group = static_cast<char*>(memory);
        groups_.push_back(group);
        for (std::size_t i = group_size; i-- > 0;) {  // the last one pushed, 0, is taken first
            char* bottom = group + i * stride + page();
            mprotect(bottom - page(), page(), PROT_NONE);
            const std::size_t stagger = (all_.size() % 16) * 256;  // 16 * 256 = 4096
            const auto top = reinterpret_cast<std::uintptr_t>(bottom) + bytes_ - stagger;
            all_.push_back(std::make_unique<FiberStack>(FiberStack{bottom, bytes_, top}));
            free_.push_back(all_.back().get());
        }
    }

    std::size_t bytes_;
    std::vector<char*> groups_;
    std::vector<std::unique_ptr<FiberStack>> all_;
    std::vector<FiberStack*> free_;
};

}  // namespace gradus::inline GRADUS_ABI::emulator
