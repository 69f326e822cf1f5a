#include "gradus/training/safetensors.hpp"
// Covers safetensors.hpp and the reader of its head, safetensors_header.hpp.

#include <doctest/doctest.h>

#include <cstdlib>
#include <limits>

using namespace gradus;

namespace {

std::vector<std::byte> to_bytes(std::string_view text) {
    const std::span<const std::byte> view = std::as_bytes(std::span<const char>(text));
    return {view.begin(), view.end()};
}
std::string to_hex(std::span<const std::byte> bytes) {
    std::string out;
    for (const std::byte byte : bytes) {
        out += "0123456789abcdef"[static_cast<int>(byte) >> 4];
        out += "0123456789abcdef"[static_cast<int>(byte) & 15];
    }
    return out;
}

// A file with this header and `data` bytes behind it.
std::vector<std::byte> file_of(const std::string& header, std::size_t data) {
    std::string text(8, '\0');
    text[0] = static_cast<char>(header.size() & 255);
    text[1] = static_cast<char>(header.size() >> 8);
    return to_bytes(text + header + std::string(data, 'x'));
}
std::string parse_error(std::vector<std::byte> contents) {
    return parse_safetensors("m.safetensors", std::move(contents)).error();
}
std::string header_error(const std::string& header, std::size_t data) { return parse_error(file_of(header, data)); }

// An entry of the header.
std::string entry(const std::string& name, const std::string& shape, const std::string& offsets) {
    return "\"" + name + R"(":{"dtype":"F32","shape":[)" + shape + R"(],"data_offsets":[)" + offsets + "]}";
}

}  // namespace

TEST_CASE("safetensors: the format's example, byte for byte") {
    const Tensor<float> a = Tensor<float>::from({2}, {1, -2});
    const std::vector<std::byte> bytes = encode_safetensors({file_tensor("a", a)}, {});
    CHECK(to_hex(bytes) ==
          "38000000000000007b2261223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f6666736574"
          "73223a5b302c385d7d7d20200000803f000000c0");
    const SafetensorsFile file = parse_safetensors("m", bytes).value();
    CHECK(file.tensors.size() == 1);
    CHECK(file.tensor<float>("a").value().to_vector() == a.to_vector());
}

TEST_CASE("safetensors: every type, shape and name comes back") {
    const Tensor<double> f64 = Tensor<double>::from({1, 2}, {1.0 / 3, -std::numeric_limits<double>::infinity()});
    const Tensor<float> f32 = Tensor<float>::scalar(std::numeric_limits<float>::denorm_min());
    const Tensor<Half> f16 = Tensor<Half>::from({3}, {Half(1), Half(2), Half(-3)});
    const Tensor<BFloat16> bf16 = Tensor<BFloat16>::from({1, 1, 1}, {BFloat16(1.5f)});
    const Tensor<std::int64_t> i64 = Tensor<std::int64_t>::from({1}, {-7});
    const Tensor<std::uint8_t> u8 = Tensor<std::uint8_t>::from({5}, {0, 1, 2, 254, 255});
    const Tensor<float> empty({3, 0, 2});
    const std::map<std::string, std::string> metadata = {{"made \"by\"", "me\\\n"}, {"\xc3\xa9", ""}};
    const std::vector<std::byte> bytes = encode_safetensors(
        {file_tensor("u8", u8), file_tensor("f32", f32), file_tensor("i64", i64), file_tensor("f16", f16),
         file_tensor("a \"quoted\\name\"\t", f64), file_tensor("bf16", bf16), file_tensor("empty", empty)},
        metadata);
    CHECK(parse_safetensors("m", {bytes.begin(), bytes.end() - 1}).ok() == false);
    const SafetensorsFile file = parse_safetensors("m", bytes).value();
    CHECK(file.metadata == metadata);
    CHECK(file.tensor<double>("a \"quoted\\name\"\t").value().to_vector() == f64.to_vector());
    CHECK(file.tensor<float>("f32").value().item() == f32.item());
    CHECK(file.tensor<float>("f32").value().shape() == Shape{});
    CHECK(file.tensor<Half>("f16").value().to_vector() == f16.to_vector());
    CHECK(file.tensor<BFloat16>("bf16").value().item() == bf16.item());
    CHECK(file.tensor<std::int64_t>("i64").value().item() == -7);
    CHECK(file.tensor<std::uint8_t>("u8").value().to_vector() == u8.to_vector());
    CHECK(file.tensor<float>("empty").value().shape() == Shape{3, 0, 2});
    std::string order;
    for (const FileTensor& tensor : file.tensors) {
        order += " " + std::string(dtype_info(tensor.dtype).name);
        CHECK(file.offset(tensor) % dtype_info(tensor.dtype).bytes == 0);
    }
    CHECK(order == " I64 F64 F32 F32 BF16 F16 U8");
}

TEST_CASE("safetensors: a file of no tensors, with and without metadata") {
    CHECK(to_hex(encode_safetensors({}, {})) == "08000000000000007b7d202020202020");
    CHECK(parse_safetensors("m", encode_safetensors({}, {})).value().tensors.empty());
    CHECK(parse_safetensors("m", encode_safetensors({}, {{"a", "b"}})).value().metadata.at("a") == "b");
    CHECK(header_error("{\"__metadata__\":{}}", 0) == "");
}

TEST_CASE("safetensors: headers in any order and with spaces") {
    const std::string header = "{ \"b\" : { \"shape\":[ ] , \"data_offsets\" : [4, 8],\n \"dtype\":\"F32\"}, " +
                               entry("a", "1", "0,4") + " } \n";
    const SafetensorsFile file = parse_safetensors("m", file_of(header, 8)).value();
    CHECK(file.tensors[0].name == "a");
    CHECK(file.tensors[1].name == "b");
    CHECK(file.offset(file.tensors[1]) == static_cast<Index>(8 + header.size() + 4));
}

TEST_CASE("safetensors: what is wrong is named, with the place") {
    const auto two = [](const std::string& first, const std::string& second) {
        return "{" + entry("a", "1", first) + "," + entry("b", "1", second) + "}";  // 107 bytes: data start at 115
    };
    REQUIRE(two("0,4", "4,8").size() == 107);
    CHECK(header_error(two("0,4", "4,8"), 8) == "");
    // The length.
    CHECK(parse_error({}) == "m.safetensors, byte 0: the file ends too early, within the header's length");
    CHECK(parse_error(to_bytes("1234567")) ==
          "m.safetensors, byte 7: the file ends too early, within the header's length");
    CHECK(parse_error(to_bytes("12345678")) ==
          "m.safetensors, byte 0: a header of 4050765991979987505 bytes, at most 100000000 are allowed");
    CHECK(parse_error(to_bytes(std::string("\x03\0\0\0\0\0\0\0{}", 10))) ==
          "m.safetensors, byte 0: a header of 3 bytes, the file has 2 after this");
    // The layout.
    CHECK(header_error(two("0,4", "4,8"), 7) ==
          "m.safetensors, byte 122: the file ends too early, 'b' ends at byte 115 + 8");
    CHECK(header_error(two("0,4", "4,8"), 0) ==
          "m.safetensors, byte 115: the file ends too early, 'a' ends at byte 115 + 4");
    CHECK(header_error(two("0,4", "4,8"), 9) == "m.safetensors, byte 123: 1 bytes after the last tensor");
    CHECK(header_error(two("0,4", "2,6"), 8) == "m.safetensors, byte 117: 'b' overlaps the tensor before it");
    CHECK(header_error(two("0,4", "0,4"), 4) == "m.safetensors, byte 115: 'b' overlaps the tensor before it");
    CHECK(header_error(two("0,4", "5,9"), 9) == "m.safetensors, byte 119: 'b' has a gap before it");
    CHECK(header_error(two("1,5", "5,9"), 9) == "m.safetensors, byte 115: 'a' has a gap before it");
    // A tensor. The place is behind its entry.
    CHECK(header_error("{" + entry("a", "1", "4,0") + "}", 4) == "m.safetensors, byte 61: 'a' ends before it begins");
    CHECK(header_error("{" + entry("a", "2", "0,4") + "}", 4) ==
          "m.safetensors, byte 61: 'a' needs 8 bytes, its data_offsets span 4");
    CHECK(header_error("{" + entry("a", "4294967296,4294967296", "0,4") + "}", 4) ==
          "m.safetensors, byte 81: the shape of 'a' is too large");
    CHECK(header_error("{" + entry("a", "4294967296,4294967296,0", "0,0") + "}", 0) == "");  // no elements at all
    CHECK(header_error("{" + entry("a", "9223372036854775808", "0,4") + "}", 4) ==
          "m.safetensors, byte 55: a number above 2^63 - 1");
    CHECK(header_error("{" + entry("a", "-1", "0,4") + "}", 4) == "m.safetensors, byte 37: a whole number expected");
    CHECK(header_error("{" + entry("a", "1", "0,4") + "," + entry("a", "1", "4,8") + "}", 8) ==
          "m.safetensors, byte 65: 'a' is there twice");
    CHECK(header_error("{" + entry("a", "1", "0") + "}", 4) == "m.safetensors, byte 58: two data_offsets expected");
    CHECK(header_error(R"({"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}})", 4) ==
          "m.safetensors, byte 27: the dtype 'F31' is unknown");
    CHECK(header_error(R"({"a":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}})", 4) ==
          "m.safetensors, byte 48: 'shape' is unknown or there twice");
    CHECK(header_error(R"({"a":{"dtype":"F32","shape":[1]}})", 4) ==
          "m.safetensors, byte 40: 'a' needs dtype, shape and data_offsets");
    CHECK(header_error(R"({"a":{"x":"F32"}})", 4) == "m.safetensors, byte 18: 'x' is unknown or there twice");
    // The JSON.
    CHECK(header_error(" {}", 0) == "m.safetensors, byte 8: a header must start with '{'");
    CHECK(header_error("", 0) == "m.safetensors, byte 8: a header must start with '{'");
    CHECK(header_error("{", 0) == "m.safetensors, byte 9: a string expected");
    CHECK(header_error("{}x", 0) == "m.safetensors, byte 10: something after the header's end");
    CHECK(header_error("{" + entry("a", "1", "0,4") + ",}", 4) == "m.safetensors, byte 62: a string expected");
    CHECK(header_error(R"({"__metadata__":{"a":1}})", 0) == "m.safetensors, byte 29: a string expected");
    CHECK(header_error(R"({"__metadata__":{"a":"1","a":"2"}})", 0) == "m.safetensors, byte 40: 'a' is there twice");
    CHECK(header_error(R"({"__metadata__":{},"__metadata__":{}})", 0) ==
          "m.safetensors, byte 41: '__metadata__' is there twice");
}

TEST_CASE("safetensors: a tensor of another name, type or rank is an error") {
    const std::string header = "{" + entry("a", "1,1,1,1,1,1,1", "0,4") + "}";
    const SafetensorsFile file = parse_safetensors("m.safetensors", file_of(header, 4)).value();
    CHECK(file.tensor<float>("b").error() == "m.safetensors: there is no 'b'");
    CHECK(file.tensor<double>("a").error() == "m.safetensors, byte 74: 'a' is F32, not F64");
    CHECK(file.tensor<float>("a").error() == "m.safetensors, byte 74: 'a' has 7 dimensions, at most 6 are supported");
}

TEST_CASE(
    "safetensors: no prefix of a file and no file with a byte changed makes the reader fail otherwise than by a "
    "value") {
    const Tensor<float> a = Tensor<float>::from({2}, {1, -2});
    const std::vector<std::byte> bytes = encode_safetensors({file_tensor("a", a), file_tensor("b", a)}, {{"k", "v"}});
    for (std::size_t size = 0; size < bytes.size(); ++size)
        CHECK(!parse_safetensors("m", {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)}).ok());
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        for (int value = 0; value < 256; ++value) {
            std::vector<std::byte> changed = bytes;
            changed[i] = static_cast<std::byte>(value);
            const Result<SafetensorsFile> result = parse_safetensors("m", std::move(changed));
            if (!result.ok()) CHECK(result.error().starts_with("m, byte "));
        }
    }
}

TEST_CASE("safetensors: files on the disk") {
    char folder[] = "/tmp/gradus-safetensors-XXXXXX";
    REQUIRE(mkdtemp(folder) != nullptr);
    const std::string path = std::string(folder) + "/model.safetensors";
    CHECK(!read_safetensors(path).ok());
    const Tensor<float> a = Tensor<float>::from({2}, {1, -2});
    REQUIRE(write_safetensors(path, {file_tensor("a", a)}).ok());
    SafetensorsFile file = read_safetensors(path).value();
    const SafetensorsFile moved = std::move(file);
    CHECK(moved.path == path);
    CHECK(moved.tensor<float>("a").value().to_vector() == a.to_vector());
    CHECK(!read_safetensors(folder).ok());
    std::remove(path.c_str());
    std::remove(folder);
}

TEST_CASE("safetensors: tensors that make no file are errors of the program") {
    const Tensor<float> a = Tensor<float>::from({2}, {1, -2});
    CHECK_THROWS_AS(encode_safetensors({file_tensor("a", a), file_tensor("a", a)}, {}), Error);
    CHECK_THROWS_AS(encode_safetensors({file_tensor("__metadata__", a)}, {}), Error);
    FileTensor wrong = file_tensor("a", a);
    wrong.shape = {3};
    CHECK_THROWS_WITH_AS(encode_safetensors({wrong}, {}), "safetensors: 'a' needs 12 bytes, got 8", Error);
}
