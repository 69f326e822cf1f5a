// machine/emulator/race_checker.hpp   Finds data races, and counts what makes a kernel slow. Linux.
// Problem  Two threads that touch the same memory, one of them writing, with no barrier between them: the result is
//          chance. On a card it is usually right, until it is not; no order of threads is sure to show it.
// Answer   See every access. Kernels are compiled with -fsanitize=thread, which makes the compiler call a function
//          __tsan_read4(address), __tsan_write4(address), ... at every access. The program is not linked with that
//          sanitizer's library, which knows nothing of fibers, but with racecheck.cpp, which has functions of these
//          names of its own. For each word of shared and device memory it keeps the last accesses (race_shadow.hpp)
//          and compares each new access with them:
//     - races within a warp, a block, a grid: both accesses with thread and line;
//     - reads of memory that nobody has written. A struct that is copied as a whole may have gaps between its members:
//       of each 8 bytes of it, one written is enough;
//     - accesses out of the bounds of a buffer or an array, and misaligned ones;
//     - accesses to host memory and to other threads' local variables (kernel_memory.hpp);
//     - shuffles that read a lane that takes no part.
//          What was found ends the launch with a gradus::Error, after the kernel has run. A fault is a pair of lines,
//          the later access first: a race of a thousand threads is told once.
// It also puts the accesses of a warp's lanes together into the requests that a card would make (access_counts.hpp),
// and with -fsanitize-coverage=trace-pc, which makes the compiler call a function at the begin of every basic block (a
// stretch of code without a branch), it counts the blocks that only a part of the warp runs: where lanes take different
// branches a card runs one after the other. Blocks are those that the compiler for the CPU makes: a branch that it
// turns into a conditional move is none, as on a card, and shares differ a little from compiler to compiler.
// How to   CMake: link gradus::racecheck. By hand:
//     FLAGS="-std=c++20 -O1 -g -DGRADUS_EMULATE_CUDA -Iinclude"
//     g++ $FLAGS -c include/gradus/machine/emulator/racecheck.cpp
//     g++ $FLAGS -fsanitize=thread -fsanitize-coverage=trace-pc -x c++ -c my_kernels.cu
//     g++ my_kernels.o racecheck.o -pthread -o my_kernels
// "undefined reference to __tsan_..." from the last line: racecheck.o is not linked.
// "... to require_race_checker()": it was compiled with another -march.
// clang needs -fno-vectorize -fno-slp-vectorize as well: of accesses that it widens to more than 16 bytes it calls
// nothing.
// Lines come from addr2line (binutils) and need -g. GRADUS_EMULATOR_COUNTS=1 prints the counts when the program ends,
// with a - for branches that were not counted; examples/04_cuda_on_a_cpu.cpp explains the columns.
// take_kernel_counts() has the single numbers, in a program that is linked with the checker.
// Cost     70 times the plain emulator for a tiled product of 256 x 256 matrices, 21 times for the register-blocked one
//          (benchmarks/emulator_cost.cpp built both ways, g++ -O1; without the count of branches 62 and 15); 50 bytes
//          for each byte of memory that kernels touch.
//          Blocks run one by one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "gradus/machine/emulator/keywords.hpp"

namespace gradus::inline GRADUS_ABI::emulator {

// The memory requests of a kernel, over all its launches. A request is one instruction, executed by the lanes of a
// warp.
struct KernelCounts {
    std::string kernel;
    std::uint64_t launches = 0;
    std::uint64_t load_requests = 0, store_requests = 0;  // to device memory; an atomic is a store
    std::uint64_t load_sectors = 0, store_sectors = 0;    // of 32 bytes, that these moved
    std::uint64_t least_sectors = 0;                      // that would have held all the bytes asked for
    std::uint64_t shared_requests = 0;
    std::uint64_t shared_passes = 0;     // a request takes one pass, and one more for each conflict of banks
    std::uint64_t instructions = 0;      // of a whole warp; wide accesses to shared memory are 2 or 4 requests each
    std::uint64_t lanes = 0;             // that took part, over all these instructions
    std::uint64_t partial_requests = 0;  // instructions in which not all lanes took part: branches, tails

    // Branches; all 0 without -fsanitize-coverage=trace-pc.
    std::uint64_t code_blocks = 0;       // basic blocks that a warp, or a part of it, has run
    std::uint64_t divergent_blocks = 0;  // of these, those that a part of the warp has run
    std::uint64_t code_lanes = 0;        // that took part, over all code_blocks

    std::uint64_t requests() const { return load_requests + store_requests + shared_requests; }
    std::uint64_t bytes() const { return 32 * (load_sectors + store_sectors); }
    double sectors_per_least() const {
        return least_sectors == 0
                   ? 1.0
                   : static_cast<double>(load_sectors + store_sectors) / static_cast<double>(least_sectors);
    }
    double passes_per_request() const {
        return shared_requests == 0 ? 1.0 : static_cast<double>(shared_passes) / static_cast<double>(shared_requests);
    }
    double active_lanes() const {
        return instructions == 0 ? 32.0 : static_cast<double>(lanes) / static_cast<double>(instructions);
    }
    double divergent_share() const {
        return code_blocks == 0 ? 0.0 : static_cast<double>(divergent_blocks) / static_cast<double>(code_blocks);
    }
    double active_threads() const {
        return code_blocks == 0 ? 32.0 : static_cast<double>(code_lanes) / static_cast<double>(code_blocks);
    }
};

inline std::string table_of(const std::vector<KernelCounts>& counts) {
    std::string table =
        "launches  load sectors  store sectors  sectors/least  passes/request  active lanes  partial  divergent  "
        "active threads"
        "  kernel\n";
    for (const KernelCounts& c : counts) {
        char line[200], branches[40] = "        -               -";  // not compiled for it
        if (c.code_blocks > 0)
            std::snprintf(branches, sizeof branches, "%8.1f%%  %14.1f", 100.0 * c.divergent_share(),
                          c.active_threads());
        std::snprintf(line, sizeof line, "%8llu  %12llu  %13llu  %13.2f  %14.2f  %12.1f  %6.1f%%  %s  ",
                      static_cast<unsigned long long>(c.launches), static_cast<unsigned long long>(c.load_sectors),
                      static_cast<unsigned long long>(c.store_sectors), c.sectors_per_least(), c.passes_per_request(),
                      c.active_lanes(),
                      100.0 * static_cast<double>(c.partial_requests) /
                          static_cast<double>(std::max<std::uint64_t>(1, c.instructions)),
                      branches);
        table += line + c.kernel + "\n";
    }
    return table;
}

// Defined in racecheck.cpp.
std::vector<KernelCounts> take_kernel_counts();  // since the start or the last call, in the order of first launches
void require_race_checker();  // a program that was compiled for the checker and not linked with it must not link

}  // namespace gradus::inline GRADUS_ABI::emulator
