// training/report_text.hpp   Text and numbers as HTML and SVG want them.
#pragma once

#include <charconv>
#include <cmath>
#include <string>
#include <string_view>

#include "gradus/core/check.hpp"
#include "gradus/core/shape.hpp"

namespace gradus::inline GRADUS_ABI {

// Any text, safe inside an element or an attribute.
GRADUS_COLD inline std::string escape_html(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '&')
            out += "&amp;";
        else if (c == '<')
            out += "&lt;";
        else if (c == '>')
            out += "&gt;";
        else if (c == '"')
            out += "&quot;";
        else if (c == '\'')
            out += "&#39;";
        else
            out += c;
    }
    return out;
}

// How many characters a UTF-8 text shows: continuation bytes (10xxxxxx) do not count.
inline Index text_length(std::string_view text) {
    Index length = 0;
    for (const char c : text) length += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    return length;
}

// At most `limit` characters, the last of them an ellipsis where something is missing.
inline std::string shorten(const std::string& text, Index limit) {
    if (text_length(text) <= limit) return text;
    std::string out;
    for (const char c : text) {
        if (text_length(out) == limit - 1 && (static_cast<unsigned char>(c) & 0xC0) != 0x80) break;
        out += c;
    }
    return out + "\u2026";
}

// With `digits` decimals, whatever the locale: decimals(0.5, 2) is "0.50". What is not a number is a dash.
inline std::string decimals(double value, int digits) {
    if (!std::isfinite(value)) return "\u2013";
    char buffer[400];  // the largest double has 309 digits before the point
    const std::to_chars_result end =
        std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed, digits);
    return std::string(buffer, end.ptr);
}

// A coordinate: two decimals, without zeros at the end.
inline std::string coordinate(double value) {
    std::string text = decimals(value, 2);
    while (text.back() == '0') text.pop_back();
    if (text.back() == '.') text.pop_back();
    return text == "-0" ? "0" : text;
}

// With about three significant digits: 0.0123, 0.123, 1.23, 123. What is very small or large gets an exponent.
GRADUS_COLD inline std::string readable(double value) {
    if (!std::isfinite(value)) return "\u2013";
    const double size = std::fabs(value);
    if (size == 0) return "0";
    if (size >= 0.001 && size < 1e6)
        return decimals(value, size < 0.01 ? 5 : size < 0.1 ? 4 : size < 1 ? 3 : size < 10 ? 2 : size < 100 ? 1 : 0);
    char buffer[32];
    const std::to_chars_result end =
        std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific, 2);
    return std::string(buffer, end.ptr);
}

}  // namespace gradus::inline GRADUS_ABI
