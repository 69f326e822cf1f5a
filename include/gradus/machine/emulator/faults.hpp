// machine/emulator/faults.hpp   Signals: a message instead of "Segmentation fault".
// Three kinds of access fault, and the handler of SIGSEGV tells them apart by the address:
//     - a kernel overflows its stack: local arrays too large for GRADUS_EMULATOR_STACK_KB;
//     - a kernel reads or writes an address that is no memory at all;
//     - host code follows a device pointer (device_memory.hpp).
// And two kinds that are none:
//     - SIGFPE: a kernel divides integers by zero, for which a card has an undefined result and no fault;
//     - SIGABRT: an assert() in a kernel, whose own message names the line but not the thread.
// The first two and the division end the kernel with a gradus::Error, like any other fault of a kernel. The handler
// cannot throw from the middle of an instruction; it changes where the thread continues: in the launcher, as if the
// kernel had switched back to it. The others print their message and leave the rest to the earlier handler, which
// usually ends the program.
// Under AddressSanitizer its own report is the better one, so kernels' faults are left to it.
#pragma once

#include <csignal>
#include <cstdio>

#include <ucontext.h>
#include <unistd.h>

#include "gradus/machine/emulator/device_memory.hpp"
#include "gradus/machine/emulator/diagnosis.hpp"
#include "gradus/machine/emulator/memory_names.hpp"

namespace gradus::inline GRADUS_ABI::emulator {

// The handler runs on a stack of its own, because the thread's may be the one that overflowed.
struct SignalStack {
    SignalStack() {
        stack_t now{};
        sigaltstack(nullptr, &now);
        if ((now.ss_flags & SS_DISABLE) == 0) return;  // a sanitizer has set one
        stack_t mine{};
        mine.ss_sp = memory.get();
        mine.ss_size = bytes;
        sigaltstack(&mine, nullptr);
    }
    static constexpr std::size_t bytes = 64 * 1024;
    std::unique_ptr<char[]> memory = std::make_unique<char[]>(bytes);
};

inline constexpr int handled_signals[] = {SIGSEGV, SIGFPE, SIGABRT};
inline struct sigaction& earlier_handler(int signal_number) {
    static struct sigaction actions[std::size(handled_signals)]{};
    return actions[signal_number == SIGSEGV ? 0 : signal_number == SIGFPE ? 1 : 2];
}

// Lets the interrupted thread continue in another fiber.
inline void continue_in(const Fiber& fiber, void* interrupted) {
    auto* context = static_cast<ucontext_t*>(interrupted);
#if defined(__linux__) && defined(__x86_64__)
    context->uc_mcontext.gregs[REG_RSP] = reinterpret_cast<greg_t>(fiber.stack_pointer);
    context->uc_mcontext.gregs[REG_RBP] = reinterpret_cast<greg_t>(fiber.frame_pointer);
    context->uc_mcontext.gregs[REG_RIP] = reinterpret_cast<greg_t>(fiber.resume_at);
#elif defined(__linux__) && defined(__aarch64__)
    context->uc_mcontext.sp = reinterpret_cast<unsigned long long>(fiber.stack_pointer);
    context->uc_mcontext.regs[29] = reinterpret_cast<unsigned long long>(fiber.frame_pointer);
    context->uc_mcontext.pc = reinterpret_cast<unsigned long long>(fiber.resume_at);
#else
    static_cast<void>(context);
    static_cast<void>(fiber);
#endif
}

// What a kernel has done wrong, that runs in this block.
inline std::string describe_fault(const Block& block, int signal_number, const void* address) {
    if (signal_number == SIGFPE) return "an integer is divided by zero (or the least one by -1)";
    if (block.stacks->is_guard(address))
        return text("stack overflow: local arrays need more than the ", block.stacks->bytes() / 1024,
                    " KB of GRADUS_EMULATOR_STACK_KB");
    const std::string advice = " (run it in gdb: it stops there)";
    if (address == nullptr)  // the processor names no address where one is misaligned
        return text("access to address 0: a null pointer, or a misaligned address of 16 bytes or more", advice);
    char hex[32];
    std::snprintf(hex, sizeof hex, "%p", address);
    std::string what = text("access to address ", static_cast<const char*>(hex), ", which is no memory of the device");
    if (is_near_arena(block, address))
        what += text("; next to it is ", describe_shared_memory(block, static_cast<const char*>(address)));
    if (device_memory().contains(address))
        what += text("; next to it is ", describe_device_memory(static_cast<const char*>(address)));
    return what + advice;
}

// Written without memory from the heap, which may be what is broken.
inline void print_host_access(const void* address) {
    const DeviceMemory::Buffer buffer = device_memory().find_unlocked(address);
    char message[256];
    std::snprintf(message, sizeof message,
                  "gradus emulator: host code reads or writes device memory: %p, byte %zu of a buffer of %zu bytes "
                  "(copy it with cudaMemcpy first)\n",
                  address, static_cast<std::size_t>(static_cast<const char*>(address) - buffer.address), buffer.bytes);
    if (write(STDERR_FILENO, message, std::strlen(message)) < 0) _exit(1);
}

inline void on_fault(int signal_number, siginfo_t* info, [[maybe_unused]] void* interrupted) {
    Block* block = running_block;
    if (block != nullptr && signal_number == SIGABRT) {
        try {
            fail_in_kernel("the kernel ends the program: assert() or abort()");
        } catch (const Error& error) {
            std::fprintf(stderr, "gradus emulator: %s\n", error.what());
        }
    }
#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__)
    if (block != nullptr && signal_number != SIGABRT) {
        try {
            fail_in_kernel(describe_fault(*block, signal_number, info->si_addr));
        } catch (...) {
            block->error = std::current_exception();
        }
        continue_in(block->launcher, interrupted);
        return;
    }
#endif
    if (block == nullptr && signal_number == SIGSEGV && device_memory().contains(info->si_addr))
        print_host_access(info->si_addr);
    sigaction(signal_number, &earlier_handler(signal_number), nullptr);
    if (signal_number == SIGABRT) raise(SIGABRT);  // an access faults again by itself; both are handled there
}

// Called by every cudaMalloc and before every launch: test frameworks and other libraries set handlers too, and take
// them away again.
inline void install_fault_handler() {
    static thread_local SignalStack stack;
    for (const int signal_number : handled_signals) {
        struct sigaction now {};
        sigaction(signal_number, nullptr, &now);
        if ((now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == on_fault) continue;
        struct sigaction action {};
        action.sa_sigaction = on_fault;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        sigaction(signal_number, &action, &earlier_handler(signal_number));
    }
}

}  // namespace gradus::inline GRADUS_ABI::emulator
