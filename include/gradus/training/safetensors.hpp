// training/safetensors.hpp   Reads and writes safetensors files, the format in which PyTorch models are exchanged.
// Problem  Weights from unknown people must not run code (as a pickle can) or make a reader touch memory outside of the
//          file.
// Format   huggingface.co/docs/safetensors, "Format": N, 8 bytes little-endian; N bytes of JSON
//          (safetensors_header.hpp); the tensors' bytes, little-endian and row-major, without gaps or overlaps, to the
//          end of the file.
// Checked  before anything is used: N, every name, type, shape and size, gaps and overlaps. Messages say where:
//              model.safetensors, byte 117: 'fc.bias' overlaps the tensor before it
// Cost     a file is read in one piece; its tensors point into that.
#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gradus/core/sort.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/data/file_reader.hpp"
#include "gradus/training/atomic_file.hpp"
#include "gradus/training/safetensors_header.hpp"

namespace gradus::inline GRADUS_ABI {

static_assert(std::endian::native == std::endian::little, "Gradus supports little-endian machines only");

template <Element T>
constexpr Dtype dtype_of() {
    if constexpr (std::same_as<T, float>) return Dtype::F32;
    if constexpr (std::same_as<T, double>) return Dtype::F64;
    if constexpr (std::same_as<T, Half>) return Dtype::F16;
    if constexpr (std::same_as<T, BFloat16>) return Dtype::BF16;
    if constexpr (std::same_as<T, std::int64_t>) return Dtype::I64;
    if constexpr (std::same_as<T, std::uint8_t>) return Dtype::U8;
}

// A named tensor whose bytes are somebody else's: a Tensor's that is to be written, or a file's that was read.
struct FileTensor {
    std::string name;
    Dtype dtype;
    std::vector<Index> shape;
    std::span<const std::byte> bytes;
};

// For writing; the tensor must live until then.
template <Element T>
GRADUS_COLD FileTensor file_tensor(std::string name, const Tensor<T, Cpu>& tensor) {
    const std::span<const T> elements(tensor.data(), static_cast<std::size_t>(tensor.numel()));
    return {std::move(name), dtype_of<T>(), {tensor.shape().begin(), tensor.shape().end()}, std::as_bytes(elements)};
}

struct SafetensorsFile {
    SafetensorsFile() = default;
    SafetensorsFile(SafetensorsFile&&) = default;  // the tensors keep pointing into the same memory
    SafetensorsFile& operator=(SafetensorsFile&&) = default;
    SafetensorsFile(const SafetensorsFile&) = delete;
    SafetensorsFile& operator=(const SafetensorsFile&) = delete;

    std::string path;
    std::vector<std::byte> contents;  // of the whole file
    std::vector<FileTensor> tensors;  // in the order of their bytes
    std::map<std::string, std::string> metadata;

    const FileTensor* find(std::string_view name) const {
        for (const FileTensor& tensor : tensors)
            if (tensor.name == name) return &tensor;
        return nullptr;
    }
    // Where its bytes begin in the file.
    Index offset(const FileTensor& tensor) const { return tensor.bytes.data() - contents.data(); }

    // A copy of the tensor of that name. Fails where there is none or its type is not T.
    template <Element T>
    GRADUS_COLD Result<Tensor<T, Cpu>> tensor(std::string_view name) const {
        const FileTensor* found = find(name);
        if (found == nullptr) return Failure{text(path, ": there is no '", name, "'")};
        if (found->dtype != dtype_of<T>())
            return Failure{text(path, ", byte ", offset(*found), ": '", name, "' is ", dtype_info(found->dtype).name,
                                ", not ", dtype_info(dtype_of<T>()).name)};
        if (found->shape.size() > static_cast<std::size_t>(Shape::max_rank))
            return Failure{text(path, ", byte ", offset(*found), ": '", name, "' has ", found->shape.size(),
                                " dimensions, at most ", Shape::max_rank, " are supported")};
        Tensor<T, Cpu> tensor(Shape(found->shape.begin(), found->shape.end()));
        copy_bytes(Cpu{}, tensor.mutable_data(), Cpu{}, found->bytes.data(), found->bytes.size());
        return tensor;
    }
};

// How the tensors lie: sorted by their bytes, each must begin where the one before it ends, and the last at the file's
// end.
GRADUS_COLD inline Status check_layout(const std::string& path, const std::vector<HeaderEntry>& sorted,
                                       Index data_start, Index size) {
    Index end = 0;
    for (const HeaderEntry& entry : sorted) {
        if (entry.begin != end)
            return Failure{text(path, ", byte ", data_start + std::min(entry.begin, end), ": '", entry.name,
                                entry.begin < end ? "' overlaps the tensor before it" : "' has a gap before it")};
        end = entry.end;
        if (end > size - data_start)
            return Failure{text(path, ", byte ", size, ": the file ends too early, '", entry.name, "' ends at byte ",
                                data_start, " + ", end)};
    }
    if (data_start + end != size)
        return Failure{
            text(path, ", byte ", data_start + end, ": ", size - data_start - end, " bytes after the last tensor")};
    return Done{};
}

// The path is only for messages.
GRADUS_COLD inline Result<SafetensorsFile> parse_safetensors(std::string path, std::vector<std::byte> contents) {
    constexpr Index longest_header = 100'000'000;  // the format's own limit
    const Index size = static_cast<Index>(contents.size());
    std::uint64_t header_bytes = 0;
    if (size < 8) return Failure{text(path, ", byte ", size, ": the file ends too early, within the header's length")};
    std::memcpy(&header_bytes, contents.data(), 8);
    if (header_bytes > static_cast<std::uint64_t>(longest_header))
        return Failure{
            text(path, ", byte 0: a header of ", header_bytes, " bytes, at most ", longest_header, " are allowed")};
    const Index data_start = 8 + static_cast<Index>(header_bytes);
    if (data_start > size)
        return Failure{
            text(path, ", byte 0: a header of ", header_bytes, " bytes, the file has ", size - 8, " after this")};

    const std::string_view header_view(reinterpret_cast<const char*>(contents.data()) + 8, header_bytes);
    JsonReader json(header_view);
    SafetensorsHeader header;
    if (!header_view.starts_with('{')) json.fail("a header must start with '{'");
    if (json.failed() || !read_header(json, header))
        return Failure{text(path, ", byte ", 8 + json.position(), ": ", json.error())};

    sort_stably(header.tensors, [](const HeaderEntry& a, const HeaderEntry& b) {
        return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
    });
    if (const Status layout = check_layout(path, header.tensors, data_start, size); !layout.ok())
        return Failure{layout.error()};

    SafetensorsFile file;
    file.path = std::move(path);
    file.contents = std::move(contents);
    file.metadata = std::move(header.metadata);
    for (HeaderEntry& entry : header.tensors)
        file.tensors.push_back(
            {std::move(entry.name),
             entry.dtype,
             std::move(entry.shape),
             {file.contents.data() + data_start + entry.begin, file.contents.data() + data_start + entry.end}});
    return Result<SafetensorsFile>(std::move(file));
}

GRADUS_COLD inline Result<SafetensorsFile> read_safetensors(const std::string& path) {
    Result<FileReader> reader = FileReader::open(path);
    if (!reader.ok()) return Failure{reader.error()};
    std::vector<std::byte> contents(static_cast<std::size_t>(reader.value().size()));
    const Status read =
        reader.value().read(reinterpret_cast<std::uint8_t*>(contents.data()), static_cast<Index>(contents.size()));
    if (!read.ok()) return Failure{read.error()};
    return parse_safetensors(path, std::move(contents));
}

// The order in which tensors are written, the one of the format's own writer: by descending alignment, then by name. So
// the same tensors give the same bytes.
GRADUS_COLD inline void sort_for_file(std::vector<FileTensor>& tensors) {
    sort_stably(tensors, [](const FileTensor& a, const FileTensor& b) {
        return a.dtype != b.dtype ? a.dtype > b.dtype : a.name < b.name;
    });
}

// The bytes of a file with these tensors. Two of one name, or one whose bytes do not fit its shape, are errors.
GRADUS_COLD inline std::vector<std::byte> encode_safetensors(std::vector<FileTensor> tensors,
                                                             const std::map<std::string, std::string>& metadata) {
    sort_for_file(tensors);
    SafetensorsHeader header{{}, metadata};
    Index end = 0;
    for (const FileTensor& tensor : tensors) {
        const Index bytes = bytes_of(tensor.dtype, tensor.shape);
        GRADUS_CHECK(bytes == static_cast<Index>(tensor.bytes.size()), "safetensors: '", tensor.name, "' needs ", bytes,
                     " bytes, got ", tensor.bytes.size());
        GRADUS_CHECK(tensor.name != "__metadata__", "safetensors: a tensor cannot be called __metadata__");
        for (const HeaderEntry& other : header.tensors)
            GRADUS_CHECK(other.name != tensor.name, "safetensors: two tensors are called '", tensor.name, "'");
        header.tensors.push_back({tensor.name, tensor.dtype, tensor.shape, end, end + bytes});
        end += bytes;
    }
    const std::string text = header_text(header);
    const std::uint64_t header_bytes = text.size();
    std::vector<std::byte> contents(8 + text.size() + static_cast<std::size_t>(end));
    std::memcpy(contents.data(), &header_bytes, 8);
    std::memcpy(contents.data() + 8, text.data(), text.size());
    std::byte* target = contents.data() + 8 + text.size();
    for (const FileTensor& tensor : tensors) target = std::copy(tensor.bytes.begin(), tensor.bytes.end(), target);
    return contents;
}

inline Status write_safetensors(const std::string& path, std::vector<FileTensor> tensors,
                                const std::map<std::string, std::string>& metadata = {}) {
    return write_file_atomically(path, encode_safetensors(std::move(tensors), metadata));
}

}  // namespace gradus::inline GRADUS_ABI
