// machine/emulator/block.hpp   A block of threads and its scheduler: who runs, who waits, who has returned.
// Problem  A GPU runs the threads of a block at the same time. A kernel may rely on that in two ways only: barriers
//          (all threads, or some lanes of a warp, wait for one another) and atomics.
// Answer   Each CUDA thread is a fiber. It runs until it returns or has to wait; then the scheduler lets another one
//          continue. A thread that waits for nobody never stops, so the first thread of a kernel without barriers hands
//          its stack to the second, that one to the third, and no fiber is ever switched.
// A warp is 32 neighbours (lanes). What can run is a set: one bit for each lane, in one word for each warp. To let all
// lanes of a warp continue is to store one word. In forward order the scheduler stays with a warp while it can, because
// its stacks are in the cache.
// Not modelled: lanes of a warp do not run in lockstep. CUDA does not promise that they do, since Volta; a kernel that
// needs it says __syncwarp().
#pragma once

#include <cstdint>
#include <exception>

#include "gradus/machine/emulator/fiber.hpp"
#include "gradus/machine/emulator/settings.hpp"
#include "gradus/machine/emulator/site.hpp"

namespace gradus::inline GRADUS_ABI::cuda_names {

// The variables that every kernel reads: real ones, which a debugger shows. The scheduler sets threadIdx when it lets a
// thread continue. One set for each operating-system thread, because each runs a block of its own.
inline constinit thread_local uint3 threadIdx{0, 0, 0};
inline constinit thread_local uint3 blockIdx{0, 0, 0};
inline constinit thread_local dim3 blockDim{1, 1, 1};
inline constinit thread_local dim3 gridDim{1, 1, 1};
inline constexpr int warpSize = 32;

struct CUstream_st;  // stream.hpp
using cudaStream_t = CUstream_st*;

}  // namespace gradus::inline GRADUS_ABI::cuda_names

namespace gradus::inline GRADUS_ABI::emulator {

inline constexpr unsigned lanes_per_warp = 32;
inline constexpr unsigned most_threads = 1024;  // of a block
inline constexpr unsigned most_warps = most_threads / lanes_per_warp;

enum class ThreadState : std::uint8_t { runnable, at_barrier, in_warp_operation, returned };

// One CUDA thread: 64 bytes, a cache line.
struct alignas(64) Thread : Fiber {
    Site where;  // it waits, or has waited last
    uint3 index = {0, 0, 0};
    ThreadState state = ThreadState::runnable;
};

// An operation that lanes of a warp do together, and that not all of them have reached yet (warp.hpp).
struct WarpOperation {
    std::uint32_t mask = 0;     // the lanes that take part
    std::uint32_t arrived = 0;  // those that wait
    const char* name = "";
    Site site;
    void (*finish)(struct Warp& warp, std::uint32_t arrived) = nullptr;
};

struct Warp {
    std::uint32_t live = 0;  // lanes that exist and have not returned
    unsigned open_count = 0;
    WarpOperation open[lanes_per_warp];  // usually one; lanes with disjoint masks may have one each
    // What the lanes bring to an operation and what they take away from it.
    std::uint64_t given[lanes_per_warp], taken[lanes_per_warp];
    std::uint32_t source[lanes_per_warp];
};

// What all blocks of a launch share (grid.hpp).
struct Launch {
    dim3 grid, block;
    std::size_t dynamic_shared_bytes = 0;
    std::size_t shared_limit = 0;  // static and dynamic together
    void (*run_thread)(const void* arguments) = nullptr;
    const void* arguments = nullptr;
    std::size_t argument_bytes = 0;
    const void* kernel = nullptr;  // its address
    Site site;                     // of the call of launch()
};

// One array in shared memory (shared_memory.hpp).
struct SharedArray {
    const char* name;
    char* address;
    std::size_t bytes;
};

// A thread's asynchronous copies that it has not waited for (async_copy.hpp).
struct AsyncCopy {
    void* target;
    const void* source;
    unsigned bytes, used, group;
    Site site;
};
struct AsyncCopies {
    std::vector<AsyncCopy> pending;
    unsigned groups = 0;  // committed so far
};

struct Block {
    // The scheduler's part, hottest first.
    unsigned current = 0;                  // the thread that runs
    unsigned unfinished = 0;               // threads that have not returned
    unsigned arrived = 0;                  // threads that wait at the barrier
    unsigned yes_votes = 0;                // of those, the ones that came with a predicate that holds
    Site barrier_site;                     // where the first of them waits
    std::uint32_t ready[most_warps] = {};  // the lanes that can run; the running one is not among them
    bool in_order = true;                  // forward order
    ThreadOrder order = ThreadOrder::forward;
    unsigned warp_count = 0;
    unsigned thread_count = 0;
    unsigned votes_counted = 0, yes_counted = 0;  // at the last barrier that opened
    std::uint32_t epoch = 0;                      // how many barriers have opened, over all launches
    std::uint32_t random = 1;
    Fiber launcher;
    Fiber grave;  // where a finished fiber leaves its registers, which nobody reads
    std::exception_ptr error;
    std::unique_ptr<FiberStacks> stacks;
    const void* spins_at = nullptr;  // atomics in a row that changed nothing (atomics.hpp): where,
    unsigned spinning = 0;           // of which thread,
    std::uint64_t spins = 0;         // and how many
    const Launch* launch = nullptr;
    std::uint64_t linear_index = 0;  // of this block in the grid

    // Shared memory's part.
    std::uint32_t shared_generation = 0;  // another one for every block: what a kernel remembers is void
    char* arena = nullptr;
    std::size_t arena_used = 0, static_bytes = 0;
    char* dynamic_shared = nullptr;
    std::vector<SharedArray> shared_arrays;
    std::vector<AsyncCopies> async_copies;  // one for each thread, if any thread has copied so

    Thread threads[most_threads];
    Warp warps[most_warps];
};

// The block that this operating-system thread runs; null outside of kernels.
inline constinit thread_local Block* running_block = nullptr;

// As long as one exists, this thread's accesses and branches are the emulator's own, and no business of the observer's.
inline constinit thread_local bool is_unobserved = false;
struct Unobserved {
    GRADUS_EMULATOR_QUIET Unobserved() : before(is_unobserved) { is_unobserved = true; }
    GRADUS_EMULATOR_QUIET ~Unobserved() { is_unobserved = before; }
    const bool before;
};
GRADUS_EMULATOR_QUIET inline void set_unobserved([[maybe_unused]] bool value) {
#if defined(__SANITIZE_THREAD__)
    is_unobserved = value;
#endif
}

[[noreturn]] void fail_in_kernel(const std::string& message);  // diagnosis.hpp
[[noreturn]] void fail_deadlock(Block& block);
[[noreturn]] void run_fiber();  // below; where fibers begin

// xorshift32 (Marsaglia 2003): enough to shuffle threads.
inline std::uint32_t next_random(Block& block) {
    std::uint32_t x = block.random;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return block.random = x;
}

// The position of the n-th lowest set bit.
inline unsigned nth_set_bit(std::uint32_t bits, unsigned n) {
    for (; n > 0; --n) bits &= bits - 1;
    return static_cast<unsigned>(std::countr_zero(bits));
}

// Reverse and random order, and forward where the current warp has no lane that can run.
GRADUS_EMULATOR_QUIET inline unsigned choose_next_anywhere(Block& block) {
    unsigned warp = 0, lane = 0;
    if (block.order == ThreadOrder::random) {
        unsigned ready_lanes = 0;
        for (unsigned w = 0; w < block.warp_count; ++w)
            ready_lanes += static_cast<unsigned>(std::popcount(block.ready[w]));
        if (ready_lanes == 0) fail_deadlock(block);
        unsigned n = next_random(block) % ready_lanes;
        for (unsigned count; n >= (count = static_cast<unsigned>(std::popcount(block.ready[warp]))); ++warp) n -= count;
        lane = nth_set_bit(block.ready[warp], n);
    } else if (block.order == ThreadOrder::reverse) {
        warp = block.warp_count;
        do {
            if (warp == 0) fail_deadlock(block);
            --warp;
        } while (block.ready[warp] == 0);
        lane = static_cast<unsigned>(std::bit_width(block.ready[warp])) - 1;
    } else {
        while (warp < block.warp_count && block.ready[warp] == 0) ++warp;
        if (warp == block.warp_count) fail_deadlock(block);
        lane = static_cast<unsigned>(std::countr_zero(block.ready[warp]));
    }
    block.ready[warp] &= ~(1u << lane);
    return warp * lanes_per_warp + lane;
}

GRADUS_EMULATOR_INLINE unsigned choose_next(Block& block) {
    const unsigned warp = block.current / lanes_per_warp;
    const std::uint32_t ready = block.ready[warp];
    if (ready == 0 || !block.in_order) [[unlikely]]
        return choose_next_anywhere(block);
    block.ready[warp] = ready & (ready - 1);
    return warp * lanes_per_warp + static_cast<unsigned>(std::countr_zero(ready));
}

// The current thread has to wait, or has made others ready and may be among them: lets the next one run. Returns when
// this one is chosen again.
GRADUS_EMULATOR_INLINE void wait(Block& block) {
    Thread* const me = &block.threads[block.current];
    Thread* other = nullptr;
    {
        GRADUS_EMULATOR_AT_WORK;
        const unsigned next = choose_next(block);
        other = &block.threads[next];
        if (other == me) return;
        block.current = next;
        threadIdx = other->index;
        if (other->stack == nullptr) [[unlikely]]
            prepare_fiber(*other, block.stacks->take(), run_fiber);
    }
    switch_fiber(*me, *other);
}

void thread_returned(Block& block);  // barrier.hpp: those who wait may wait for nobody now

// A fiber's life: run one CUDA thread to its end; if the next has not begun yet, run it too, on the same stack.
// A fault ends the whole block: the other fibers are left where they stand, and their stacks are used again.
[[noreturn]] GRADUS_EMULATOR_QUIET inline void run_fiber() {
    Block& block = *running_block;
    set_unobserved(true);
    enter_fiber(block.launcher);
    FiberStack* const stack = block.threads[block.current].stack;
    for (;;) {
        unsigned next = 0;
        try {
            block.launch->run_thread(block.launch->arguments);
            thread_returned(block);
            if (block.unfinished > 0) next = choose_next(block);
        } catch (...) {
            set_unobserved(true);
            block.error = std::current_exception();
        }
        block.threads[block.current].stack = nullptr;
        if (block.unfinished == 0 || block.error) {
            block.stacks->give_back(stack);
            leave_fiber(block.grave, block.launcher);
        }
        Thread& other = block.threads[next];
        block.current = next;
        threadIdx = other.index;
        if (other.stack == nullptr) {
            other.stack = stack;
        } else {
            block.stacks->give_back(stack);
            set_unobserved(false);  // it continues in the kernel
            leave_fiber(block.grave, other);
        }
    }
}

}  // namespace gradus::inline GRADUS_ABI::emulator
