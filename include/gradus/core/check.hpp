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
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

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

// A value and how it is written. Messages are lists of these, so that a message of its own sequence of types, of which
// there are hundreds, costs its caller a few stores and not a function.
class TextPart {
public:
    TextPart(const char* part)
        : value_(part),
          append_([](std::string& out, const void* value) { append_text(out, static_cast<const char*>(value)); }) {}
    template <class Part>
    requires(!std::is_array_v<Part>) TextPart(const Part& part)
        : value_(&part),
          append_([](std::string& out, const void* value) { append_text(out, *static_cast<const Part*>(value)); }) {}

    void append_to(std::string& out) const { append_(out, value_); }

private:
    const void* value_;
    void (*append_)(std::string&, const void*);
};
GRADUS_COLD inline std::string join_text(std::initializer_list<TextPart> parts) {
    std::string out;
    for (const TextPart& part : parts) part.append_to(out);
    return out;
}

template <class... Parts>
GRADUS_INLINE std::string text(const Parts&... parts) {
    return join_text({TextPart(parts)...});
}

// Without exceptions an error ends the program; an embedder may log it first.
using ErrorHandler = void (*)(const char* message);
inline ErrorHandler& error_handler() {
    static ErrorHandler handler = [](const char* message) { std::fprintf(stderr, "gradus: %s\n", message); };
    return handler;
}

[[noreturn]] GRADUS_COLD inline void fail(std::string message) {
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
[[noreturn]] GRADUS_COLD inline void fail_check(std::initializer_list<TextPart> parts) { fail(join_text(parts)); }

}  // namespace gradus::inline GRADUS_ABI

// The list is named, since the front end of nvcc 13 drops the braces of one that is not, in a function template.
#define GRADUS_CHECK(condition, ...)                                                      \
    do {                                                                                  \
        if (!(condition)) [[unlikely]]                                                    \
            ::gradus::fail_check(std::initializer_list<::gradus::TextPart>{__VA_ARGS__}); \
    } while (false)
