// training/json_reader.hpp   The part of JSON (RFC 8259) that a safetensors header consists of: objects, arrays,
// strings and non-negative whole numbers. Reads one piece at a time; the caller knows what must come next. Strict: the
// first thing that is not as expected stops it, and position() is where.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "gradus/core/abi.hpp"

namespace gradus::inline GRADUS_ABI {

class JsonReader {
public:
    explicit JsonReader(std::string_view text) : text_(text) {}

    std::size_t position() const { return position_; }
    bool failed() const { return !error_.empty(); }
    const std::string& error() const { return error_; }
    bool at_end() {
        skip_space();
        return position_ == text_.size();
    }

    // The next character that is no space must be this one.
    bool expect(char c) {
        if (accept(c)) return true;
        return fail(std::string("'") + c + "' expected");
    }
    // Reads it if it comes next.
    bool accept(char c) {
        skip_space();
        if (failed() || position_ == text_.size() || text_[position_] != c) return false;
        ++position_;
        return true;
    }

    bool string(std::string& out) {
        out.clear();
        if (!accept('"')) return fail("a string expected");
        while (position_ < text_.size()) {
            const char c = text_[position_];
            if (c == '"') return ++position_, true;
            if (static_cast<unsigned char>(c) < 0x20) return fail("a control character in a string");
            if (c != '\\') {
                out += c;
                ++position_;
            } else if (!escape(out)) {
                return false;
            }
        }
        return fail("a string without an end");
    }

    // At most 2^63 - 1: what an Index can hold.
    bool number(std::int64_t& out) {
        skip_space();
        if (failed() || !next_is_digit()) return fail("a whole number expected");
        if (text_[position_] == '0' && position_ + 1 < text_.size() && is_digit(text_[position_ + 1]))
            return fail("a number with a leading 0");
        out = 0;
        while (next_is_digit()) {
            const std::int64_t digit = text_[position_] - '0';
            if (out > (std::numeric_limits<std::int64_t>::max() - digit) / 10) return fail("a number above 2^63 - 1");
            out = out * 10 + digit;
            ++position_;
        }
        return true;
    }

    // Keeps the first error.
    bool fail(std::string error) {
        if (!failed()) error_ = std::move(error);
        return false;
    }

private:
    static bool is_digit(char c) { return c >= '0' && c <= '9'; }
    bool next_is_digit() const { return position_ < text_.size() && is_digit(text_[position_]); }
    void skip_space() {
        constexpr std::string_view spaces = " \t\n\r";
        while (position_ < text_.size() && spaces.find(text_[position_]) != std::string_view::npos) ++position_;
    }

    // position_ is at a backslash.
    bool escape(std::string& out) {
        constexpr std::string_view letters = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
        const char letter = position_ + 1 < text_.size() ? text_[position_ + 1] : '\0';
        if (letter == 'u') return unicode_escape(out);
        const std::size_t which = letters.find(letter);
        if (which == std::string_view::npos) return fail("an unknown escape in a string");
        out += meanings[which];
        position_ += 2;
        return true;
    }
    // \uXXXX, or two of them for a code point above 0xFFFF.
    bool unicode_escape(std::string& out) {
        std::uint32_t code = 0, low = 0;
        if (!four_hex_digits(code)) return false;
        if (code >= 0xD800 && code < 0xDC00) {
            if (!four_hex_digits(low)) return false;
            if (low < 0xDC00 || low > 0xDFFF) return fail("half a surrogate pair");
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        } else if (code >= 0xDC00 && code < 0xE000) {
            return fail("half a surrogate pair");
        }
        append_utf8(out, code);
        return true;
    }
    bool four_hex_digits(std::uint32_t& code) {
        if (text_.substr(position_, 2) != "\\u" || position_ + 6 > text_.size())
            return fail("\\u and 4 digits expected");
        for (const char c : text_.substr(position_ + 2, 4)) {
            const std::size_t digit = std::string_view("0123456789abcdef0123456789ABCDEF").find(c);
            if (digit == std::string_view::npos) return fail("\\u and 4 digits expected");
            code = code << 4 | static_cast<std::uint32_t>(digit % 16);
        }
        position_ += 6;
        return true;
    }
    static void append_utf8(std::string& out, std::uint32_t code) {
        const auto continuation = [&](int shift) { out += static_cast<char>(0x80 | (code >> shift & 0x3f)); };
        if (code < 0x80) {
            out += static_cast<char>(code);
        } else if (code < 0x800) {
            out += static_cast<char>(0xC0 | code >> 6);
            continuation(0);
        } else if (code < 0x10000) {
            out += static_cast<char>(0xE0 | code >> 12);
            continuation(6);
            continuation(0);
        } else {
            out += static_cast<char>(0xF0 | code >> 18);
            continuation(12);
            continuation(6);
            continuation(0);
        }
    }

    std::string_view text_;
    std::size_t position_ = 0;
    std::string error_;
};

// How a string is written: quotes, backslashes and control characters escaped, the shortest way.
GRADUS_COLD inline std::string json_string(std::string_view value) {
    constexpr std::string_view letters = "\"\\bfnrt", meanings = "\"\\\b\f\n\r\t", digits = "0123456789abcdef";
    std::string out = "\"";
    for (const char c : value) {
        const unsigned char byte = static_cast<unsigned char>(c);
        const std::size_t which = meanings.find(c);
        if (which != std::string_view::npos)
            out += {'\\', letters[which]};
        else if (byte < 0x20)
            out += {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
        else
            out += c;
    }
    return out + "\"";
}

}  // namespace gradus::inline GRADUS_ABI
