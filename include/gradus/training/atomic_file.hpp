// training/atomic_file.hpp   Replaces a file as a whole, or not at all.
// Problem  A program may be killed, and a machine lose power, while it writes. What is left must be the old file or the
//          new one, never half of one.
// Answer   Write beside the target, wait until the disk has it (fsync), then rename, which POSIX promises to be atomic,
//          and wait for the folder's entry too. A kill leaves at most PATH.tmp behind, which the next writing replaces.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "gradus/data/file_reader.hpp"

namespace gradus::inline GRADUS_ABI {

// What went wrong in the last system call.
inline Failure system_failure(const std::string& path, const char* what) {
    return Failure{text(path, ": ", what, ": ", std::strerror(errno))};
}

// Writes everything, also where the system takes it in pieces.
inline bool write_all(int file, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t count = ::write(file, bytes.data(), bytes.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return false;
        bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
    return true;
}

GRADUS_COLD inline Status write_file_atomically(const std::string& path, std::span<const std::byte> bytes) {
    const std::string beside = path + ".tmp";
    const int file = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0) return system_failure(path, "cannot be written");
    const bool written = write_all(file, bytes) && ::fsync(file) == 0;
    const int write_error = errno;
    const bool closed = ::close(file) == 0;
    if (!written) errno = write_error;
    if (!written || !closed || std::rename(beside.c_str(), path.c_str()) != 0) {
        const Failure failure = system_failure(path, "cannot be written");
        ::unlink(beside.c_str());
        return failure;
    }
    if (const int entry = ::open(directory_of(path).c_str(), O_RDONLY | O_CLOEXEC); entry >= 0) {
        ::fsync(entry);  // some file systems refuse it for folders; the file itself is safe by now
        ::close(entry);
    }
    return Done{};
}
inline Status write_file_atomically(const std::string& path, std::string_view text) {
    return write_file_atomically(path, std::as_bytes(std::span<const char>(text)));
}

// Makes the folder, and those above it, where they are missing, and tries to write in it: a program can find out that
// its results will have no place before it starts to work.
GRADUS_COLD inline Status prepare_folder(const std::string& folder) {
    if (folder.empty()) return Failure{"the name of the folder is empty"};
    for (std::size_t end = folder.find('/', 1); true; end = folder.find('/', end + 1)) {
        const std::string part = folder.substr(0, end);
        if (::mkdir(part.c_str(), 0755) != 0 && errno != EEXIST)
            return system_failure(part, "the folder cannot be made");
        if (end == std::string::npos) break;
    }
    if (!is_directory(folder)) return Failure{folder + ": this is not a folder"};
    const std::string trial = folder + "/write-test";
    if (const Status writable = write_file_atomically(trial, std::string_view("?")); !writable.ok()) return writable;
    ::unlink(trial.c_str());
    return Done{};
}

}  // namespace gradus::inline GRADUS_ABI
