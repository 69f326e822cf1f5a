// machine/emulator/race_checker.hpp   Finds data races, and counts what makes a kernel slow. Linux.
// Problem  Two threads that touch the same memory, one of them writing, with no barrier between them: the result is
//          chance. On a card it is usually right, until it is not; no order of threads is sure to show it.
// Answer   See every access. Kernels are compiled with -fsanitize=thread, which makes the compiler call a function
//          __tsan_read4(address), __tsan_write4(address), ... at every access. The program is not linked with that
//          sanitizer's library, which knows nothing of fibers, but with racecheck.cpp, which has functions of these
//          names of its own. For each word of shared and device memory it keeps the last accesses (race_shadow.hpp)
//          and compares each new access with them:
//     - races within a warp, a block, a grid: both accesses with thread and line;
//     - reads of memory that nobody has written;
//     - accesses out of the bounds of a buffer or an array, and misaligned ones;
//     - shuffles that read a lane that takes no part.
//          What was found ends the launch with a gradus::Error, after the kernel has run.
// It also puts the accesses of a warp's lanes together into the requests that a card would make (access_counts.hpp).
// How to   CMake: link gradus::racecheck. By hand, with the same -march and -O flags twice:
//     g++ -std=c++20 -O1 -g -DGRADUS_EMULATE_CUDA -Iinclude -c include/gradus/machine/emulator/racecheck.cpp
//     g++ -std=c++20 -O1 -g -DGRADUS_EMULATE_CUDA -Iinclude -fsanitize=thread -c my_kernels.cpp
//     g++ my_kernels.o racecheck.o -pthread
// clang needs -fno-vectorize -fno-slp-vectorize as well: of accesses that it widens to more than 16 bytes it calls
// nothing.
// Lines come from addr2line (binutils) and need -g. GRADUS_EMULATOR_COUNTS=1 prints the counts when the program ends.
// Cost     30 times the plain emulator (a tiled matrix product); 30 bytes for each byte of memory that kernels touch.
//          Blocks run one by one.
#pragma once

#include <cstdint>
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
};

// Defined in racecheck.cpp.
std::vector<KernelCounts> take_kernel_counts();  // since the start or the last call, in the order of first launches
std::string table_of(const std::vector<KernelCounts>& counts);
void require_race_checker();  // a program that was compiled for the checker and not linked with it must not link

}  // namespace gradus::inline GRADUS_ABI::emulator
