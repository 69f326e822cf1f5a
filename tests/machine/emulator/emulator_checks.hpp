// For tests of kernels: every thread order, deferred streams, the message of a launch that must fail. nvcc compiles it
// too; a GPU has the one order that it has, and its streams are always deferred.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "machine/cuda/device_array.hpp"

// The race checker knows what is ordered whatever the order of the threads, and is slow (race_checker.hpp): one order.
#if defined(__SANITIZE_THREAD__)
inline constexpr bool under_race_checker = true;
#else
inline constexpr bool under_race_checker = false;
#endif

// Runs the body under each order of threads; leaves the order as it was.
template <class Body>
void in_every_order(const Body& body) {
#if defined(__CUDACC__)
    body();
#else
    using gradus::emulator::ThreadOrder;
    const gradus::emulator::Settings before = gradus::emulator::settings();
    for (const ThreadOrder order : {ThreadOrder::forward, ThreadOrder::reverse, ThreadOrder::random}) {
        INFO("order " << static_cast<int>(order));
        gradus::emulator::settings().order = order;
        body();
    }
    gradus::emulator::settings() = before;
#endif
}

// While one lives, queued work is done when something waits for it.
struct Deferred {
#if defined(__CUDACC__)
    explicit Deferred(bool = true) {}
#else
    explicit Deferred(bool on = true) { gradus::emulator::settings().deferred_streams = on; }
    ~Deferred() {
        cudaDeviceSynchronize();
        gradus::emulator::settings().deferred_streams = before;
    }
    const bool before = gradus::emulator::settings().deferred_streams;
#endif
};

// The message of the error that the body must end with; "" if it ends well.
template <class Body>
std::string message_of(const Body& body) {
    try {
        body();
        cudaDeviceSynchronize();  // deferred work goes wrong here
    } catch (const gradus::Error& error) {
        return error.what();
    }
    return "";
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

// "file.cpp:12", as messages name a line of a test.
inline std::string line_of(const char* file, int line) {
    const std::string path = file;
    return path.substr(path.rfind('/') + 1) + ":" + std::to_string(line);
}
