// core/check.hpp   Preconditions. The only place of the library that throws.
//     GRADUS_CHECK(M > 1, "batch_norm: training needs N*H*W > 1, x is ", x.shape());
// A message starts with the operation and a colon. Inside a module the layer's path is put in between:
//     conv2d (layer2.0.conv1): input has 1 channel, weight expects 3
// With -fno-exceptions the message goes to a handler instead, which prints it and aborts.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>

#include "gradus/core/abi.hpp"
#include "gradus/core/trace.hpp"

namespace gradus::inline GRADUS_ABI {

struct Error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// append_text(out, part): how a part of a message is written. Types of the library add overloads beside their
// definition.
inline void append_text(std::string& out, std::string_view part) { out += part; }
inline void append_text(std::string& out, const char* part) { out += part; }
inline void append_text(std::string& out, char part) { out += part; }
inline void append_text(std::string& out, bool part) { out += part ? "true" : "false"; }
template <std::integral I>
void append_text(std::string& out, I part) {
    out += std::to_string(part);
}
template <std::floating_point F>
void append_text(std::string& out, F part) {
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, "%.9g", static_cast<double>(part));
    out += buffer;
}
template <class I, std::size_t R>
void append_text(std::string& out, const std::array<I, R>& part) {
    out += '(';
    for (std::size_t i = 0; i < R; ++i) {
        if (i > 0) out += ", ";
        append_text(out, part[i]);
    }
    out += R == 1 ? ",)" : ")";
}

template <class... Parts>
std::string text(const Parts&... parts) {
    std::string out;
    (append_text(out, parts), ...);
    return out;
}

// Without exceptions an error ends the program; an embedder may log it first.
using ErrorHandler = void (*)(const char* message);
inline ErrorHandler& error_handler() {
    static ErrorHandler handler = [](const char* message) { std::fprintf(stderr, "gradus: %s\n", message); };
    return handler;
}

[[noreturn]] inline void fail(std::string message) {
    const std::string path = layer_path();
    const std::size_t colon = message.find(':');
    if (!path.empty() && colon != std::string::npos) message.insert(colon, " (" + path + ")");
#if defined(__cpp_exceptions)
    throw Error(message);
#else
    error_handler()(message.c_str());
    std::abort();
#endif
}

}  // namespace gradus::inline GRADUS_ABI

#define GRADUS_CHECK(condition, ...)                     \
    do {                                                 \
        if (!(condition)) [[unlikely]]                   \
            ::gradus::fail(::gradus::text(__VA_ARGS__)); \
    } while (false)
