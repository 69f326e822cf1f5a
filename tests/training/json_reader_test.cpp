#include "gradus/training/json_reader.hpp"

#include <doctest/doctest.h>

using namespace gradus;

namespace {

// The string that a JSON string stands for, or "!" and the error.
std::string read_string(std::string_view json) {
    JsonReader reader(json);
    std::string out;
    return reader.string(out) && reader.at_end() ? out : "!" + reader.error();
}
std::string read_number(std::string_view json) {
    JsonReader reader(json);
    std::int64_t out = 0;
    return reader.number(out) && reader.at_end() ? std::to_string(out) : "!" + reader.error();
}

}  // namespace

TEST_CASE("JSON strings") {
    CHECK(read_string(R"("")") == "");
    CHECK(read_string(R"( "a b" )") == "a b");
    CHECK(read_string(R"("\"\\\/\b\f\n\r\t")") == "\"\\/\b\f\n\r\t");
    CHECK(read_string(R"("\u0041\u00e9\u20AC\ud83d\ude00")") == "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    CHECK(read_string("\"\xc3\xa9\"") == "\xc3\xa9");
    CHECK(read_string("x") == "!a string expected");
    CHECK(read_string("\"abc") == "!a string without an end");
    CHECK(read_string("\"abc\\") == "!an unknown escape in a string");
    CHECK(read_string(R"("\x41")") == "!an unknown escape in a string");
    CHECK(read_string(R"("\u12")") == "!\\u and 4 digits expected");
    CHECK(read_string(R"("\u12g4")") == "!\\u and 4 digits expected");
    CHECK(read_string(R"("\ud83d")") == "!\\u and 4 digits expected");
    CHECK(read_string(R"("\ud83d\u0041")") == "!half a surrogate pair");
    CHECK(read_string(R"("\ude00")") == "!half a surrogate pair");
    CHECK(read_string("\"a\nb\"") == "!a control character in a string");
}

TEST_CASE("JSON whole numbers") {
    CHECK(read_number("0") == "0");
    CHECK(read_number(" 1728 ") == "1728");
    CHECK(read_number("9223372036854775807") == "9223372036854775807");
    CHECK(read_number("9223372036854775808") == "!a number above 2^63 - 1");
    CHECK(read_number("99999999999999999999999") == "!a number above 2^63 - 1");
    CHECK(read_number("01") == "!a number with a leading 0");
    CHECK(read_number("-1") == "!a whole number expected");
    CHECK(read_number("") == "!a whole number expected");
    CHECK(read_number("1.5") == "!");  // reads 1, and is not at the end
}

TEST_CASE("JSON reader keeps its first error and the place") {
    JsonReader reader("{ \"a\" ; 1");
    std::string key;
    CHECK(reader.expect('{'));
    CHECK(reader.string(key));
    CHECK(!reader.expect(':'));
    CHECK(!reader.expect(']'));
    CHECK(!reader.accept(';'));
    CHECK(reader.error() == "':' expected");
    CHECK(reader.position() == 6);
}

TEST_CASE("written strings read back") {
    std::string every_byte;
    for (int c = 1; c < 128; ++c) every_byte += static_cast<char>(c);
    CHECK(read_string(json_string(every_byte)) == every_byte);
    CHECK(json_string("a\"b\\c\n\x1f") == R"("a\"b\\c\n\u001f")");
}
