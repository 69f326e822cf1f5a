// core/storage.hpp   The memory behind one or several tensors, and its version.
// The version counts accesses for writing. An operation that saves a tensor for its backward remembers the version; if
// it has moved on when backward runs, somebody wrote in between, and the gradient would silently be wrong.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "gradus/core/allocator.hpp"

namespace gradus::inline GRADUS_ABI {

template <class D>
class Storage {
public:
    explicit Storage(std::size_t bytes) : bytes_(bytes), data_(allocate_bytes(D{}, bytes)) {}
    ~Storage() { release_bytes(D{}, data_, bytes_); }
    Storage(const Storage&) = delete;
    Storage& operator=(const Storage&) = delete;

    void* data() const { return data_; }
    std::size_t bytes() const { return bytes_; }
    std::uint64_t version() const { return version_; }
    void bump_version() { ++version_; }

private:
    std::size_t bytes_;
    void* data_;
    std::uint64_t version_ = 0;
};

// Copies between devices; a device of its own memory adds the overloads that cross to it.
template <HostDevice To, HostDevice From>
void copy_bytes(To, void* target, From, const void* source, std::size_t bytes) {
    if (bytes > 0) std::memcpy(target, source, bytes);
}
template <HostDevice D>
void zero_bytes(D, void* target, std::size_t bytes) {
    if (bytes > 0) std::memset(target, 0, bytes);
}
template <HostDevice D, class T>
void fill_elements(D, T* target, Index count, T value) {
    std::fill_n(target, count, value);
}

}  // namespace gradus::inline GRADUS_ABI
