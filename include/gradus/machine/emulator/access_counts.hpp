// machine/emulator/access_counts.hpp   From single accesses to the requests that a card makes: sectors and banks.
// Problem  A card executes an instruction for a whole warp. What a load costs depends on all 32 addresses together:
//     device memory  moves in sectors of 32 bytes: 32 neighbouring floats are 4 sectors, 32 floats a row apart are 32;
//     shared memory  has 32 banks, word w lies in bank w mod 32: a request takes as many passes as the busiest bank has
//                    different words to give. Requests of 8 bytes a lane go in halves, of 16 bytes in quarters.
// Source   Best Practices Guide, "Coalesced Access to Global Memory", "Shared Memory and Memory Banks".
// Answer   The emulator runs lanes one after the other. The k-th execution of an instruction by one lane belongs
//          together with the k-th execution of the same instruction by the other lanes, since they last met. That is
//          exact unless lanes of a warp run through a loop that contains a branch in different ways.
#pragma once

#include <algorithm>
#include <vector>

#include "gradus/machine/emulator/block.hpp"
#include "gradus/machine/emulator/race_checker.hpp"

namespace gradus::inline GRADUS_ABI::emulator {

struct LaneAccess {
    std::uint32_t place, lane, sequence, occurrence;
    std::uintptr_t address;
    std::uint32_t bytes;
    bool is_write, is_shared;
};

// How many different values a short list holds.
inline std::uint64_t count_different(std::vector<std::uintptr_t>& values) {
    std::sort(values.begin(), values.end());
    return static_cast<std::uint64_t>(std::unique(values.begin(), values.end()) - values.begin());
}

// Sectors of 32 bytes that a request touches; with a unit of 1 it counts the bytes that are asked for.
inline std::uint64_t units_touched(const LaneAccess* first, const LaneAccess* last, std::uintptr_t unit) {
    std::vector<std::uintptr_t> touched;
    for (const LaneAccess* access = first; access != last; ++access)
        for (std::uintptr_t u = access->address / unit; u <= (access->address + access->bytes - 1) / unit; ++u)
            touched.push_back(u);
    return count_different(touched);
}

// Passes through shared memory: for each group of lanes, the most words that one bank has to give.
inline std::uint64_t bank_passes(const LaneAccess* first, const LaneAccess* last) {
    const std::uint32_t lanes_together = first->bytes <= 4 ? 32 : std::max(1u, 128 / first->bytes);
    std::uint64_t passes = 0;
    while (first != last) {
        std::vector<std::uintptr_t> words;
        const std::uint32_t group = first->lane / lanes_together;
        for (; first != last && first->lane / lanes_together == group; ++first)
            for (std::uintptr_t w = first->address / 4; w <= (first->address + first->bytes - 1) / 4; ++w)
                words.push_back(w);
        words.resize(count_different(words));
        std::uint64_t in_bank[32] = {}, most = 0;
        for (const std::uintptr_t word : words) most = std::max(most, ++in_bank[word % 32]);
        passes += most;
    }
    return passes;
}
// What they would be without conflicts: one for each group that takes part.
inline std::uint64_t least_passes(const LaneAccess* first, const LaneAccess* last) {
    const std::uint32_t lanes_together = first->bytes <= 4 ? 32 : std::max(1u, 128 / first->bytes);
    std::vector<std::uintptr_t> groups;
    for (const LaneAccess* access = first; access != last; ++access) groups.push_back(access->lane / lanes_together);
    return count_different(groups);
}

// The accesses of one warp since its lanes last met.
class WarpAccesses {
public:
    static constexpr std::size_t most = 1 << 21;  // more than that are counted in parts

    void add(const LaneAccess& access, unsigned lanes_of_warp, KernelCounts& counts) {
        accesses_.push_back(access);
        accesses_.back().sequence = static_cast<std::uint32_t>(accesses_.size());
        if (accesses_.size() >= most) flush(lanes_of_warp, counts);
    }

    void flush(unsigned lanes_of_warp, KernelCounts& counts) {
        // Number each lane's executions of each instruction, then bring those with the same number together.
        const auto by_lane = [](const LaneAccess& a, const LaneAccess& b) {
            return std::tuple(a.place, a.lane, a.sequence) < std::tuple(b.place, b.lane, b.sequence);
        };
        std::sort(accesses_.begin(), accesses_.end(), by_lane);
        for (std::size_t i = 0; i < accesses_.size(); ++i) {
            const bool is_first =
                i == 0 || accesses_[i].place != accesses_[i - 1].place || accesses_[i].lane != accesses_[i - 1].lane;
            accesses_[i].occurrence = is_first ? 0 : accesses_[i - 1].occurrence + 1;
        }
        const auto by_request = [](const LaneAccess& a, const LaneAccess& b) {
            return std::tuple(a.place, a.occurrence, a.lane) < std::tuple(b.place, b.occurrence, b.lane);
        };
        std::sort(accesses_.begin(), accesses_.end(), by_request);
        const LaneAccess* const end = accesses_.data() + accesses_.size();
        for (const LaneAccess* first = accesses_.data(); first != end;) {
            const LaneAccess* last = first;
            while (last != end && last->place == first->place && last->occurrence == first->occurrence) ++last;
            count(first, last, lanes_of_warp, counts);
            first = last;
        }
        accesses_.clear();
    }

private:
    static void count(const LaneAccess* first, const LaneAccess* last, unsigned lanes_of_warp, KernelCounts& counts) {
        const std::uint64_t lanes = static_cast<std::uint64_t>(last - first);
        counts.lanes += lanes;
        counts.partial_requests += lanes < lanes_of_warp;
        if (first->is_shared) {
            counts.shared_requests += least_passes(first, last);
            counts.shared_passes += bank_passes(first, last);
            return;
        }
        const std::uint64_t sectors = units_touched(first, last, 32);
        counts.least_sectors += (units_touched(first, last, 1) + 31) / 32;
        (first->is_write ? counts.store_requests : counts.load_requests) += 1;
        (first->is_write ? counts.store_sectors : counts.load_sectors) += sectors;
    }

    std::vector<LaneAccess> accesses_;
};

}  // namespace gradus::inline GRADUS_ABI::emulator
