// machine/emulator/settings.hpp   How the emulator runs kernels: what a test or a student may change.
// A kernel must give the same result whatever the order of its threads. On a GPU that order is chance; here it is set:
//     GRADUS_EMULATOR_ORDER=forward      threads and blocks by rising index (the default)
//     GRADUS_EMULATOR_ORDER=reverse      by falling index
//     GRADUS_EMULATOR_ORDER=random:7     at random, the same each time for the same seed
//     GRADUS_EMULATOR_BLOCKS=4           blocks in flight, each on a thread of the pool (default 1, as a debugger likes
//                                        it; under the race checker always 1)
//     GRADUS_EMULATOR_STACK_KB=256       the stack of each CUDA thread (default 64, with a sanitizer 256)
//     GRADUS_EMULATOR_STREAMS=deferred   queued work runs only when something waits for it (stream.hpp); or immediate
//     GRADUS_EMULATOR_PROTECT=0          let host code read device memory (device_memory.hpp); default 1
//     GRADUS_EMULATOR_COUNTS=1           print the race checker's counts at the end (race_checker.hpp); default 0
// Other values are errors. The program can change all of it between launches, in settings().
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "gradus/core/check.hpp"
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
    bool print_counts = false;
};

[[noreturn]] inline void fail_setting(const char* variable, const char* value, const char* allowed) {
    fail(std::string(variable) + "=" + value + ": the values are " + allowed);
}
// The value of a variable that is a number from `least` on; without the variable, `otherwise`.
inline long number_from_environment(const char* variable, long least, const char* allowed, long otherwise) {
    const char* const value = std::getenv(variable);
    if (value == nullptr) return otherwise;
    char* end = nullptr;
    const long number = std::strtol(value, &end, 10);
    if (end == value || *end != 0 || number < least || number > 1'000'000) fail_setting(variable, value, allowed);
    return number;
}
// The value of a variable that is 0 or 1; without the variable, `otherwise`.
inline bool switch_from_environment(const char* variable, bool otherwise) {
    const char* const value = std::getenv(variable);
    if (value == nullptr) return otherwise;
    const std::string_view name = value;
    if (name != "0" && name != "1") fail_setting(variable, value, "0 and 1");
    return name == "1";
}

inline Settings settings_from_environment() {
    Settings settings;
    if (const char* order = std::getenv("GRADUS_EMULATOR_ORDER")) {
        const std::string_view name = order;
        char* end = nullptr;
        if (name == "reverse") {
            settings.order = ThreadOrder::reverse;
        } else if (name.substr(0, 7) == "random:") {
            settings.order = ThreadOrder::random;
            settings.seed = static_cast<std::uint32_t>(std::strtoul(order + 7, &end, 10));
        } else if (name == "random") {
            settings.order = ThreadOrder::random;
        }
        const bool is_known = settings.order != ThreadOrder::forward || name == "forward";
        if (!is_known || (end != nullptr && (end == order + 7 || *end != 0)))
            fail_setting("GRADUS_EMULATOR_ORDER", order, "forward, reverse, random and random:<seed>");
    }
    settings.blocks_in_flight =
        static_cast<int>(number_from_environment("GRADUS_EMULATOR_BLOCKS", 1, "numbers from 1", 1));
    settings.stack_bytes =
        1024 * static_cast<std::size_t>(number_from_environment("GRADUS_EMULATOR_STACK_KB", 16, "numbers from 16",
                                                                static_cast<long>(settings.stack_bytes / 1024)));
    if (const char* streams = std::getenv("GRADUS_EMULATOR_STREAMS")) {
        settings.deferred_streams = std::string_view(streams) == "deferred";
        if (!settings.deferred_streams && std::string_view(streams) != "immediate")
            fail_setting("GRADUS_EMULATOR_STREAMS", streams, "immediate and deferred");
    }
    settings.protect_device_memory = switch_from_environment("GRADUS_EMULATOR_PROTECT", settings.protect_device_memory);
    settings.print_counts = switch_from_environment("GRADUS_EMULATOR_COUNTS", settings.print_counts);
    return settings;
}

inline Settings& settings() {
    static Settings value = settings_from_environment();
    return value;
}

}  // namespace gradus::inline GRADUS_ABI::emulator
