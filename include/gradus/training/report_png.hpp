// training/report_png.hpp   A picture as a data: URI, so that a page needs no other file.
// Format   PNG (RFC 2083): signature, then chunks of length, type, data and the CRC-32 of type and data: IHDR (size,
//          depth, colour type), IDAT (a zlib stream), IEND. Numbers have the most significant byte first. Each row of
//          pixels is preceded by a filter byte, 0: none.
//          zlib (RFC 1950) around deflate (RFC 1951), of which only stored blocks are used: at most 65535 bytes each,
//          as they are. Pictures of 32x32 pixels are small anyway.
//          Base64 (RFC 4648): three bytes become four letters.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "gradus/core/check.hpp"
#include "gradus/core/shape.hpp"
#include "gradus/training/crc32.hpp"

namespace gradus::inline GRADUS_ABI {

// The check sum of zlib.
inline std::uint32_t adler32(const std::string& bytes) {
    std::uint32_t a = 1, b = 0;
    for (const char c : bytes) {
        a = (a + static_cast<unsigned char>(c)) % 65521;  // the largest prime below 2^16
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

inline std::string four_bytes(std::uint32_t n) {
    return {static_cast<char>(n >> 24), static_cast<char>(n >> 16), static_cast<char>(n >> 8), static_cast<char>(n)};
}

inline std::string png_chunk(const std::string& type, const std::string& data) {
    const std::string content = type + data;
    const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(content.data()), content.size());
    return four_bytes(static_cast<std::uint32_t>(data.size())) + content + four_bytes(crc32(bytes));
}

GRADUS_COLD inline std::string zlib_stored(const std::string& bytes) {
    std::string out = "\x78\x01";  // deflate, window of 32 KB, no dictionary
    std::size_t begin = 0;
    bool is_last = false;
    while (!is_last) {
        const std::size_t size = std::min<std::size_t>(bytes.size() - begin, 65535);
        is_last = begin + size == bytes.size();
        out += static_cast<char>(is_last);  // 1: the last block; its type, in the next two bits, is 0: stored
        for (const std::size_t number : {size, ~size}) {
            out += static_cast<char>(number & 255);  // here the least significant byte comes first
            out += static_cast<char>(number >> 8 & 255);
        }
        out += bytes.substr(begin, size);
        begin += size;
    }
    return out + four_bytes(adler32(bytes));
}

// An image (H, W, C) of bytes: grey where C is 1 or 2, else red, green and blue of the first three channels.
GRADUS_COLD inline std::string encode_png(const std::vector<std::uint8_t>& image, const Shape& shape) {
    GRADUS_CHECK(shape.rank() == 3 && shape.numel() > 0, "png: an image has a shape (H, W, C), not ", shape);
    GRADUS_CHECK(static_cast<Index>(image.size()) == shape.numel(), "png: ", image.size(), " bytes for an image of ",
                 shape);
    const Index H = shape[0], W = shape[1], C = shape[2], shown = C < 3 ? 1 : 3;
    std::string rows;
    for (Index h = 0; h < H; ++h) {
        rows += '\0';
        for (Index w = 0; w < W; ++w)
            for (Index c = 0; c < shown; ++c)
                rows += static_cast<char>(image[static_cast<std::size_t>((h * W + w) * C + c)]);
    }
    const char colour_type = shown == 1 ? 0 : 2;
    const std::string header = four_bytes(static_cast<std::uint32_t>(W)) + four_bytes(static_cast<std::uint32_t>(H)) +
                               std::string{8 /* bits */, colour_type, 0, 0, 0};
    return "\x89PNG\r\n\x1a\n" + png_chunk("IHDR", header) + png_chunk("IDAT", zlib_stored(rows)) +
           png_chunk("IEND", "");
}

GRADUS_COLD inline std::string base64(const std::string& bytes) {
    const char* letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const std::size_t count = std::min<std::size_t>(bytes.size() - i, 3);
        std::uint32_t bits = 0;
        for (std::size_t k = 0; k < 3; ++k)
            bits = bits << 8 | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0);
        for (std::size_t k = 0; k < 4; ++k) out += k <= count ? letters[bits >> (18 - 6 * k) & 63] : '=';
    }
    return out;
}

inline std::string png_uri(const std::vector<std::uint8_t>& image, const Shape& shape) {
    return "data:image/png;base64," + base64(encode_png(image, shape));
}

}  // namespace gradus::inline GRADUS_ABI
