// elementwise/dropout_cpu.hpp   The twins of dropout.hpp on all threads.
// For float 16 blocks of Philox advance side by side, 64 elements' worth. All loops have constant bounds and work on
// local arrays, so that g++ and clang turn them into vector instructions.
#pragma once

#include <cstring>

#include "gradus/elementwise/dropout.hpp"
#include "gradus/machine/cpu/chunks.hpp"

namespace gradus::inline GRADUS_ABI {

template <class T>
void dropout_apply(Cpu, const DropoutMask& mask, Vector<const T> x, Vector<T> y, Write mode) {
    static_assert(chunk_elements % 4 == 0);
    const Sum<T> growth = static_cast<Sum<T>>(mask.growth);
    for_chunks(x.size(), [&](Index begin, Index end) {
        for (Index i = begin; i < end; i += 4) {
            const PhiloxBlock words = mask.words(i / 4);
            for (Index k = 0; k < std::min<Index>(4, end - i); ++k) {
                const bool stays = words[static_cast<std::size_t>(k)] >= mask.below;
                put(y(i + k), stays ? Sum<T>(x(i + k)) * growth : Sum<T>(0), mode);
            }
        }
    });
}

struct PhiloxBlocks {
    static constexpr int count = 16;
    std::uint32_t words[4 * count];

    // Blocks `first` to first + 15 of the stream, as Generator::block() gives them (core/random.hpp).
    PhiloxBlocks(const Generator& generator, std::uint64_t first) {
        std::uint32_t c[4][count];
        for (int k = 0; k < count; ++k) {
            const std::uint64_t block = first + static_cast<std::uint64_t>(k);
            c[0][k] = static_cast<std::uint32_t>(block);
            c[1][k] = static_cast<std::uint32_t>(block >> 32);
            c[2][k] = static_cast<std::uint32_t>(generator.stream);
            c[3][k] = static_cast<std::uint32_t>(generator.stream >> 32);
        }
        std::uint32_t key[2] = {static_cast<std::uint32_t>(generator.seed),
                                static_cast<std::uint32_t>(generator.seed >> 32)};
        for (int round = 0; round < 10; ++round) {
            for (int k = 0; k < count; ++k) {
                const std::uint64_t a = std::uint64_t{0xD2511F53u} * c[0][k];
                const std::uint64_t b = std::uint64_t{0xCD9E8D57u} * c[2][k];
                c[0][k] = static_cast<std::uint32_t>(b >> 32) ^ c[1][k] ^ key[0];
                c[1][k] = static_cast<std::uint32_t>(b);
                c[2][k] = static_cast<std::uint32_t>(a >> 32) ^ c[3][k] ^ key[1];
                c[3][k] = static_cast<std::uint32_t>(a);
            }
            key[0] += 0x9E3779B9u;
            key[1] += 0xBB67AE85u;
        }
        for (int k = 0; k < count; ++k)
            for (int j = 0; j < 4; ++j) words[4 * k + j] = c[j][k];
    }
};

inline void dropout_apply(Cpu, const DropoutMask& mask, Vector<const float> x, Vector<float> y, Write mode) {
    constexpr int group = 4 * PhiloxBlocks::count;
    static_assert(chunk_elements % group == 0);
    const float growth = static_cast<float>(mask.growth);
    const std::uint32_t below = mask.below;
    for_chunks(x.size(), [&](Index begin, Index end) {
        for (Index i = begin; i < end; i += group) {
            const PhiloxBlocks blocks(mask.generator, mask.generator.position / 2 + static_cast<std::uint64_t>(i / 4));
            const std::size_t bytes = static_cast<std::size_t>(std::min<Index>(group, end - i)) * sizeof(float);
            float values[group] = {}, before[group] = {};
            std::memcpy(values, x.data() + i, bytes);
            if (mode == Write::add) std::memcpy(before, y.data() + i, bytes);
            for (int k = 0; k < group; ++k) {
                const float grown = values[k] * growth;  // computed in any case, so that the loop has no branch
                values[k] = before[k] + (blocks.words[k] >= below ? grown : 0.0f);
            }
            std::memcpy(y.data() + i, values, bytes);
        }
    });
}

}  // namespace gradus::inline GRADUS_ABI
