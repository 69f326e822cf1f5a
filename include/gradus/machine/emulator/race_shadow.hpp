// machine/emulator/race_shadow.hpp   What the race checker remembers of each word, and when two accesses are a race.
// Two accesses race if they touch a common byte, come from different threads, at least one writes, not both are atomic,
// and neither is before the other (Lamport 1978, "happened before"). "Before" comes from:
//     - the order of one thread's own accesses;
//     - barriers of the block: the epoch counts them;
//     - __syncwarp: each lane has a clock, and knows up to which time of the other lanes it has met them
//       (vector clocks, Mattern 1989; 32 entries, because only lanes of one warp meet this way);
//     - launches: what an earlier one did is before;
//     - between blocks: an atomic after a __threadfence() in one, then an atomic and a __threadfence() in the other.
// For each word of 4 bytes these are kept: the last write, the last atomic, and three reads: the last one, the last of
// another lane of the same warp, and the last of another warp. A later write races with some earlier read exactly if it
// races with one of these, as long as all lanes of a warp meet together. Of writes to different bytes of one word only
// the last is kept: with 16-bit elements a race may show in one order of threads and not in another.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "gradus/machine/emulator/device_memory.hpp"

namespace gradus::inline GRADUS_ABI::emulator {

struct AccessRecord {
    std::uint32_t block = 0;  // a serial number over all launches; 0: no access
    std::uint32_t epoch = 0;  // barriers that had opened
    std::uint32_t time = 0;   // of the lane's own clock
    std::uint32_t tick = 0;   // of the clock of fences and atomics
    std::uint32_t place = 0;  // program_places.hpp
    std::uint16_t thread = 0;
    std::uint8_t bytes = 0;  // of the word, one bit each
    bool is_atomic = false;
};

struct ShadowCell {
    AccessRecord write, atomic, last_read, read_in_same_warp, read_in_other_warp;
};

// Cells for a range of addresses, made in chunks as they are touched.
class Shadow {
public:
    static constexpr std::size_t words_per_chunk = 4096;

    void cover(std::size_t bytes) { chunks_.resize(bytes / 4 / words_per_chunk + 1); }
    ShadowCell& cell(std::size_t word) {
        std::unique_ptr<ShadowCell[]>& chunk = chunks_[word / words_per_chunk];
        if (!chunk) chunk = std::make_unique<ShadowCell[]>(words_per_chunk);
        return chunk[word % words_per_chunk];
    }

private:
    std::vector<std::unique_ptr<ShadowCell[]>> chunks_;
};

// Which bytes of a range have been written: one bit each.
class WrittenBytes {
public:
    void cover(std::size_t bytes) {
        void* memory =
            mmap(nullptr, bytes / 8 + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        GRADUS_CHECK(memory != MAP_FAILED, "race checker: no address space for its books");
        bits_ = static_cast<std::uint8_t*>(memory);
    }
    void set(std::size_t begin, std::size_t count, bool written) {
        if (written && begin % 8 + count <= 8) {
            bits_[begin / 8] = static_cast<std::uint8_t>(bits_[begin / 8] | ((1u << count) - 1) << begin % 8);
            return;
        }
        for (; count > 0 && begin % 8 != 0; ++begin, --count) set_one(begin, written);
        std::memset(bits_ + begin / 8, written ? 0xFF : 0, count / 8);
        for (begin += count / 8 * 8, count %= 8; count > 0; ++begin, --count) set_one(begin, written);
    }
    bool all(std::size_t begin, std::size_t count) const {
        const std::size_t bit = begin % 8;
        if (bit + count <= 8) {  // the usual case: within one byte of bits
            const unsigned mask = ((1u << count) - 1) << bit;
            return (bits_[begin / 8] & mask) == mask;
        }
        for (std::size_t i = begin; i < begin + count; ++i)
            if ((bits_[i / 8] >> i % 8 & 1) == 0) return false;
        return true;
    }

private:
    void set_one(std::size_t i, bool written) {
        const auto bit = static_cast<std::uint8_t>(1u << i % 8);
        bits_[i / 8] = static_cast<std::uint8_t>(written ? bits_[i / 8] | bit : bits_[i / 8] & ~bit);
    }
    std::uint8_t* bits_ = nullptr;
};

// Who knows of whom: the clocks of the running block's lanes, and fences of all blocks of the launch.
class HappenedBefore {
public:
    void launch_begins() { first_block_ = next_block_; }
    void block_begins() {
        current_block_ = next_block_++;
        fences_.resize(next_block_ - first_block_);
        fences_.back() = {};
        known_.assign(most_threads * lanes_per_warp, 0);
        for (unsigned t = 0; t < most_threads; ++t) known_[t * lanes_per_warp + t % lanes_per_warp] = 1;
    }
    std::uint32_t current_block() const { return current_block_; }
    std::uint32_t blocks_before() const { return first_block_; }  // the serial number of the launch's first block

    std::uint32_t time_of(unsigned thread) const { return known_[thread * lanes_per_warp + thread % lanes_per_warp]; }
    std::uint32_t tick() const { return tick_; }

    void lanes_met(unsigned warp, std::uint32_t lanes) {
        std::uint32_t newest[lanes_per_warp] = {};
        std::uint32_t* const known = &known_[warp * lanes_per_warp * lanes_per_warp];
        for (unsigned lane = 0; lane < lanes_per_warp; ++lane)
            for (unsigned other = 0; (lanes >> lane & 1) != 0 && other < lanes_per_warp; ++other)
                newest[other] = std::max(newest[other], known[lane * lanes_per_warp + other]);
        for (unsigned lane = 0; lane < lanes_per_warp; ++lane) {
            if ((lanes >> lane & 1) == 0) continue;
            std::copy_n(newest, lanes_per_warp, known + lane * lanes_per_warp);
            ++known[lane * lanes_per_warp + lane];  // what comes now, the others do not know yet
        }
    }

    void fence() {
        Fences& mine = fences_[current_block_ - first_block_];
        mine.fence = ++tick_;
        if (mine.atomic != 0) mine.acquire = tick_;
    }
    void atomic() {
        Fences& mine = fences_[current_block_ - first_block_];
        mine.atomic = ++tick_;
        if (mine.fence != 0) mine.release = tick_;
    }

    bool is_race(const AccessRecord& earlier, const AccessRecord& now, bool is_shared) const {
        if (earlier.block < first_block_) return false;             // no access, or one of an earlier launch
        if (is_shared && earlier.block != now.block) return false;  // another block had the arena before
        if ((earlier.bytes & now.bytes) == 0 || (earlier.is_atomic && now.is_atomic)) return false;
        if (earlier.block != now.block) {
            const std::uint32_t release = fences_[earlier.block - first_block_].release;
            const std::uint32_t acquire = fences_[now.block - first_block_].acquire;
            return !(earlier.tick < release && release < acquire);
        }
        if (earlier.epoch != now.epoch || earlier.thread == now.thread) return false;
        if (earlier.thread / lanes_per_warp != now.thread / lanes_per_warp) return true;
        return known_[now.thread * lanes_per_warp + earlier.thread % lanes_per_warp] < earlier.time;
    }

private:
    struct Fences {
        std::uint32_t fence = 0, atomic = 0, release = 0, acquire = 0;
    };
    std::uint32_t next_block_ = 1, first_block_ = 1, current_block_ = 0, tick_ = 1;
    std::vector<std::uint32_t> known_;  // known_[thread][lane]: up to which time of that lane the thread has met it
    std::vector<Fences> fences_;        // of the launch's blocks
};

struct Conflict {
    AccessRecord other;
    bool other_wrote = false;
};

// Compares an access with what the cell remembers, and remembers it. True if it races; `conflict` then says with what.
inline bool compare_and_remember(ShadowCell& cell, const AccessRecord& now, bool is_write, bool is_shared,
                                 const HappenedBefore& order, Conflict& conflict) {
    bool is_race = false;
    for (const AccessRecord* write : {&cell.write, &cell.atomic}) {
        if (!order.is_race(*write, now, is_shared)) continue;
        conflict = {*write, true};
        is_race = true;
    }
    if (is_write) {
        for (const AccessRecord* read : {&cell.last_read, &cell.read_in_same_warp, &cell.read_in_other_warp}) {
            if (is_race || !order.is_race(*read, now, is_shared)) continue;
            conflict = {*read, false};
            is_race = true;
        }
        (now.is_atomic ? cell.atomic : cell.write) = now;
        return is_race;
    }
    const AccessRecord& last = cell.last_read;
    if (last.block == now.block && last.thread / lanes_per_warp == now.thread / lanes_per_warp) {
        if (last.thread != now.thread) cell.read_in_same_warp = last;
    } else {
        if (last.block != 0) cell.read_in_other_warp = last;
        cell.read_in_same_warp.block = 0;
    }
    cell.last_read = now;
    return is_race;
}

}  // namespace gradus::inline GRADUS_ABI::emulator
