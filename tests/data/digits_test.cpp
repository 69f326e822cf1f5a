#include "gradus/data/digits.hpp"

#include "temporary_directory.hpp"

using namespace gradus;

namespace {

// A record: a label and 64 values of 5 bits, the most significant first.
Bytes record(std::uint8_t label, const std::vector<int>& values) {
    Bytes bytes(41, 0);
    bytes[0] = label;
    for (std::size_t bit = 0; bit < 320; ++bit)
        if (values[bit / 5] >> (4 - bit % 5) & 1)
            bytes[1 + bit / 8] = static_cast<std::uint8_t>(bytes[1 + bit / 8] | 128 >> bit % 8);
    return bytes;
}

}  // namespace

TEST_CASE("digits: five bits a value, by hand") {
    const std::uint8_t packed[5] = {0b00001'000, 0b10'00011'1, 0b0000'0000, 0b1'01111'00, 0b000'11111};
    const int expected[8] = {1, 2, 3, 16, 1, 15, 0, 31};
    for (Index i = 0; i < 8; ++i) CHECK(five_bits(packed, i) == expected[i]);
}

TEST_CASE("digits: every fifth image is a test image, values 0 to 16 become 0 to 255") {
    const TemporaryDirectory directory;
    std::vector<int> values(64);
    for (int p = 0; p < 64; ++p) values[static_cast<std::size_t>(p)] = p % 17;
    Bytes file;
    for (std::uint8_t i = 0; i < 11; ++i) file = file + record(i % 10, i == 9 ? std::vector<int>(64, 16) : values);
    directory.write("digits.bin", file);

    const DataPair data = read_digits(directory.path()).value();
    CHECK(data.train.images.shape() == Shape{9, 8, 8, 1});
    CHECK(data.train.labels.to_vector() == std::vector<std::int64_t>{0, 1, 2, 3, 5, 6, 7, 8, 0});
    CHECK(data.test.images.shape() == Shape{2, 8, 8, 1});
    CHECK(data.test.labels.to_vector() == std::vector<std::int64_t>{4, 9});
    const View<const std::uint8_t, 4> train = data.train.images.read<4>();
    CHECK(train(8, 0, 0, 0) == 0);
    CHECK(train(8, 0, 1, 0) == 16);   // 15.94
    CHECK(train(8, 0, 7, 0) == 112);  // 111.56
    CHECK(train(8, 1, 0, 0) == 128);  // 127.5
    CHECK(train(8, 2, 0, 0) == 255);  // pixel 16
    CHECK(data.test.images.to_vector()[64 + 63] == 255);
}

TEST_CASE("digits: damaged files are refused with their name and the byte") {
    const TemporaryDirectory directory;
    const std::vector<int> zeros(64, 0);
    CHECK(mentions(read_digits(directory.path()).error(), {"digits.bin", "no such file"}));
    directory.write("digits.bin", Bytes{});
    CHECK(read_digits(directory.path()).value().train.size() == 0);
    directory.write("digits.bin", record(1, zeros) + Bytes{1, 2});
    CHECK(mentions(read_digits(directory.path()).error(), {"digits.bin, byte 41", "2 bytes"}));
    directory.write("digits.bin", record(1, zeros) + record(10, zeros));
    CHECK(mentions(read_digits(directory.path()).error(), {"digits.bin, byte 41", "label 10"}));
    std::vector<int> wrong = zeros;
    wrong[8] = 17;
    directory.write("digits.bin", record(1, zeros) + record(2, wrong));
    CHECK(mentions(read_digits(directory.path()).error(), {"digits.bin, byte 47", "pixel 8", "value 17"}));
}
