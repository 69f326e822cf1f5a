// data/file_reader.hpp   Reads a binary file from its beginning to its end. Errors are values that name file and byte:
//     data/test_batch.bin, byte 6146: label 12 is not one of the 10 classes
#pragma once

#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gradus/core/result.hpp"
#include "gradus/core/shape.hpp"

namespace gradus::inline GRADUS_ABI {

inline bool is_file(const std::string& path) {
    struct stat status;
    return stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}
inline bool is_directory(const std::string& path) {
    struct stat status;
    return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}
// Of "a/b.bin" "a", of "b.bin" ".".
inline std::string directory_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? "." : path.substr(0, std::max<std::size_t>(slash, 1));
}
inline std::string join_path(const std::string& directory, const std::string& name) {
    if (directory.empty() || directory.back() == '/') return directory + name;
    return directory + "/" + name;
}

class FileReader {
public:
    FileReader() = default;  // of no file
    static Result<FileReader> open(const std::string& path) {
        struct stat status;
        if (stat(path.c_str(), &status) != 0) return Failure{path + ": there is no such file"};
        if (!S_ISREG(status.st_mode)) return Failure{path + ": this is not a file"};
        std::FILE* file = std::fopen(path.c_str(), "rb");
        if (!file) return Failure{path + ": the file cannot be opened"};
        return FileReader(path, file, static_cast<Index>(status.st_size));
    }

    const std::string& path() const { return path_; }
    Index size() const { return size_; }
    Index offset() const { return offset_; }  // of the byte that read() gives next

    Status read(std::uint8_t* target, Index bytes) {
        const std::size_t got = std::fread(target, 1, static_cast<std::size_t>(bytes), file_.get());
        offset_ += static_cast<Index>(got);
        if (static_cast<Index>(got) == bytes) return Done{};
        return error(offset_, std::ferror(file_.get()) != 0 ? "the file cannot be read" : "the file ends too early");
    }

    // The message about what is wrong at byte `offset`, counted from 0.
    template <class... Parts>
    Failure error(Index offset, const Parts&... parts) const {
        return Failure{text(path_, ", byte ", offset, ": ", parts...)};
    }

private:
    struct Close {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };

    FileReader(std::string path, std::FILE* file, Index size) : path_(std::move(path)), file_(file), size_(size) {}

    std::string path_;
    std::unique_ptr<std::FILE, Close> file_;
    Index size_ = 0;
    Index offset_ = 0;
};

// The lines of a text file, without empty ones and without line ends.
GRADUS_COLD inline Result<std::vector<std::string>> read_lines(const std::string& path) {
    Result<FileReader> file = FileReader::open(path);
    if (!file.ok()) return Failure{file.error()};
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(file.value().size()));
    if (const Status status = file.value().read(bytes.data(), file.value().size()); !status.ok())
        return Failure{status.error()};
    std::vector<std::string> lines(1);
    for (const std::uint8_t byte : bytes) {
        const char c = static_cast<char>(byte);
        if (c != '\n' && c != '\r')
            lines.back() += c;
        else if (!lines.back().empty())
            lines.emplace_back();
    }
    if (lines.back().empty()) lines.pop_back();
    return lines;
}

}  // namespace gradus::inline GRADUS_ABI
