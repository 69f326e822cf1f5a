// machine/emulator/grid.hpp   A launch: all blocks of a grid, one after the other or a few at once.
// Blocks cannot wait for one another, so each runs from its first thread to its last. In reverse and random order the
// blocks come in that order too. With several blocks in flight each has an operating-system thread of the pool, and
// global memory is really shared: an addition that should be atomic and is not loses updates, as on a card.
// Limits are those of every card since Turing (Programming Guide, "Technical Specifications per Compute Capability").
#pragma once

#include <mutex>
#include <numeric>
#include <utility>
#include <vector>

#include "gradus/machine/cpu/thread_pool.hpp"
#include "gradus/machine/emulator/barrier.hpp"
#include "gradus/machine/emulator/faults.hpp"
#include "gradus/machine/emulator/observer.hpp"
#include "gradus/machine/emulator/race_checker.hpp"
#include "gradus/machine/emulator/shared_memory.hpp"
#include "gradus/machine/emulator/stream.hpp"
#include "gradus/machine/emulator/warp.hpp"

namespace gradus::inline GRADUS_ABI::emulator {

inline constexpr std::size_t shared_opt_in_limit = 163 * 1024;  // of compute capability 8.0

// The blocks of all launches, for one after the other: the block used last comes first, its stacks are in the cache.
// They are never destroyed, because at the end of a thread, and of the program, the destructors of others may still
// wait for queued kernels: those of cuBLAS handles do.
struct FreeBlocks {
    std::mutex mutex;
    std::vector<Block*> blocks;
};
inline FreeBlocks& free_blocks() {
    static FreeBlocks& free = *new FreeBlocks;
    return free;
}

// A block for as long as this exists.
class BorrowedBlock {
public:
    BorrowedBlock() {
        FreeBlocks& free = free_blocks();
        const std::lock_guard lock(free.mutex);
        if (free.blocks.empty()) free.blocks.push_back(new Block);
        block_ = free.blocks.back();
        free.blocks.pop_back();
    }
    BorrowedBlock(const BorrowedBlock&) = delete;
    BorrowedBlock& operator=(const BorrowedBlock&) = delete;
    ~BorrowedBlock() {
        FreeBlocks& free = free_blocks();
        const std::lock_guard lock(free.mutex);
        free.blocks.push_back(block_);
    }
    Block& operator*() const { return *block_; }

private:
    Block* block_;
};

inline std::uint64_t product(dim3 size) { return std::uint64_t{size.x} * size.y * size.z; }

// The index of element `linear`, x fastest.
inline uint3 unflatten(std::uint64_t linear, dim3 size) {
    return {static_cast<unsigned>(linear % size.x), static_cast<unsigned>(linear / size.x % size.y),
            static_cast<unsigned>(linear / size.x / size.y)};
}

// What is the same for all blocks of a launch.
inline void prepare_block(Block& block, const Launch& launch) {
    const Settings& chosen = settings();
    block.launch = &launch;
    block.thread_count = static_cast<unsigned>(product(launch.block));
    block.warp_count = (block.thread_count + lanes_per_warp - 1) / lanes_per_warp;
    block.order = chosen.order;
    block.in_order = chosen.order == ThreadOrder::forward;
    if (!block.stacks || block.stacks->bytes() != round_up(chosen.stack_bytes, 4096))
        block.stacks = std::make_unique<FiberStacks>(round_up(chosen.stack_bytes, 4096));
    blockDim = launch.block;
    gridDim = launch.grid;
    for (unsigned i = 0; i < block.thread_count; ++i) block.threads[i].index = unflatten(i, launch.block);
}

// After a fault most fibers stand somewhere in the middle: takes their stacks back.
inline void abandon_fibers(Block& block) {
    for (unsigned i = 0; i < block.thread_count; ++i) {
        Thread& thread = block.threads[i];
        if (thread.stack != nullptr) block.stacks->give_back(thread.stack);
        thread.stack = nullptr;
    }
}

inline void run_block(Block& block, std::uint64_t index) {
    block.linear_index = index;
    blockIdx = unflatten(index, block.launch->grid);
    block.unfinished = block.thread_count;
    block.arrived = block.yes_votes = 0;
    block.random = settings().seed * 2654435761u + static_cast<std::uint32_t>(index) * 40503u + 1u;
    if (block.random == 0) block.random = 1;
    ++block.epoch;
    for (unsigned w = 0; w < block.warp_count; ++w) {
        const unsigned lanes = std::min(lanes_per_warp, block.thread_count - w * lanes_per_warp);
        block.warps[w].live = block.ready[w] = lanes == 32 ? ~0u : (1u << lanes) - 1;
        block.warps[w].open_count = 0;
    }
    for (unsigned i = 0; i < block.thread_count; ++i) block.threads[i].state = ThreadState::runnable;
    block.async_copies.clear();
    reset_shared_memory(block);
    if (current_observer != nullptr) current_observer->block_begins(block);

    set_unobserved(true);
    running_block = &block;
    block.current = 0;
    const unsigned first = choose_next(block);
    block.current = first;
    threadIdx = block.threads[first].index;
    prepare_fiber(block.threads[first], block.stacks->take(), run_fiber);
    switch_fiber(block.launcher, block.threads[first]);
    running_block = nullptr;
    set_unobserved(false);
    if (current_observer != nullptr) current_observer->block_ends(block);
    if (block.error) {
        abandon_fibers(block);
        std::rethrow_exception(std::exchange(block.error, nullptr));
    }
}

// What the observer found wrong, when a launch is over; "" without an observer.
inline std::string end_observation(const Launch& launch) {
    return current_observer != nullptr ? current_observer->launch_ends(launch) : "";
}

inline void run_grid(const Launch& launch) {
#if defined(__SANITIZE_THREAD__)
    require_race_checker();
#else
    if (current_observer != nullptr)
        fail(text(kernel_name(launch.kernel), ": launch at ", launch.site,
                  ": the race checker is linked but sees nothing",
                  " of this kernel: compile the file with -fsanitize=thread (race_checker.hpp)"));
#endif
    const std::uint64_t blocks = product(launch.grid);
    const Settings& chosen = settings();
    std::vector<std::uint64_t> shuffled;
    if (chosen.order == ThreadOrder::random) {
        shuffled.resize(blocks);
        std::iota(shuffled.begin(), shuffled.end(), std::uint64_t{0});
        std::uint64_t state = chosen.seed;
        for (std::uint64_t i = blocks; i-- > 1;) {  // Fisher and Yates; the numbers are Knuth's MMIX generator's
            state = state * 6364136223846793005u + 1442695040888963407u;
            std::swap(shuffled[i], shuffled[(state >> 33) % (i + 1)]);
        }
    }
    const auto run_range = [&](std::uint64_t begin, std::uint64_t end) {
        install_fault_handler();
        const BorrowedBlock borrowed;
        Block& block = *borrowed;
        prepare_block(block, launch);
        for (std::uint64_t i = begin; i < end; ++i) {
            const std::uint64_t reversed = chosen.order == ThreadOrder::reverse ? blocks - 1 - i : i;
            run_block(block, shuffled.empty() ? reversed : shuffled[i]);
        }
    };
    const DeviceAccess access;
    if (current_observer != nullptr) current_observer->launch_begins(launch);
    const std::uint64_t in_flight =
        current_observer != nullptr ? 1 : static_cast<std::uint64_t>(chosen.blocks_in_flight);
    const std::uint64_t tasks = std::min(in_flight, blocks);
    try {
        if (tasks <= 1) {
            run_range(0, blocks);
        } else {
            parallel_for(static_cast<Index>(tasks), [&](Index task) {
                const std::uint64_t t = static_cast<std::uint64_t>(task);
                run_range(blocks * t / tasks, blocks * (t + 1) / tasks);
            });
        }
    } catch (const Error& error) {
        const std::string wrong = end_observation(launch);
        if (wrong.empty()) throw;
        fail(text(error.what(), "\n", wrong));
    }
    const std::string wrong = end_observation(launch);
    if (!wrong.empty()) fail(wrong);
}

// The launch limits, with a message that says which one and by how much.
inline void check_launch(const Launch& launch) {
    const dim3 grid = launch.grid, block = launch.block;
    std::string wrong;
    if (running_block != nullptr) {
        wrong = "a kernel cannot launch a kernel";
    } else if (product(block) == 0 || product(grid) == 0) {
        wrong = text("an empty grid or block, grid ", grid, ", block ", block);
    } else if (product(block) > most_threads || block.x > 1024 || block.y > 1024 || block.z > 64) {
        wrong = text("a block has at most 1024 threads and at most (1024, 1024, 64), here ", block);
    } else if (grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535) {
        wrong = text("a grid has at most (2147483647, 65535, 65535) blocks, here ", grid);
    } else if (launch.dynamic_shared_bytes > launch.shared_limit) {
        wrong = text("asks for ", launch.dynamic_shared_bytes, " bytes of shared memory, this kernel may have ",
                     launch.shared_limit, " (more, up to ", shared_opt_in_limit,
                     ": cudaFuncSetAttribute with cudaFuncAttributeMaxDynamicSharedMemorySize)");
    }
    if (!wrong.empty())
        fail(text(kernel_name(launch.kernel), in_operation(), ": launch at ", describe_launch(launch), ": ", wrong));
}

// A kernel and its arguments, kept for as long as the launch takes. Every thread gets copies of the arguments.
template <class... Parameters>
struct KernelCall {
    void (*kernel)(Parameters...);
    std::tuple<Parameters...> arguments;

    // Between the two calls of set_unobserved() the observer sees the kernel and nothing else.
    GRADUS_EMULATOR_QUIET static void run_thread(const void* call) {
        unpack(*static_cast<const KernelCall*>(call), std::index_sequence_for<Parameters...>());
    }
    template <std::size_t... I>
    GRADUS_EMULATOR_QUIET static void unpack(const KernelCall& call, std::index_sequence<I...>) {
        run_kernel(call.kernel, std::get<I>(call.arguments)...);
    }
    GRADUS_EMULATOR_QUIET static void run_kernel(void (*kernel)(Parameters...), const Parameters&... arguments) {
        set_unobserved(false);
        kernel(arguments...);
        set_unobserved(true);
    }
};

// A pointer that a kernel is given must point to device memory, or to pinned host memory, which a card can reach.
template <class T>
bool is_host_pointer(const T& argument) {
    if constexpr (std::is_pointer_v<T> && !std::is_function_v<std::remove_pointer_t<T>>) {
        const void* const address = const_cast<const void*>(static_cast<const volatile void*>(argument));
        return address != nullptr && !device_memory().contains(address) && !is_pinned(address);
    } else {
        return false;
    }
}
// The number of the first such argument, counted from 1; 0: there is none.
template <class... Parameters>
int first_host_pointer(const std::tuple<Parameters...>& arguments) {
    int position = 0, found = 0;
    const auto look = [&](const auto& argument) {
        ++position;
        if (found == 0 && is_host_pointer(argument)) found = position;
    };
    std::apply([&](const Parameters&... each) { (look(each), ...); }, arguments);
    return found;
}

// Kernels that may have more than 48 KB of dynamic shared memory, and how much (device_api.hpp).
inline std::map<const void*, std::size_t>& opted_in() {
    static auto* const limits = new std::map<const void*, std::size_t>;
    return *limits;
}

template <class... Parameters>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes, cudaStream_t stream,
            Site site, std::tuple<Parameters...> arguments) {
    const std::lock_guard lock(streams().mutex);
    Launch launch;
    launch.grid = grid;
    launch.block = block;
    launch.dynamic_shared_bytes = shared_bytes;
    launch.kernel = reinterpret_cast<const void*>(kernel);
    const auto limit = opted_in().find(launch.kernel);
    launch.shared_limit = std::max(static_shared_limit, limit == opted_in().end() ? 0 : limit->second);
    launch.run_thread = KernelCall<Parameters...>::run_thread;
    launch.site = site;
    check_launch(launch);
    if (!streams().is_known(stream))
        fail(text(kernel_name(launch.kernel), ": launch at ", site,
                  ": the stream was never created, or has been destroyed"));
    if (const int position = first_host_pointer(arguments); position != 0)
        fail(text(kernel_name(launch.kernel), ": launch at ", site, ": argument ", position,
                  " points to host memory; a kernel needs a pointer from cudaMalloc"));
    ++call_counts().launches;
    streams().enqueue(stream, [call = KernelCall<Parameters...>{kernel, std::move(arguments)}, launch]() mutable {
        launch.arguments = &call;
        launch.argument_bytes = sizeof call;
        run_grid(launch);
    });
}

}  // namespace gradus::inline GRADUS_ABI::emulator
