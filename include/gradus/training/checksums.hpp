// training/checksums.hpp   Safetensors files in which a damaged byte is found, and where.
// The metadata entry "checksums" holds hexadecimal CRC-32s of 8 digits each: the first one of everything before the
// tensors' bytes, taken while these 8 digits are zeros, then one for every tensor, in the order of their bytes. Other
// readers ignore the entry.
#pragma once

#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gradus/training/crc32.hpp"
#include "gradus/training/safetensors.hpp"

namespace gradus::inline GRADUS_ABI {

inline std::string eight_digits(std::uint32_t checksum) {
    char digits[9];
    std::snprintf(digits, sizeof digits, "%08x", static_cast<unsigned>(checksum));
    return digits;
}

// Where the checksums begin in the header of a file, npos where there are none. Inside of JSON strings quotes are
// escaped, so these characters in this order can only be the key.
inline std::size_t find_checksums(std::span<const std::byte> header) {
    constexpr std::string_view key = "\"checksums\":\"";
    const std::string_view view(reinterpret_cast<const char*>(header.data()), header.size());
    const std::size_t found = view.find(key);
    return found == std::string_view::npos || found + key.size() + 8 > view.size() ? std::string_view::npos
                                                                                   : found + key.size();
}

// The checksum of the bytes before the tensors, with its own digits as zeros.
inline std::uint32_t header_checksum(std::span<const std::byte> header, std::size_t digits) {
    const std::vector<std::byte> zeros(8, std::byte{'0'});
    const std::uint32_t until_zeros = crc32(zeros, crc32(header.first(digits)));
    return crc32(header.subspan(digits + 8), until_zeros);
}

// As encode_safetensors, with checksums.
GRADUS_COLD inline std::vector<std::byte> encode_with_checksums(std::vector<FileTensor> tensors,
                                                                std::map<std::string, std::string> metadata) {
    sort_for_file(tensors);
    std::size_t data_bytes = 0;
    std::string& checksums = metadata["checksums"] = std::string(8, '0');
    for (const FileTensor& tensor : tensors) {
        checksums += eight_digits(crc32(tensor.bytes));
        data_bytes += tensor.bytes.size();
    }
    std::vector<std::byte> contents = encode_safetensors(std::move(tensors), metadata);
    const std::span<std::byte> header = std::span(contents).first(contents.size() - data_bytes);
    const std::size_t digits = find_checksums(header);
    std::memcpy(header.data() + digits, eight_digits(header_checksum(header, digits)).data(), 8);
    return contents;
}

// Fails where a byte differs from what was written, and says in which part of the file.
GRADUS_COLD inline Status verify_checksums(const SafetensorsFile& file) {
    std::size_t data_bytes = 0;
    for (const FileTensor& tensor : file.tensors) data_bytes += tensor.bytes.size();
    const std::span<const std::byte> header = std::span(file.contents).first(file.contents.size() - data_bytes);
    const std::size_t digits = find_checksums(header);
    if (digits == std::string_view::npos) return Failure{file.path + ": it has no checksums"};
    const std::string_view header_view(reinterpret_cast<const char*>(header.data()), header.size());
    if (header_view.substr(digits, 8) != eight_digits(header_checksum(header, digits)))
        return Failure{text(file.path, ", bytes 0 to ", header.size() - 1, ": the header is damaged")};

    const std::string& checksums = file.metadata.at("checksums");
    if (checksums.size() != 8 * (file.tensors.size() + 1))
        return Failure{text(file.path, ", byte ", digits, ": ", file.tensors.size() + 1, " checksums expected")};
    for (std::size_t i = 0; i < file.tensors.size(); ++i) {
        const FileTensor& tensor = file.tensors[i];
        const Index begin = file.offset(tensor);
        if (checksums.substr(8 * (i + 1), 8) != eight_digits(crc32(tensor.bytes)))
            return Failure{text(file.path, ", bytes ", begin, " to ",
                                begin + static_cast<Index>(tensor.bytes.size()) - 1, ": '", tensor.name,
                                "' is damaged")};
    }
    return Done{};
}

}  // namespace gradus::inline GRADUS_ABI
