// machine/emulator/kernel_memory.hpp   Which memory a kernel may touch besides shared and device memory.
// Problem  A pointer to host memory in a struct that a kernel is given by value, a reference that a functor holds: on a
//          card the kernel dies or reads nonsense. Here the address is good memory of the same program, and all seems
//          well.
// Answer   What is left to a kernel is little: its own stack (a card's local memory, which no other thread sees), its
//          arguments, constants of the program, the emulator's variables such as threadIdx, pinned host memory. All
//          else is the host's. Linux: the dynamic linker knows where constants and thread-local variables lie.
#pragma once

#include <vector>

#include <link.h>

#include "gradus/machine/emulator/device_memory.hpp"
#include "gradus/machine/emulator/race_shadow.hpp"

namespace gradus::inline GRADUS_ABI::emulator {

inline bool is_on_stack_of(const Thread& thread, const char* byte) {
    if (thread.stack == nullptr) return false;
    const char* const bottom = static_cast<const char*>(thread.stack->bottom);
    return byte >= bottom && byte < bottom + thread.stack->bytes;
}

// The program's and its libraries' constants and variables, and those of this operating-system thread.
inline std::vector<Range> static_memory() {
    std::vector<Range> ranges;
    dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* found) {
            for (int i = 0; i < info->dlpi_phnum; ++i) {
                const auto& segment = info->dlpi_phdr[i];
                const char* begin = nullptr;
                if (segment.p_type == PT_LOAD) begin = reinterpret_cast<const char*>(info->dlpi_addr + segment.p_vaddr);
                if (segment.p_type == PT_TLS) begin = static_cast<const char*>(info->dlpi_tls_data);
                if (begin != nullptr) static_cast<std::vector<Range>*>(found)->push_back({begin, segment.p_memsz});
            }
            return 0;
        },
        &ranges);
    return ranges;
}

class KernelMemory {
public:
    bool may_touch(const Block& block, const char* byte) {
        if (is_on_stack_of(block.threads[block.current], byte)) return true;
        if (is_static(byte)) return true;
        const Launch& launch = *block.launch;
        const Range arguments{static_cast<const char*>(launch.arguments), launch.argument_bytes};
        const Range emulator{reinterpret_cast<const char*>(&block), sizeof(Block)};
        if (arguments.holds(byte, 1) || emulator.holds(byte, 1) || is_pinned(byte)) return true;
        ranges_ = static_memory();  // another thread's, or from before a library was loaded
        return is_static(byte);
    }

    // What it is that a kernel may not touch.
    static std::string describe(const Block& block, const char* byte) {
        for (unsigned i = 0; i < block.thread_count; ++i)
            if (is_on_stack_of(block.threads[i], byte))
                return text("a local variable of thread ", block.threads[i].index, ", which only that thread sees");
        return "host memory, which a card does not see";
    }

private:
    // What is asked for often moves to the front.
    bool is_static(const char* byte) {
        for (std::size_t i = 0; i < ranges_.size(); ++i) {
            if (!ranges_[i].holds(byte, 1)) continue;
            if (i > 0) std::swap(ranges_[i], ranges_[i - 1]);
            return true;
        }
        return false;
    }

    std::vector<Range> ranges_;
};

}  // namespace gradus::inline GRADUS_ABI::emulator
