// machine/emulator/fiber.hpp   A function that can stop in the middle and continue later: one for each CUDA thread.
// Problem  All threads of a block must reach __syncthreads() before one of them may pass it. With an operating-system
//          thread for each CUDA thread, a barrier of 256 threads would be 256 sleeps and wake-ups.
// Answer   Fibers (Conway 1963 called them coroutines): each has a stack of its own, and one operating-system thread
//          runs them in turn. To go from one to the next is to exchange the stack pointer, the frame pointer and the
//          place in the code: a few nanoseconds.
// How      switch_fiber is assembly inside an inline function. It stores those three registers of the fiber that leaves
//          and loads those of the fiber that continues. Of all the other registers it says that their contents are lost
//          ("clobbered"), so the compiler itself saves the few that it still needs. It touches no memory below the
//          stack pointer and ends in a jump: returns stay in step with their calls, as the processor expects.
// Under AddressSanitizer every switch is announced, because it keeps books about each stack.
#pragma once

#include <cstddef>
#include <cstdint>

#include "gradus/machine/emulator/fiber_stack.hpp"
#include "gradus/machine/emulator/keywords.hpp"

namespace gradus::inline GRADUS_ABI::emulator {

struct Fiber {
    void* stack_pointer = nullptr;
    void* frame_pointer = nullptr;
    void (*resume_at)() = nullptr;
    FiberStack* stack = nullptr;  // none before the start, after the end, and for the launching thread's own fiber
#if defined(__SANITIZE_ADDRESS__)
    void* sanitizer_state = nullptr;
    const void* stack_bottom = nullptr;
    std::size_t stack_size = 0;
#endif
};

#if defined(__x86_64__)

#if defined(__AVX512F__)
#define GRADUS_LOST_VECTORS                                                                                         \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",      \
        "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", \
        "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6", "k7"
#else
#define GRADUS_LOST_VECTORS                                                                                    \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", \
        "xmm13", "xmm14", "xmm15"
#endif

GRADUS_EMULATOR_INLINE void exchange_registers(Fiber& from, const Fiber& to) {
    Fiber* save = &from;
    const Fiber* load = &to;
    asm volatile(
        "movq %%rsp, 0(%0)\n\t"
        "movq %%rbp, 8(%0)\n\t"
        "leaq 1f(%%rip), %%rax\n\t"
        "movq %%rax, 16(%0)\n\t"
        "movq 0(%1), %%rsp\n\t"
        "movq 8(%1), %%rbp\n\t"
        "jmpq *16(%1)\n"
        "1:"
        : "+D"(save), "+S"(load)
        :
        : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc",
          GRADUS_LOST_VECTORS);
}

// A function begins as if called: the return address lies on a 16-byte boundary minus 8. A null one ends backtraces.
inline void* first_stack_pointer(std::uintptr_t top) {
    void** stack = reinterpret_cast<void**>(top & ~std::uintptr_t{15});
    *--stack = nullptr;
    *--stack = nullptr;
    *--stack = nullptr;
    return stack;
}

#elif defined(__aarch64__)

#if defined(__APPLE__)  // there the system keeps x18 for itself
#define GRADUS_LOST_PLATFORM_REGISTER
#else
#define GRADUS_LOST_PLATFORM_REGISTER "x18",
#endif

GRADUS_EMULATOR_INLINE void exchange_registers(Fiber& from, const Fiber& to) {
    register Fiber* save asm("x0") = &from;
    register const Fiber* load asm("x1") = &to;
    asm volatile(
        "mov x9, sp\n\t"
        "adr x10, 1f\n\t"
        "stp x9, x29, [%0]\n\t"
        "str x10, [%0, #16]\n\t"
        "ldp x9, x29, [%1]\n\t"
        "ldr x10, [%1, #16]\n\t"
        "mov sp, x9\n\t"
        "br x10\n"
        "1:\thint #36"  // bti j: a permitted target of br
        : "+r"(save), "+r"(load)
        :
        : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17",
          GRADUS_LOST_PLATFORM_REGISTER "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x30",
          "memory", "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14",
          "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29",
          "v30", "v31");
}

inline void* first_stack_pointer(std::uintptr_t top) {
    return reinterpret_cast<void*>((top & ~std::uintptr_t{15}) - 32);
}

#else
#error "The emulator knows how to switch fibers on x86-64 and aarch64 only."
#endif

// A fiber that has not run yet starts in `entry`, which must never return.
inline void prepare_fiber(Fiber& fiber, FiberStack* stack, void (*entry)()) {
    fiber.stack = stack;
    fiber.stack_pointer = first_stack_pointer(stack->top);
    fiber.frame_pointer = nullptr;
    fiber.resume_at = entry;
#if defined(__SANITIZE_ADDRESS__)
    fiber.sanitizer_state = nullptr;
    fiber.stack_bottom = stack->bottom;
    fiber.stack_size = stack->bytes;
    __asan_unpoison_memory_region(stack->bottom, stack->bytes);  // what an earlier fiber left there
#endif
}

GRADUS_EMULATOR_INLINE void switch_fiber(Fiber& from, const Fiber& to) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&from.sanitizer_state, to.stack_bottom, to.stack_size);
    exchange_registers(from, to);
    __sanitizer_finish_switch_fiber(from.sanitizer_state, nullptr, nullptr);
#else
    exchange_registers(from, to);
#endif
}

// The last switch of a fiber, which nothing will continue. `grave` is where the registers go: it outlives the fiber.
[[noreturn]] GRADUS_EMULATOR_INLINE void leave_fiber(Fiber& grave, const Fiber& to) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(nullptr, to.stack_bottom, to.stack_size);
#endif
    exchange_registers(grave, to);
    __builtin_unreachable();
}

// The first thing that a fiber's entry does; `launcher` is the fiber that a sanitizer takes the stack's bounds of.
inline void enter_fiber([[maybe_unused]] Fiber& launcher) {
#if defined(__SANITIZE_ADDRESS__)
    const void* bottom = nullptr;
    std::size_t size = 0;
    __sanitizer_finish_switch_fiber(nullptr, &bottom, &size);
    if (launcher.stack_bottom == nullptr) {  // the launcher is the first that switches
        launcher.stack_bottom = bottom;
        launcher.stack_size = size;
    }
#endif
}

}  // namespace gradus::inline GRADUS_ABI::emulator
