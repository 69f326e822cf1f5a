// machine/emulator/race_reports.hpp   What the race checker has found wrong in a launch, as the text of an error.
//     race on shared memory, byte 128 of tile
//       written by thread (32, 0, 0) of block (0, 0, 0) at reduce.cuh:42
//       read by thread (31, 0, 0) of block (0, 0, 0) at reduce.cuh:43
//       nothing orders these two: __syncthreads() would, between them
// The same two lines fault in every block and every round of a loop: each fault is told once.
#pragma once

#include <set>
#include <tuple>

#include "gradus/machine/emulator/grid.hpp"
#include "gradus/machine/emulator/kernel_memory.hpp"
#include "gradus/machine/emulator/memory_names.hpp"
#include "gradus/machine/emulator/program_places.hpp"
#include "gradus/machine/emulator/race_shadow.hpp"

namespace gradus::inline GRADUS_ABI::emulator {

class RaceReports {
public:
    void launch_begins() {
        own_ = foreign_ = {};
        block_indices_.clear();
    }
    void block_begins(std::uint32_t serial, std::uint64_t linear_index) {
        if (block_indices_.empty()) first_block_ = serial;
        block_indices_.push_back(linear_index);
    }
    // The kernel ends with an error of its own. Its text was made in host memory, by code that looks like the kernel's.
    void kernel_has_failed() { foreign_ = {}; }

    // What is wrong with an access to shared or device memory; of a race, with which other access.
    void add(const char* what, const char* byte, const AccessRecord& now, bool is_write, const Conflict* conflict) {
        if (!own_.is_new({what, now.place, conflict != nullptr ? conflict->other.place : 0})) return;
        own_.text += text("\n  ", what, " on ", describe_memory(byte), describe_access(now, is_write));
        if (conflict == nullptr) return;
        own_.text += text(describe_access(conflict->other, conflict->other_wrote),
                          "\n    nothing orders these two: ", what_would_order(now, conflict->other));
    }
    // An access to memory that is not the kernel's.
    void add_foreign(const Block& block, const char* byte, const AccessRecord& now, bool is_write) {
        if (!foreign_.is_new({"forbidden", now.place, 0})) return;
        foreign_.text +=
            text("\n  forbidden access to ", KernelMemory::describe(block, byte), describe_access(now, is_write));
    }
    void add_misuse(const std::string& what, unsigned thread, Site site) {
        if (!own_.is_new({"misuse", places_.of_site(site), 0})) return;
        own_.text += text("\n  ", what, "\n    by thread ", unflatten(thread, running_block->launch->block),
                          " of block ", blockIdx, " at ", site);
    }

    // "" if there is nothing to report.
    std::string of_launch(const Launch& launch) const {
        const std::size_t faults = own_.faults.size() + foreign_.faults.size();
        if (faults == 0) return "";
        return text(kernel_name(launch.kernel), ": the race checker found ", faults, faults == 1 ? " fault" : " faults",
                    " in the launch at ", describe_launch(launch), own_.text, foreign_.text);
    }

    ProgramPlaces& places() { return places_; }

private:
    struct Found {
        std::set<std::tuple<std::string, std::uint32_t, std::uint32_t>> faults;
        std::string text;
        // Is this to be reported? Each fault once, and 20 are enough to begin with.
        bool is_new(const std::tuple<std::string, std::uint32_t, std::uint32_t>& fault) {
            return faults.insert(fault).second && faults.size() <= 20;
        }
    };

    static std::string describe_memory(const char* byte) {
        if (device_memory().contains(byte)) return describe_device_memory(byte);
        return describe_shared_memory(*running_block, byte);
    }
    std::string describe_access(const AccessRecord& access, bool is_write) {
        const Launch& launch = *running_block->launch;
        return text("\n    ", is_write ? "written by" : "read by", " thread ", unflatten(access.thread, launch.block),
                    " of block ", unflatten(block_indices_[access.block - first_block_], launch.grid), " at ",
                    places_.describe(access.place));
    }
    static const char* what_would_order(const AccessRecord& one, const AccessRecord& other) {
        if (one.block != other.block) return "blocks of one launch are ordered by fences with atomics, or not at all";
        const bool is_same_warp = one.thread / lanes_per_warp == other.thread / lanes_per_warp;
        return is_same_warp ? "__syncwarp() would, between them" : "__syncthreads() would, between them";
    }

    ProgramPlaces places_;
    std::uint32_t first_block_ = 0;  // the serial number of the launch's first block
    std::vector<std::uint64_t> block_indices_;
    Found own_, foreign_;
};

}  // namespace gradus::inline GRADUS_ABI::emulator
