// training/crc32.hpp   CRC-32: a checksum that a damaged file does not pass.
// Paper    Peterson & Brown 1961, "Cyclic codes for error detection". The polynomial and the order of bits are those of
//          IEEE 802.3, zip and PNG.
// Property The bytes are the coefficients of a polynomial over {0, 1}, the checksum is its remainder modulo one of
//          degree 32. A change within 32 neighbouring bits always changes the remainder; of other changes one in 2^32
//          escapes.
// Cost     one table look-up a byte. It guards against accidents, not against intent.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "gradus/core/abi.hpp"

namespace gradus::inline GRADUS_ABI {

// The remainder of every single byte.
constexpr std::array<std::uint32_t, 256> crc32_table() {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        std::uint32_t remainder = byte;
        for (int bit = 0; bit < 8; ++bit) remainder = remainder & 1 ? remainder >> 1 ^ 0xEDB88320u : remainder >> 1;
        table[byte] = remainder;
    }
    return table;
}

// To continue with more bytes, pass the result for the ones before them: crc32(b, crc32(a)) is the checksum of a then
// b.
inline std::uint32_t crc32(std::span<const std::byte> bytes, std::uint32_t before = 0) {
    static constexpr std::array<std::uint32_t, 256> table = crc32_table();
    std::uint32_t remainder = ~before;
    for (const std::byte byte : bytes)
        remainder = table[(remainder ^ static_cast<std::uint32_t>(byte)) & 0xffu] ^ remainder >> 8;
    return ~remainder;
}

}  // namespace gradus::inline GRADUS_ABI
