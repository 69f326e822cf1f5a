// machine/emulator/settings.hpp   How the emulator runs kernels: what a test or a student may change.
// A kernel must give the same result whatever the order of its threads. On a GPU that order is chance; here it is set:
//     GRADUS_EMULATOR_ORDER=forward      threads and blocks by rising index (the default)
//     GRADUS_EMULATOR_ORDER=reverse      by falling index
//     GRADUS_EMULATOR_ORDER=random:7     at random, the same each time for the same seed
//     GRADUS_EMULATOR_BLOCKS=4           blocks in flight, each on a thread of the pool (default 1; a debugger likes 1)
//     GRADUS_EMULATOR_STACK_KB=256       the stack of each CUDA thread (default 64, with a sanitizer 256)
//     GRADUS_EMULATOR_STREAMS=deferred   queued work runs only when something waits for it (stream.hpp)
//     GRADUS_EMULATOR_PROTECT=0          let host code read device memory (device_memory.hpp)
// The program can change all of it between launches, in settings().
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "gradus/machine/emulator/keywords.hpp"

namespace gradus::inline GRADUS_ABI::emulator {

enum class ThreadOrder { forward, reverse, random };

struct Settings {
    ThreadOrder order = ThreadOrder::forward;
    std::uint32_t seed = 1;  // of the random order
    int blocks_in_flight = 1;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    std::size_t stack_bytes = 256 * 1024;
#else
    std::size_t stack_bytes = 64 * 1024;
#endif
    bool deferred_streams = false;
    bool protect_device_memory = true;
};

inline Settings settings_from_environment() {
    Settings settings;
    if (const char* order = std::getenv("GRADUS_EMULATOR_ORDER")) {
        const std::string_view name = order;
        if (name == "reverse") settings.order = ThreadOrder::reverse;
        if (name.substr(0, 6) == "random") settings.order = ThreadOrder::random;
        if (name.substr(0, 7) == "random:") settings.seed = static_cast<std::uint32_t>(std::atoi(order + 7));
    }
    if (const char* blocks = std::getenv("GRADUS_EMULATOR_BLOCKS"))
        settings.blocks_in_flight = std::max(1, std::atoi(blocks));
    if (const char* kilobytes = std::getenv("GRADUS_EMULATOR_STACK_KB"))
        settings.stack_bytes = static_cast<std::size_t>(std::max(16, std::atoi(kilobytes))) * 1024;
    if (const char* streams = std::getenv("GRADUS_EMULATOR_STREAMS"))
        settings.deferred_streams = std::string_view(streams) == "deferred";
    if (const char* protect = std::getenv("GRADUS_EMULATOR_PROTECT"))
        settings.protect_device_memory = std::string_view(protect) != "0";
    return settings;
}

inline Settings& settings() {
    static Settings value = settings_from_environment();
    return value;
}

}  // namespace gradus::inline GRADUS_ABI::emulator
