// training/safetensors_header.hpp   The header of a safetensors file: what each tensor is and where its bytes are.
//     {"__metadata__":{"made_by":"gradus"},"conv1.weight":{"dtype":"F32","shape":[16,3,3,3],"data_offsets":[0,1728]}}
// Offsets count from the end of the header; the end is exclusive. The format is described in safetensors.hpp.
#pragma once

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gradus/core/result.hpp"
#include "gradus/core/shape.hpp"
#include "gradus/training/json_reader.hpp"

namespace gradus::inline GRADUS_ABI {

// The element types of the format that consist of whole bytes, under its own names, in the order in which tensors are
// written: from the last of this list to the first, so that every tensor is aligned.
enum class Dtype { BOOL, U8, I8, F8_E5M2, F8_E4M3, I16, U16, F16, BF16, I32, U32, F32, C64, F64, I64, U64 };
struct DtypeInfo {
    std::string_view name;
    Index bytes;
};
inline constexpr DtypeInfo dtype_infos[] = {
    {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1}, {"I16", 2}, {"U16", 2}, {"F16", 2},
    {"BF16", 2}, {"I32", 4}, {"U32", 4}, {"F32", 4},     {"C64", 8},     {"F64", 8}, {"I64", 8}, {"U64", 8}};
inline const DtypeInfo& dtype_info(Dtype dtype) { return dtype_infos[static_cast<std::size_t>(dtype)]; }

struct HeaderEntry {
    std::string name;
    Dtype dtype = Dtype::F32;
    std::vector<Index> shape;
    Index begin = 0, end = 0;  // of its bytes, from the end of the header
};

struct SafetensorsHeader {
    std::vector<HeaderEntry> tensors;
    std::map<std::string, std::string> metadata;
};

// The bytes that a tensor needs, or -1 where that is above 2^63 - 1.
inline Index bytes_of(Dtype dtype, const std::vector<Index>& shape) {
    Index bytes = dtype_info(dtype).bytes;
    const bool is_empty = std::find(shape.begin(), shape.end(), 0) != shape.end();
    if (is_empty) return 0;
    for (const Index extent : shape)
        if (__builtin_mul_overflow(bytes, extent, &bytes)) return -1;
    return bytes;
}

inline bool read_dtype(JsonReader& json, Dtype& dtype) {
    std::string name;
    if (!json.string(name)) return false;
    for (std::size_t i = 0; i < std::size(dtype_infos); ++i) {
        if (dtype_infos[i].name != name) continue;
        dtype = static_cast<Dtype>(i);
        return true;
    }
    return json.fail("the dtype '" + name + "' is unknown");
}

inline bool read_numbers(JsonReader& json, std::vector<Index>& numbers) {
    numbers.clear();
    if (!json.expect('[')) return false;
    if (json.accept(']')) return true;
    do {
        if (!json.number(numbers.emplace_back())) return false;
    } while (json.accept(','));
    return json.expect(']');
}

// {"dtype":...,"shape":...,"data_offsets":...}, each once, in any order.
GRADUS_COLD inline bool read_entry(JsonReader& json, HeaderEntry& entry) {
    bool has_dtype = false, has_shape = false, has_offsets = false;
    std::string key;
    std::vector<Index> offsets;
    if (!json.expect('{')) return false;
    do {
        if (!json.string(key) || !json.expect(':')) return false;
        if (key == "dtype" && !std::exchange(has_dtype, true)) {
            if (!read_dtype(json, entry.dtype)) return false;
        } else if (key == "shape" && !std::exchange(has_shape, true)) {
            if (!read_numbers(json, entry.shape)) return false;
        } else if (key == "data_offsets" && !std::exchange(has_offsets, true)) {
            if (!read_numbers(json, offsets)) return false;
            if (offsets.size() != 2) return json.fail("two data_offsets expected");
        } else {
            return json.fail("'" + key + "' is unknown or there twice");
        }
    } while (json.accept(','));
    if (!json.expect('}')) return false;
    if (!has_dtype || !has_shape || !has_offsets)
        return json.fail("'" + entry.name + "' needs dtype, shape and data_offsets");
    entry.begin = offsets[0];
    entry.end = offsets[1];
    if (entry.begin > entry.end) return json.fail("'" + entry.name + "' ends before it begins");
    const Index bytes = bytes_of(entry.dtype, entry.shape);
    if (bytes < 0) return json.fail("the shape of '" + entry.name + "' is too large");
    if (bytes != entry.end - entry.begin)
        return json.fail("'" + entry.name + "' needs " + std::to_string(bytes) + " bytes, its data_offsets span " +
                         std::to_string(entry.end - entry.begin));
    return true;
}

GRADUS_COLD inline bool read_metadata(JsonReader& json, std::map<std::string, std::string>& metadata) {
    std::string key, value;
    if (!json.expect('{')) return false;
    if (json.accept('}')) return true;
    do {
        if (!json.string(key) || !json.expect(':') || !json.string(value)) return false;
        if (!metadata.emplace(key, value).second) return json.fail("'" + key + "' is there twice");
    } while (json.accept(','));
    return json.expect('}');
}

// The whole header. False where it is not well-formed; json knows what and where. Checks every tensor by itself, not
// how they lie beside each other.
GRADUS_COLD inline bool read_header(JsonReader& json, SafetensorsHeader& header) {
    std::set<std::string> seen;
    std::string key;
    if (!json.expect('{')) return false;
    if (!json.accept('}')) {
        do {
            HeaderEntry entry;
            if (!json.string(entry.name)) return false;
            if (!seen.insert(entry.name).second) return json.fail("'" + entry.name + "' is there twice");
            if (!json.expect(':')) return false;
            if (entry.name == "__metadata__") {
                if (!read_metadata(json, header.metadata)) return false;
            } else {
                if (!read_entry(json, entry)) return false;
                header.tensors.push_back(std::move(entry));
            }
        } while (json.accept(','));
        if (!json.expect('}')) return false;
    }
    return json.at_end() || json.fail("something after the header's end");
}

// What read_header reads, padded with spaces to a multiple of 8 bytes.
GRADUS_COLD inline std::string header_text(const SafetensorsHeader& header) {
    std::string out = "{";
    if (!header.metadata.empty()) {
        out += "\"__metadata__\":{";
        for (const auto& [key, value] : header.metadata) out += json_string(key) + ":" + json_string(value) + ",";
        out.back() = '}';
        out += ",";
    }
    for (const HeaderEntry& entry : header.tensors) {
        out +=
            json_string(entry.name) + ":{\"dtype\":\"" + std::string(dtype_info(entry.dtype).name) + "\",\"shape\":[";
        for (std::size_t d = 0; d < entry.shape.size(); ++d) out += (d > 0 ? "," : "") + std::to_string(entry.shape[d]);
        out += "],\"data_offsets\":[" + std::to_string(entry.begin) + "," + std::to_string(entry.end) + "]},";
    }
    if (out.back() == ',') out.pop_back();
    out += "}";
    out.resize((out.size() + 7) / 8 * 8, ' ');
    return out;
}

}  // namespace gradus::inline GRADUS_ABI
