// core/random.hpp   Random numbers: Philox 4x32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy
//                   as 1, 2, 3", section 3.3).
// Problem  A generator with hidden state gives other numbers when threads ask in another order, or after a resume.
// Answer   A block cipher on a counter. Number i of stream s of seed k is a pure function of (k, s, i): any thread may
//          compute any of them, and the whole state to save is three integers.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <utility>
#include <vector>

#include "gradus/core/check.hpp"
#include "gradus/core/shape.hpp"

namespace gradus::inline GRADUS_ABI {

// What the cipher turns into what. (Not std::array: in CUDA its [] is for the host alone.)
struct PhiloxBlock {
    std::uint32_t word[4];

    GRADUS_HOST_DEVICE std::uint32_t operator[](std::size_t i) const { return word[i]; }
    friend bool operator==(const PhiloxBlock&, const PhiloxBlock&) = default;
};
struct PhiloxKey {
    std::uint32_t word[2];
};

// Ten rounds of multiply, swap and xor. The constants are the paper's.
GRADUS_HOST_DEVICE inline PhiloxBlock philox(PhiloxBlock counter, PhiloxKey key) {
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t a = std::uint64_t{0xD2511F53u} * counter[0];
        const std::uint64_t b = std::uint64_t{0xCD9E8D57u} * counter[2];
        counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key.word[0], static_cast<std::uint32_t>(b),
                   static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key.word[1], static_cast<std::uint32_t>(a)};
        key.word[0] += 0x9E3779B9u;  // the golden ratio
        key.word[1] += 0xBB67AE85u;  // sqrt(3) - 1
    }
    return counter;
}

// A stream of random numbers. Copy it to fork it, compare or save its three fields to resume it.
struct Generator {
    std::uint64_t seed = 0;
    std::uint64_t stream = 0;
    std::uint64_t position = 0;  // how many 64-bit words have been drawn

    // Words 2i and 2i + 1 of the stream, low halves first, without moving the position.
    GRADUS_HOST_DEVICE PhiloxBlock block(std::uint64_t i) const {
        return philox({low(i), high(i), low(stream), high(stream)}, {low(seed), high(seed)});
    }
    // Word i of the stream, without moving the position.
    GRADUS_HOST_DEVICE std::uint64_t at(std::uint64_t i) const {
        const PhiloxBlock halves = block(i / 2);
        return i % 2 == 0 ? halves[0] | std::uint64_t{halves[1]} << 32 : halves[2] | std::uint64_t{halves[3]} << 32;
    }
    std::uint64_t next() { return at(position++); }

    // In [0, 1), a multiple of 2^-53.
    double uniform() { return to_unit(next()); }
    double uniform(double low_end, double high_end) { return low_end + (high_end - low_end) * uniform(); }
    static GRADUS_HOST_DEVICE double to_unit(std::uint64_t word) { return static_cast<double>(word >> 11) * 0x1p-53; }

    // Mean 0, variance 1 (Box & Muller 1958). 1 - u is in (0, 1], so the logarithm is finite.
    double normal() {
        const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
        return radius * std::cos(2.0 * std::numbers::pi * uniform());
    }

    // 0 to n-1, each equally likely: words from the incomplete last multiple of n are drawn again.
    std::uint64_t below(std::uint64_t n) {
        GRADUS_CHECK(n > 0, "below: n must be positive");
        const std::uint64_t rest = (~std::uint64_t{0} % n + 1) % n;  // 2^64 mod n
        std::uint64_t word = next();
        while (word > ~std::uint64_t{0} - rest) word = next();
        return word % n;
    }

    // 0 to n-1 in random order (Fisher & Yates, Durstenfeld 1964).
    std::vector<Index> permutation(Index n) {
        std::vector<Index> order(static_cast<std::size_t>(n));
        for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<Index>(i);
        for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[below(i)]);
        return order;
    }

    friend bool operator==(const Generator&, const Generator&) = default;

private:
    static GRADUS_HOST_DEVICE std::uint32_t low(std::uint64_t x) { return static_cast<std::uint32_t>(x); }
    static GRADUS_HOST_DEVICE std::uint32_t high(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); }
};

// The generator that initialises parameters and draws dropout masks, unless one is given. Used from the main thread
// only.
inline Generator& default_generator() {
    static Generator generator;
    return generator;
}
inline void manual_seed(std::uint64_t seed) { default_generator() = Generator{seed, 0, 0}; }

}  // namespace gradus::inline GRADUS_ABI
