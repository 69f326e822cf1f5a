// machine/emulator/race_shadow.hpp   What the race checker remembers of each word, and when two accesses are a race.
// Two accesses race if they touch a common byte, come from different threads, at least one writes, not both are atomic,
// and neither is before the other (Lamport 1978, "happened before"). "Before" comes from:
//     - the order of one thread's own accesses;
//     - barriers of the block: the epoch counts them;
//     - __syncwarp, and fences with atomics: the checker has a clock that ticks at every such meeting, an access is
//       stamped with it, and a thread knows of others up to which tick it has seen what they did (vector clocks,
//       Mattern 1989);
//     - launches: what an earlier one did is before.
// A fence and then an atomic publish, at the atomic's address, what the thread did and knew before the fence; an atomic
// at this address and then a fence take it over (PTX ISA, "Memory Consistency Model": release and acquire patterns).
// __threadfence_block() does so within the block only.
// For each word of 4 bytes these are kept: the last write, and the last one before it to other bytes; and of reads and
// of atomics four each, namely the last one, and the last of another lane of the same warp, of another warp of the same
// block, and of another block. A later write races with some earlier read exactly if it races with one of these, as
// long as all lanes of a warp meet together and nobody uses fences; and so it is with a plain access and earlier
// atomics. Two plain writes that race are found at the second. With elements of less than 4 bytes something may be
// forgotten (writes to four bytes of one word, reads of both halves by many): a race may then show in one order of
// threads and not in another.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "gradus/machine/emulator/device_memory.hpp"

namespace gradus::inline GRADUS_ABI::emulator {

// An array or a buffer.
struct Range {
    const char* begin = nullptr;
    std::size_t bytes = 0;
    bool holds(const char* first, std::size_t count) const {
        return bytes > 0 && first >= begin && first + count <= begin + bytes;
    }
};

struct AccessRecord {
    std::uint32_t block = 0;  // a serial number over all launches; 0: no access
    std::uint32_t epoch = 0;  // barriers that had opened
    std::uint32_t tick = 0;   // of the checker's clock
    std::uint32_t place = 0;  // program_places.hpp
    std::uint16_t thread = 0;
    std::uint8_t bytes = 0;  // of the word, one bit each
    bool is_atomic = false;
};

// The newest accesses of one kind, from as many places as it takes to find every race with a later one.
struct RecentAccesses {
    AccessRecord last, in_same_warp, in_other_warp, in_other_block;  // other than those of the last

    void add(const AccessRecord& now) {
        if (last.block != now.block) {
            if (last.block != 0) in_other_block = last;
            in_same_warp.block = in_other_warp.block = 0;
        } else if (last.thread / lanes_per_warp != now.thread / lanes_per_warp) {
            in_other_warp = last;
            in_same_warp.block = 0;
        } else if (last.thread != now.thread) {
            in_same_warp = last;
        }
        last = now;
    }
};

struct ShadowCell {
    AccessRecord write, write_beside;  // beside: to bytes of the word that the last write left alone
    RecentAccesses atomics, reads;
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
    // For a piece of a struct, which may hold padding: of every 8 bytes, has at least one been written?
    bool some(std::size_t begin, std::size_t count) const {
        for (std::size_t i = 0; i < count; i += 8) {
            const std::size_t end = begin + std::min(i + 8, count);
            std::size_t at = begin + i;
            while (at < end && !all(at, 1)) ++at;
            if (at == end) return false;
        }
        return true;
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

// Up to which tick something is known of threads: earlier accesses are seen.
class Knowledge {
public:
    // Of a block, given by its serial number, one thread or all of them; and for whom: for its own block only, or for
    // the whole device.
    static constexpr std::uint32_t all_threads = most_threads;
    static constexpr std::uint64_t whole_device = std::uint64_t{1} << 63;
    static std::uint64_t key(std::uint32_t block, std::uint32_t thread, bool for_device) {
        return std::uint64_t{block} << 16 | thread | (for_device ? whole_device : 0);
    }

    void learn(std::uint64_t key, std::uint32_t tick) {
        std::uint32_t& known = ticks_[key];
        known = std::max(known, tick);
    }
    void learn(const Knowledge& other) {
        for (const auto& [key, tick] : other.ticks_) learn(key, tick);
    }
    void learn_for_device(const Knowledge& other) {  // without what is for one block only
        for (auto at = other.ticks_.lower_bound(whole_device); at != other.ticks_.end(); ++at)
            learn(at->first, at->second);
    }
    void learn_for_block(const Knowledge& other) {
        for (auto at = other.ticks_.begin(); at != other.ticks_.lower_bound(whole_device); ++at)
            learn(at->first, at->second);
    }
    std::uint32_t of(std::uint64_t key) const {
        const auto found = ticks_.find(key);
        return found == ticks_.end() ? 0 : found->second;
    }
    void forget_for_block() { ticks_.erase(ticks_.begin(), ticks_.lower_bound(whole_device)); }
    // The block's threads have met: instead of each thread, all of them, up to the newest tick.
    void join_threads(std::uint32_t block) {
        const auto first = ticks_.lower_bound(key(block, 0, true)),
                   last = ticks_.upper_bound(key(block, all_threads, true));
        std::uint32_t newest = 0;
        for (auto at = first; at != last; ++at) newest = std::max(newest, at->second);
        ticks_.erase(first, last);
        if (newest > 0) ticks_[key(block, all_threads, true)] = newest;
    }

private:
    std::map<std::uint64_t, std::uint32_t> ticks_;
};

// Who knows of whom: the running block's threads of one another, and of other blocks of the launch.
class HappenedBefore {
public:
    void launch_begins() {
        first_block_ = next_block_;
        published_.clear();
    }
    void block_begins() {
        current_block_ = next_block_++;
        known_.assign(most_threads * lanes_per_warp, 0);
        fences_.clear();
        for (auto& [address, knowledge] : published_) knowledge.forget_for_block();
        barrier_tick_ = ++tick_;
    }
    std::uint32_t current_block() const { return current_block_; }
    std::uint32_t blocks_before() const { return first_block_; }  // the serial number of the launch's first block
    std::uint32_t tick() const { return tick_; }

    // __syncwarp
    void lanes_met(unsigned warp, std::uint32_t lanes) {
        ++tick_;
        std::uint32_t newest[lanes_per_warp] = {};
        std::uint32_t* const known = &known_[warp * lanes_per_warp * lanes_per_warp];
        Fences fences;
        for (unsigned lane = 0; lane < lanes_per_warp; ++lane) {
            if ((lanes >> lane & 1) == 0) continue;
            known[lane * lanes_per_warp + lane] = tick_;
            for (unsigned other = 0; other < lanes_per_warp; ++other)
                newest[other] = std::max(newest[other], known[lane * lanes_per_warp + other]);
            if (const auto its = fences_.find(warp * lanes_per_warp + lane); its != fences_.end())
                fences.learn(its->second);
        }
        const bool has_fences = !fences_.empty();
        for (unsigned lane = 0; lane < lanes_per_warp; ++lane) {
            if ((lanes >> lane & 1) == 0) continue;
            std::copy_n(newest, lanes_per_warp, known + lane * lanes_per_warp);
            if (has_fences) fences_[warp * lanes_per_warp + lane] = fences;
        }
    }
    // __syncthreads: the epoch orders the block's own accesses; what its threads know of other blocks, all know now.
    void block_met() {
        barrier_tick_ = ++tick_;
        if (fences_.empty()) return;
        Fences joined;
        for (const auto& [thread, fences] : fences_) joined.learn(fences);
        joined.published.forget_for_block();
        joined.published.join_threads(current_block_);
        fences_.clear();
        fences_[Knowledge::all_threads] = joined;
    }

    void fence(unsigned thread, bool for_device) {
        ++tick_;
        Fences& mine = fences_[thread];
        for (const unsigned who : {thread, Knowledge::all_threads}) {
            const auto its = fences_.find(who);
            if (its == fences_.end()) continue;
            mine.known.learn_for_block(its->second.seen);
            mine.known.learn_for_block(its->second.known);
            if (for_device) mine.known.learn_for_device(its->second.seen);
            mine.known.learn_for_device(its->second.known);
        }
        for (const bool is_for_device : {false, true}) {
            if (is_for_device && !for_device) continue;
            const auto key = [&](unsigned of) { return Knowledge::key(current_block_, of, is_for_device); };
            mine.published.learn(key(thread), tick_);
            mine.published.learn(key(Knowledge::all_threads), barrier_tick_);
            const unsigned first = thread / lanes_per_warp * lanes_per_warp;
            for (unsigned lane = 0; lane < lanes_per_warp; ++lane)
                if (const std::uint32_t tick = known_[thread * lanes_per_warp + lane]; tick > barrier_tick_)
                    mine.published.learn(key(first + lane), tick);
        }
        mine.published.learn_for_block(mine.known);
        if (for_device) mine.published.learn_for_device(mine.known);
    }
    void atomic(unsigned thread, const void* address) {
        const auto there = published_.find(address);
        if (there != published_.end()) fences_[thread].seen.learn(there->second);
        for (const unsigned who : {thread, Knowledge::all_threads})
            if (const auto its = fences_.find(who); its != fences_.end())
                published_[address].learn(its->second.published);
    }

    bool is_race(const AccessRecord& earlier, const AccessRecord& now, bool is_shared) const {
        if (earlier.block < first_block_) return false;             // no access, or one of an earlier launch
        if (is_shared && earlier.block != now.block) return false;  // another block had the arena before
        if ((earlier.bytes & now.bytes) == 0 || (earlier.is_atomic && now.is_atomic)) return false;
        const bool is_other_block = earlier.block != now.block;
        if (!is_other_block) {
            if (earlier.epoch != now.epoch || earlier.thread == now.thread) return false;
            const bool is_same_warp = earlier.thread / lanes_per_warp == now.thread / lanes_per_warp;
            const unsigned lane = earlier.thread % lanes_per_warp;
            if (is_same_warp && known_[now.thread * lanes_per_warp + lane] > earlier.tick) return false;
        }
        for (const std::uint32_t thread : {std::uint32_t{earlier.thread}, Knowledge::all_threads}) {
            const std::uint64_t key = Knowledge::key(earlier.block, thread, is_other_block);
            for (const unsigned who : {unsigned{now.thread}, Knowledge::all_threads})
                if (const auto its = fences_.find(who);
                    its != fences_.end() && its->second.known.of(key) > earlier.tick)
                    return false;
        }
        return true;
    }

private:
    struct Fences {
        Knowledge seen;       // at addresses of atomics, and not known yet: for want of a fence
        Knowledge known;      // of threads of other warps
        Knowledge published;  // by the next atomic: what was known at the last fence
        void learn(const Fences& other) {
            seen.learn(other.seen);
            known.learn(other.known);
            published.learn(other.published);
        }
    };
    std::uint32_t next_block_ = 1, first_block_ = 1, current_block_ = 0;
    std::uint32_t tick_ = 1, barrier_tick_ = 1;  // the clock; and its value at the last barrier
    std::vector<std::uint32_t> known_;           // known_[thread][lane of its warp]: up to which tick
    std::map<unsigned, Fences> fences_;          // of threads that use them, and of all_threads at the last barrier
    std::map<const void*, Knowledge> published_;
};

struct Conflict {
    AccessRecord other;
    bool other_wrote = false;
};

// Compares an access with what the cell remembers, and remembers it. True if it races; `conflict` then says with what.
inline bool compare_and_remember(ShadowCell& cell, const AccessRecord& now, bool is_write, bool is_shared,
                                 const HappenedBefore& order, Conflict& conflict) {
    bool is_race = false;
    const auto compare = [&](const AccessRecord& earlier, bool earlier_wrote) {
        if (is_race || !order.is_race(earlier, now, is_shared)) return;
        conflict = {earlier, earlier_wrote};
        is_race = true;
    };
    const auto compare_all = [&](const RecentAccesses& recent, bool earlier_wrote) {
        if (recent.last.block < order.blocks_before()) return;  // of an earlier launch, and all of them
        compare(recent.last, earlier_wrote);
        compare(recent.in_same_warp, earlier_wrote);
        compare(recent.in_other_warp, earlier_wrote);
        compare(recent.in_other_block, earlier_wrote);
    };
    compare(cell.write, true);
    compare(cell.write_beside, true);
    if (!now.is_atomic) compare_all(cell.atomics, true);
    if (is_write) compare_all(cell.reads, false);
    if (now.is_atomic) {
        cell.atomics.add(now);
    } else if (is_write) {
        if ((cell.write.bytes & ~now.bytes) != 0) cell.write_beside = cell.write;
        if ((cell.write_beside.bytes & ~now.bytes) == 0) cell.write_beside.block = 0;
        cell.write = now;
    } else {
        cell.reads.add(now);
    }
    return is_race;
}

}  // namespace gradus::inline GRADUS_ABI::emulator
