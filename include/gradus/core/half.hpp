// core/half.hpp   The two 16-bit floating-point types, as storage: arithmetic happens in float.
//     Half      1 sign, 5 exponent, 10 fraction bits (IEEE 754 binary16): 11 significant bits, at most 65504.
//     BFloat16  1 sign, 8 exponent,  7 fraction bits: the upper half of a float. The range of float, 8 significant
//               bits.
// Conversion from float rounds to the nearest value, ties to even; converting back is exact. A Half becomes a float by
// itself, a float becomes a Half only where the program says so: Half(x).
// __builtin_bit_cast is what std::bit_cast calls; device code may use it directly, but not a host function.
#pragma once

#include <cstdint>

#include "gradus/core/abi.hpp"

namespace gradus::inline GRADUS_ABI {

struct Half {
    std::uint16_t bits;

    Half() = default;
    GRADUS_HOST_DEVICE explicit constexpr Half(float value) : bits(round(value)) {}
    GRADUS_HOST_DEVICE explicit constexpr Half(double value) : Half(static_cast<float>(value)) {}
    GRADUS_HOST_DEVICE explicit constexpr Half(int value) : Half(static_cast<float>(value)) {}

    GRADUS_HOST_DEVICE constexpr operator float() const {
        const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
        const std::uint32_t exponent = (bits >> 10) & 0x1fu;
        const std::uint32_t fraction = bits & 0x3ffu;
        if (exponent == 31) return __builtin_bit_cast(float, sign | 0x7f800000u | fraction << 13);  // infinity, NaN
        if (exponent > 0) return __builtin_bit_cast(float, sign | (exponent + 112) << 23 | fraction << 13);
        const float magnitude = static_cast<float>(fraction) * 0x1p-24f;  // zero and subnormals
        return sign ? -magnitude : magnitude;
    }
    static GRADUS_HOST_DEVICE constexpr Half from_bits(std::uint16_t bits) {
        Half h(0.0f);
        h.bits = bits;
        return h;
    }

private:
    static GRADUS_HOST_DEVICE constexpr std::uint16_t round(float value) {
        const std::uint32_t x = __builtin_bit_cast(std::uint32_t, value);
        const std::uint32_t sign = (x >> 16) & 0x8000u;
        const std::uint32_t magnitude = x & 0x7fffffffu;
        std::uint32_t rounded = 0;
        if (magnitude > 0x7f800000u) {
            rounded = 0x7e00u;  // NaN
        } else if (magnitude >= 0x477ff000u) {
            rounded = 0x7c00u;  // 65520 and more round to infinity
        } else if (magnitude >= 0x38800000u) {
            // Normal: shift the exponent's bias from 127 to 15 and drop 13 fraction bits. Adding just under half of the
            // dropped unit, plus the lowest kept bit, rounds to nearest with ties to even.
            const std::uint32_t rebiased = magnitude - 0x38000000u;
            rounded = (rebiased + 0xfffu + (rebiased >> 13 & 1u)) >> 13;
        } else if (magnitude >= 0x33000000u) {
            // Subnormal: the significand, with its hidden bit, counts units of 2^-24.
            const std::uint32_t shift = 126u - (magnitude >> 23);  // 14 to 24 bits are dropped
            const std::uint32_t significand = (magnitude & 0x7fffffu) | 0x800000u;
            const std::uint32_t half = 1u << (shift - 1);
            rounded = (significand + half - 1u + (significand >> shift & 1u)) >> shift;
        }
        return static_cast<std::uint16_t>(sign | rounded);
    }
};

struct BFloat16 {
    std::uint16_t bits;

    BFloat16() = default;
    GRADUS_HOST_DEVICE explicit constexpr BFloat16(float value) : bits(round(value)) {}
    GRADUS_HOST_DEVICE explicit constexpr BFloat16(double value) : BFloat16(static_cast<float>(value)) {}
    GRADUS_HOST_DEVICE explicit constexpr BFloat16(int value) : BFloat16(static_cast<float>(value)) {}

    GRADUS_HOST_DEVICE constexpr operator float() const {
        return __builtin_bit_cast(float, static_cast<std::uint32_t>(bits) << 16);
    }
    static GRADUS_HOST_DEVICE constexpr BFloat16 from_bits(std::uint16_t bits) {
        BFloat16 b(0.0f);
        b.bits = bits;
        return b;
    }

private:
    static GRADUS_HOST_DEVICE constexpr std::uint16_t round(float value) {
        const std::uint32_t x = __builtin_bit_cast(std::uint32_t, value);
        if ((x & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>((x >> 16 & 0x8000u) | 0x7fc0u);  // NaN
        return static_cast<std::uint16_t>((x + 0x7fffu + (x >> 16 & 1u)) >> 16);  // a carry into the exponent is right
    }
};

}  // namespace gradus::inline GRADUS_ABI
