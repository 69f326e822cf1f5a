// machine/emulator/memory_names.hpp   What lies at an address, in the words of a message.
//     shared memory, byte 252 of tile
//     shared memory, byte 256 of tile, which has 256 bytes         an index that is too large by one
//     device memory, byte -4 of a buffer of 400 bytes              an index of -1
//     device memory, in a buffer that was freed
// An address in no array and no buffer is most often one that an index has left: the nearest one is named.
#pragma once

#include "gradus/machine/emulator/device_memory.hpp"

namespace gradus::inline GRADUS_ABI::emulator {

// How far a byte lies outside of an array or a buffer; 0: inside.
inline std::size_t distance_to(const char* begin, std::size_t bytes, const char* byte) {
    if (byte < begin) return static_cast<std::size_t>(begin - byte);
    return byte < begin + bytes ? 0 : static_cast<std::size_t>(byte - (begin + bytes)) + 1;
}

inline std::string describe_shared_memory(const Block& block, const char* byte) {
    const SharedArray* nearest = nullptr;
    const auto distance = [byte](const SharedArray& array) { return distance_to(array.address, array.bytes, byte); };
    for (const SharedArray& array : block.shared_arrays)
        if (nearest == nullptr || distance(array) < distance(*nearest)) nearest = &array;
    if (nearest == nullptr) return "shared memory, of which the block has none";
    const std::string place = text("shared memory, byte ", byte - nearest->address, " of ", nearest->name);
    return distance(*nearest) == 0 ? place : text(place, ", which has ", nearest->bytes, " bytes");
}

inline std::string describe_device_memory(const char* byte) {
    const DeviceMemory& memory = device_memory();
    if (memory.is_freed_unlocked(byte)) return "device memory, in a buffer that was freed";
    const DeviceMemory::Buffer buffer = memory.nearest_unlocked(byte);
    if (buffer.bytes == 0) return "device memory, of which nothing is allocated";
    return text("device memory, byte ", byte - buffer.address, " of a buffer of ", buffer.bytes, " bytes");
}

}  // namespace gradus::inline GRADUS_ABI::emulator
