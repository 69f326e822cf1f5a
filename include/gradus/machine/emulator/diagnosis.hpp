// machine/emulator/diagnosis.hpp   What a message says when a kernel goes wrong: which thread, who waits where.
// On a GPU a thread that misses a barrier hangs the card or goes unnoticed. Here:
//     reduce<float>: deadlock: no thread of the block can run
//       in block (0, 0, 0); launched at reduce_test.cpp:12; grid (8, 1, 1), block (32, 1, 1), 0 bytes of dynamic
//       shared memory
//       16 threads, first (0, 0, 0): waiting in __shfl_xor_sync at reduce.cuh:40
//       16 threads, first (16, 0, 0): waiting at the barrier at reduce.cuh:43
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "gradus/machine/emulator/block.hpp"
#include "gradus/machine/emulator/symbols.hpp"

namespace gradus::inline GRADUS_ABI::emulator {

// What a thread is doing, as a line of the table.
inline std::string describe_thread(const Block& block, unsigned index) {
    const Thread& thread = block.threads[index];
    const Warp& warp = block.warps[index / lanes_per_warp];
    const std::uint32_t lane = 1u << (index % lanes_per_warp);
    if (thread.state == ThreadState::returned) return "returned from the kernel";
    if (block.ready[index / lanes_per_warp] & lane) return "not waiting";
    if (thread.state == ThreadState::at_barrier) return text("waiting at the barrier at ", thread.where);
    if (thread.state == ThreadState::in_warp_operation)
        for (unsigned i = 0; i < warp.open_count; ++i)
            if (warp.open[i].arrived & lane) return text("waiting in ", warp.open[i].name, " at ", thread.where);
    return "running";
}

// The table: threads that do the same stand in one line.
inline std::string table_of_threads(const Block& block) {
    struct Group {
        unsigned count = 0;
        uint3 first = {0, 0, 0};
    };
    std::map<std::string, Group> groups;
    for (unsigned i = 0; i < block.thread_count; ++i) {
        Group& group = groups[describe_thread(block, i)];
        if (group.count++ == 0) group.first = block.threads[i].index;
    }
    std::string table;
    for (const auto& [activity, group] : groups)
        table +=
            text("\n  ", group.count, group.count == 1 ? " thread " : " threads, first ", group.first, ": ", activity);
    return table;
}

// Where a launch stands and how large it is, as its own errors say it too.
inline std::string describe_launch(const Launch& launch) {
    return text(launch.site, "; grid ", launch.grid, ", block ", launch.block, ", ", launch.dynamic_shared_bytes,
                " bytes of dynamic shared memory");
}

// What one thread does wrong,
[[noreturn]] inline void fail_in_kernel(const std::string& message) {
    const Unobserved guard;
    const Launch& launch = *running_block->launch;
    fail(text(kernel_name(launch.kernel), ": ", message, "\n  in block ", blockIdx, ", thread ", threadIdx,
              "; launched at ", describe_launch(launch)));
}
// ... and what threads do wrong together: the one that runs when it shows need not be the culprit and is not named.
[[noreturn]] inline void fail_in_block(const Block& block, const std::string& message) {
    const Unobserved guard;
    fail(text(kernel_name(block.launch->kernel), ": ", message, "\n  in block ", blockIdx, "; launched at ",
              describe_launch(*block.launch), table_of_threads(block)));
}
[[noreturn]] inline void fail_deadlock(Block& block) {
    fail_in_block(block, "deadlock: no thread of the block can run");
}

}  // namespace gradus::inline GRADUS_ABI::emulator
