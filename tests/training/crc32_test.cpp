#include "gradus/training/crc32.hpp"

#include <doctest/doctest.h>

#include <string_view>
#include <vector>

using namespace gradus;

namespace {

std::span<const std::byte> bytes_of_text(std::string_view text) { return std::as_bytes(std::span<const char>(text)); }

}  // namespace

TEST_CASE("CRC-32 has the check value of its catalogue entry") {
    CHECK(crc32(bytes_of_text("123456789")) == 0xCBF43926u);
    CHECK(crc32({}) == 0);
}

TEST_CASE("CRC-32 continues") {
    CHECK(crc32(bytes_of_text("6789"), crc32(bytes_of_text("12345"))) == 0xCBF43926u);
    CHECK(crc32({}, 0xCBF43926u) == 0xCBF43926u);
}

TEST_CASE("CRC-32 sees every flipped bit and every burst of up to 32 bits") {
    std::vector<std::byte> data(100);
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i * 37 + 5);
    const std::uint32_t intact = crc32(data);
    for (std::size_t bit = 0; bit < data.size() * 8; ++bit) {
        const std::byte mask = static_cast<std::byte>(1u << bit % 8);
        data[bit / 8] ^= mask;
        CHECK(crc32(data) != intact);
        data[bit / 8] ^= mask;
    }
    for (std::size_t i = 0; i + 4 <= data.size(); ++i) {
        for (std::size_t k = 0; k < 4; ++k) data[i + k] ^= std::byte{0xff};
        CHECK(crc32(data) != intact);
        for (std::size_t k = 0; k < 4; ++k) data[i + k] ^= std::byte{0xff};
    }
    CHECK(crc32(data) == intact);
}
