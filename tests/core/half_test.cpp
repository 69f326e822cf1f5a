#include "gradus/core/half.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <initializer_list>
#include <limits>

#if defined(__F16C__)
#include <immintrin.h>
#endif

using namespace gradus;

namespace {

struct Rounding {
    float value;
    unsigned half, bfloat;
};

// The smallest float above x.
float after(float x) { return std::nextafter(x, std::numeric_limits<float>::infinity()); }

}  // namespace

TEST_CASE("floats round to the nearest 16-bit value, ties to even") {
    const Rounding fixtures[] = {
        {0.1f, 0x2e66, 0x3dcd},
        {1.0f / 3, 0x3555, 0x3eab},
        {-0.7f, 0xb99a, 0xbf33},
        {65504, 0x7bff, 0x4780},
        {65519, 0x7bff, 0x4780},
        {65520, 0x7c00, 0x4780},  // infinity
        {6.1e-5f, 0x03ff, 0x3880},
        {0x1p-24f, 0x0001, 0x3380},
        {0x1p-25f, 0x0000, 0x3300},
        {3e-8f, 0x0001, 0x3301},
        {1e-8f, 0x0000, 0x322c},
        {1 + 0x1p-11f, 0x3c00, 0x3f80},
        {1 + 3 * 0x1p-11f, 0x3c02, 0x3f80},
        {2049, 0x6800, 0x4500},
        {2051, 0x6802, 0x4500},
        {257, 0x5c04, 0x4380},
        {257.5f, 0x5c06, 0x4381},
        {1.00390625f, 0x3c04, 0x3f80},
        {1.01171875f, 0x3c0c, 0x3f82},
        {3.4e38f, 0x7c00, 0x7f80},
        {std::numeric_limits<float>::quiet_NaN(), 0x7e00, 0x7fc0},
    };
    for (const Rounding& fixture : fixtures) {
        INFO(fixture.value);
        CHECK(Half(fixture.value).bits == fixture.half);
        CHECK(BFloat16(fixture.value).bits == fixture.bfloat);
    }
}

// Why sums, weights and losses are kept in float (Micikevicius et al. 2017, arXiv 1710.03740, section 3).
TEST_CASE("what 16 bits lose") {
    Half half(0);
    BFloat16 bfloat(0);
    for (int i = 0; i < 4096; ++i) {
        half = Half(half + 1.0f);
        bfloat = BFloat16(bfloat + 1.0f);
    }
    CHECK(static_cast<float>(half) == 2048);  // counting stops where 1 is half a unit
    CHECK(static_cast<float>(bfloat) == 256);
    CHECK(static_cast<float>(Half(1 + 0x1p-11f)) == 1);  // an update of a weight
    CHECK(static_cast<float>(Half(1e-8f)) == 0);         // a gradient, gone
    const float scaled = Half(1e-8f * 65536);            // and saved by a loss that is 65536 times as large
    CHECK(scaled == doctest::Approx(6.5517e-4).epsilon(1e-5));
    CHECK(scaled / 65536 == doctest::Approx(9.997e-9).epsilon(1e-4));
    CHECK(static_cast<float>(BFloat16(1e-8f)) == doctest::Approx(1e-8).epsilon(0x1p-8));
}

TEST_CASE("every 16-bit value survives the way to float and back") {
    for (unsigned bits = 0; bits < 0x10000; ++bits) {
        const Half half = Half::from_bits(static_cast<std::uint16_t>(bits));
        const BFloat16 bfloat = BFloat16::from_bits(static_cast<std::uint16_t>(bits));
        const float from_half = half, from_bfloat = bfloat;
        if (std::isnan(from_half))
            REQUIRE(std::isnan(static_cast<float>(Half(from_half))));
        else
            REQUIRE(Half(from_half).bits == bits);
        if (std::isnan(from_bfloat))
            REQUIRE(std::isnan(static_cast<float>(BFloat16(from_bfloat))));
        else
            REQUIRE(BFloat16(from_bfloat).bits == bits);
    }
}

// Between two neighbours a and b everything up to the middle goes to one side. The middle is exact in float.
TEST_CASE("every Half and its neighbour meet in the middle") {
    for (unsigned bits = 0; bits < 0x7bff; ++bits) {
        const float low = Half::from_bits(static_cast<std::uint16_t>(bits));
        const float high = Half::from_bits(static_cast<std::uint16_t>(bits + 1));
        const float middle = low + (high - low) / 2;
        REQUIRE(Half(std::nextafter(middle, 0.0f)).bits == bits);
        REQUIRE(Half(middle).bits == bits + (bits & 1));  // the even one
        REQUIRE(Half(after(middle)).bits == bits + 1);
        REQUIRE(Half(-middle).bits == (0x8000 | (bits + (bits & 1))));
    }
}
TEST_CASE("every BFloat16 and its neighbour meet in the middle") {
    for (unsigned bits = 0; bits < 0x7f7f; ++bits) {
        const float low = BFloat16::from_bits(static_cast<std::uint16_t>(bits));
        const float high = BFloat16::from_bits(static_cast<std::uint16_t>(bits + 1));
        const float middle = low + (high - low) / 2;
        REQUIRE(BFloat16(std::nextafter(middle, 0.0f)).bits == bits);
        REQUIRE(BFloat16(middle).bits == bits + (bits & 1));
        REQUIRE(BFloat16(after(middle)).bits == bits + 1);
    }
}

TEST_CASE("infinities, NaN and zeros") {
    const float infinity = std::numeric_limits<float>::infinity();
    CHECK(Half(infinity).bits == 0x7c00);
    CHECK(Half(-infinity).bits == 0xfc00);
    CHECK(Half(1e30f).bits == 0x7c00);
    CHECK(BFloat16(infinity).bits == 0x7f80);
    CHECK(BFloat16(std::numeric_limits<float>::max()).bits == 0x7f80);
    CHECK(Half(-0.0f).bits == 0x8000);
    CHECK(BFloat16(-0.0f).bits == 0x8000);
    // A NaN whose payload lies in the dropped bits alone must not become an infinity.
    const float low_payload = std::bit_cast<float>(0x7f800001u);
    CHECK(std::isnan(static_cast<float>(Half(low_payload))));
    CHECK(std::isnan(static_cast<float>(BFloat16(low_payload))));
}

TEST_CASE("a double rounds through float") { CHECK(Half(0.1).bits == 0x2e66); }

#if defined(__F16C__)
TEST_CASE("the processor converts the same way") {
    for (unsigned bits = 0; bits < 0x10000; ++bits) {
        const Half half = Half::from_bits(static_cast<std::uint16_t>(bits));
        const float converted = _cvtsh_ss(static_cast<std::uint16_t>(bits));
        if (std::isnan(converted)) continue;
        REQUIRE(static_cast<float>(half) == converted);
    }
    // All exponents and signs, with fractions around every place where rounding decides.
    for (std::uint32_t high = 0; high < 0x10000; high += 3)
        for (const std::uint32_t low :
             {0x0000u, 0x0001u, 0x0fffu, 0x1000u, 0x1001u, 0x2fffu, 0x3000u, 0x7fffu, 0xffffu}) {
            const float value = std::bit_cast<float>(high << 16 | low);
            if (std::isnan(value)) continue;
            // Not _cvtss_sh(): in clang 14 that is a macro which -Wpedantic warns of.
            const __m128i converted = _mm_cvtps_ph(_mm_set_ss(value), _MM_FROUND_TO_NEAREST_INT);
            REQUIRE(Half(value).bits == static_cast<std::uint16_t>(_mm_extract_epi16(converted, 0)));
        }
}
#endif
