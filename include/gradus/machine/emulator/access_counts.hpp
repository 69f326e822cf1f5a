// machine/emulator/access_counts.hpp   From single accesses to a card's requests: sectors and banks. Branches.
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
#include <array>
#include <unordered_map>
#include <vector>

#include "gradus/machine/emulator/block.hpp"
#include "gradus/machine/emulator/race_checker.hpp"

namespace gradus::inline GRADUS_ABI::emulator {

// One instruction, executed once by some lanes of a warp: where each of them went.
struct WarpRequest {
    std::uint32_t lanes = 0;
    std::array<std::uintptr_t, lanes_per_warp> address;
};

// The addresses of lanes [first, first + count) that take part, sorted.
struct SortedAddresses {
    std::array<std::uintptr_t, lanes_per_warp> address;
    unsigned count = 0;

    SortedAddresses(const WarpRequest& request, unsigned first_lane, unsigned lanes) {
        for (unsigned lane = first_lane; lane < first_lane + lanes; ++lane)
            if ((request.lanes >> lane & 1) != 0) address[count++] = request.address[lane];
        if (!std::is_sorted(address.begin(), address.begin() + count))
            std::sort(address.begin(), address.begin() + count);
    }
};

// How many different units of memory are touched: of 32 bytes, sectors; of 1 byte, the bytes that are asked for.
inline std::uint64_t units_touched(const SortedAddresses& sorted, std::uintptr_t bytes, std::uintptr_t unit) {
    std::uint64_t touched = 0;
    std::uintptr_t counted_up_to = 0;  // units below are counted
    for (unsigned i = 0; i < sorted.count; ++i) {
        const std::uintptr_t begin = std::max(counted_up_to, sorted.address[i] / unit);
        const std::uintptr_t end = (sorted.address[i] + bytes - 1) / unit + 1;
        if (end > begin) touched += end - begin;
        counted_up_to = std::max(counted_up_to, end);
    }
    return touched;
}

// Passes through shared memory for lanes that go together: the most different words that one bank has to give.
inline std::uint64_t bank_passes(const SortedAddresses& sorted, std::uintptr_t bytes) {
    std::uint64_t in_bank[32] = {}, most = 0;
    std::uintptr_t counted_up_to = 0;
    for (unsigned i = 0; i < sorted.count; ++i) {
        const std::uintptr_t end = (sorted.address[i] + bytes - 1) / 4 + 1;
        for (std::uintptr_t word = std::max(counted_up_to, sorted.address[i] / 4); word < end; ++word)
            most = std::max(most, ++in_bank[word % 32]);
        counted_up_to = std::max(counted_up_to, end);
    }
    return most;
}

// The accesses of one warp since its lanes last met, by instruction.
class WarpAccesses {
public:
    void add(std::uint32_t place, unsigned lane, std::uintptr_t address, unsigned bytes, bool is_write,
             bool is_shared) {
        const std::uint64_t key =
            std::uint64_t{place} << 16 | bytes << 2 | (is_write ? 2u : 0u) | (is_shared ? 1u : 0u);
        Instruction& instruction = find(key, bytes, is_write, is_shared);
        const std::uint32_t execution = instruction.executions[lane]++;
        if (execution == instruction.requests.size()) instruction.requests.emplace_back();
        instruction.used = std::max(instruction.used, execution + 1);
        WarpRequest& request = instruction.requests[execution];
        request.lanes |= 1u << lane;
        request.address[lane] = address;
    }

    // Adds up what the lanes have done, and forgets it.
    void flush(unsigned lanes_of_warp, KernelCounts& counts) {
        for (Instruction& instruction : instructions_) {
            if (instruction.used == 0) continue;
            for (std::uint32_t i = 0; i < instruction.used; ++i) {
                count(instruction, instruction.requests[i], lanes_of_warp, counts);
                instruction.requests[i].lanes = 0;
            }
            instruction.used = 0;
            instruction.executions.fill(0);
        }
    }

private:
    struct Instruction {
        std::uint64_t key;
        unsigned bytes;
        bool is_write, is_shared;
        std::uint32_t used = 0;                                     // requests
        std::array<std::uint32_t, lanes_per_warp> executions = {};  // by each lane
        std::vector<WarpRequest> requests;
    };

    Instruction& find(std::uint64_t key, unsigned bytes, bool is_write, bool is_shared) {
        std::uint32_t& guess = guesses_[(key ^ key >> 16) % guesses_.size()];
        if (guess < instructions_.size() && instructions_[guess].key == key) return instructions_[guess];
        const auto known = numbers_.insert({key, static_cast<std::uint32_t>(instructions_.size())});
        if (known.second) instructions_.push_back({key, bytes, is_write, is_shared, 0, {}, {}});
        guess = known.first->second;
        return instructions_[guess];
    }

    static void count(const Instruction& instruction, const WarpRequest& request, unsigned lanes_of_warp,
                      KernelCounts& counts) {
        const unsigned lanes = static_cast<unsigned>(std::popcount(request.lanes));
        counts.lanes += lanes;
        ++counts.instructions;
        if (lanes < lanes_of_warp) ++counts.partial_requests;
        if (instruction.is_shared) {  // in halves or quarters of the warp where lanes want more than 4 bytes
            const unsigned together = instruction.bytes <= 4 ? 32 : std::max(1u, 128 / instruction.bytes);
            for (unsigned first = 0; first < lanes_per_warp; first += together) {
                const SortedAddresses sorted(request, first, together);
                if (sorted.count == 0) continue;
                ++counts.shared_requests;
                counts.shared_passes += bank_passes(sorted, instruction.bytes);
            }
            return;
        }
        const SortedAddresses sorted(request, 0, lanes_per_warp);
        const std::uint64_t sectors = units_touched(sorted, instruction.bytes, 32);
        counts.least_sectors += (units_touched(sorted, instruction.bytes, 1) + 31) / 32;
        (instruction.is_write ? counts.store_requests : counts.load_requests) += 1;
        (instruction.is_write ? counts.store_sectors : counts.load_sectors) += sectors;
    }

    std::vector<Instruction> instructions_;
    std::unordered_map<std::uint64_t, std::uint32_t> numbers_;  // key: index in instructions_
    std::array<std::uint32_t, 256> guesses_ = {};
};

// The basic blocks (stretches of code without a branch) that the lanes of one warp have run since they last met, by the
// address of the code; the executions of the lanes are put together as those of an access are.
class WarpBranches {
public:
    void add(std::uint32_t place, unsigned lane) {
        Code& code = find(place);
        const std::uint32_t execution = code.executions[lane]++;
        if (execution == code.lanes.size()) code.lanes.push_back(0);
        code.used = std::max(code.used, execution + 1);
        code.lanes[execution] |= 1u << lane;
    }
    void flush(unsigned lanes_of_warp, KernelCounts& counts) {
        for (Code& code : codes_) {
            if (code.used == 0) continue;
            for (std::uint32_t i = 0; i < code.used; ++i) {
                const unsigned lanes = static_cast<unsigned>(std::popcount(code.lanes[i]));
                ++counts.code_blocks;
                counts.code_lanes += lanes;
                if (lanes < lanes_of_warp) ++counts.divergent_blocks;
                code.lanes[i] = 0;
            }
            code.used = 0;
            code.executions.fill(0);
        }
    }

private:
    struct Code {
        std::uint32_t place;
        std::uint32_t used = 0;
        std::array<std::uint32_t, lanes_per_warp> executions = {};  // by each lane
        std::vector<std::uint32_t> lanes;                           // of each execution
    };

    Code& find(std::uint32_t place) {
        std::uint32_t& guess = guesses_[place / 4 % guesses_.size()];
        if (guess < codes_.size() && codes_[guess].place == place) return codes_[guess];
        const auto known = numbers_.insert({place, static_cast<std::uint32_t>(codes_.size())});
        if (known.second) codes_.push_back({place, 0, {}, {}});
        guess = known.first->second;
        return codes_[guess];
    }

    std::vector<Code> codes_;
    std::unordered_map<std::uint32_t, std::uint32_t> numbers_;  // place: index in codes_
    std::array<std::uint32_t, 256> guesses_ = {};
};

}  // namespace gradus::inline GRADUS_ABI::emulator
