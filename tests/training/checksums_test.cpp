#include "gradus/training/checksums.hpp"

#include <doctest/doctest.h>

using namespace gradus;

namespace {

std::vector<std::byte> sample() {
    const Tensor<float> a = Tensor<float>::from({2}, {1, -2}), b = Tensor<float>::from({1}, {3}), empty({0});
    // A value that looks like the key of the checksums.
    return encode_with_checksums({file_tensor("b", b), file_tensor("a", a), file_tensor("empty", empty)},
                                 {{"a", "\"checksums\":\"00000000"}});
}

}  // namespace

TEST_CASE("checksums of an intact file are right") {
    const SafetensorsFile file = parse_safetensors("m", sample()).value();
    CHECK(verify_checksums(file).ok());
    CHECK(file.metadata.at("checksums").size() == 32);
    CHECK(file.tensor<float>("b").value().item() == 3);
    CHECK(sample() == sample());
}

TEST_CASE("checksums find every flipped bit, and name the part") {
    const std::vector<std::byte> intact = sample();
    const std::size_t data = intact.size() - 12;
    int by_checksum = 0;
    for (std::size_t bit = 0; bit < intact.size() * 8; ++bit) {
        std::vector<std::byte> damaged = intact;
        damaged[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
        const Result<SafetensorsFile> parsed = parse_safetensors("m", std::move(damaged));
        if (!parsed.ok()) continue;  // the damage is in the structure
        const std::string error = verify_checksums(parsed.value()).error();
        ++by_checksum;
        if (bit / 8 >= data + 8)
            CHECK(error == text("m, bytes ", data + 8, " to ", data + 11, ": 'b' is damaged"));
        else if (bit / 8 >= data)
            CHECK(error == text("m, bytes ", data, " to ", data + 7, ": 'a' is damaged"));
        else
            CHECK((error == text("m, bytes 0 to ", data - 1, ": the header is damaged") ||
                   error == "m: it has no checksums"));
    }
    CHECK(by_checksum > 12 * 8);
}

TEST_CASE("a file without checksums is not taken for an intact one") {
    const Tensor<float> a = Tensor<float>::from({2}, {1, -2});
    const SafetensorsFile file = parse_safetensors("m", encode_safetensors({file_tensor("a", a)}, {})).value();
    CHECK(verify_checksums(file).error() == "m: it has no checksums");
}
