// data/digits.hpp   Handwritten digits: the UCI optical digits (Alpaydin & Kaynak 1998, CC BY 4.0), 1797 images of 8x8.
// The file digits.bin is a sequence of records of 41 bytes and nothing else:
//
//     byte   content
//     0      label, 0 to 9
//     1      64 grey values of 5 bits, row by row, in 40 bytes; the most significant bit comes first
//
// A value v counts the dark pixels of a 4x4 square, 0 to 16; it becomes the byte 255/16 v, rounded to nearest. Ink is
// light on a background of 0. Every fifth image, those whose number leaves 4 when divided by 5, is a test image.
#pragma once

#include "gradus/data/dataset.hpp"
#include "gradus/data/file_reader.hpp"

namespace gradus::inline GRADUS_ABI {

// Value i of a sequence of 5-bit numbers.
inline int five_bits(const std::uint8_t* packed, Index i) {
    int value = 0;
    for (Index bit = 5 * i; bit < 5 * i + 5; ++bit) value = 2 * value + (packed[bit / 8] >> (7 - bit % 8) & 1);
    return value;
}

GRADUS_COLD inline Result<DataPair> read_digits(const std::string& directory) {
    constexpr Index side = 8, pixels = side * side, record_bytes = 1 + pixels * 5 / 8;
    Result<FileReader> opened = FileReader::open(join_path(directory, "digits.bin"));
    if (!opened.ok()) return Failure{opened.error()};
    FileReader& file = opened.value();
    const Index count = file.size() / record_bytes;
    if (file.size() % record_bytes != 0)
        return file.error(count * record_bytes, "an incomplete record of ", file.size() % record_bytes,
                          " bytes, records have ", record_bytes);

    const std::vector<std::string> classes = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    DataPair data = {make_dataset("UCI digits", count - count / 5, {side, side, 1}, classes),
                     make_dataset("UCI digits", count / 5, {side, side, 1}, classes)};
    for (Index i = 0; i < count; ++i) {
        std::uint8_t record[record_bytes];
        if (const Status status = file.read(record, record_bytes); !status.ok()) return Failure{status.error()};
        if (record[0] > 9) return file.error(i * record_bytes, "label ", record[0], " is not a digit");
        const bool is_test = i % 5 == 4;
        Dataset& part = is_test ? data.test : data.train;
        const Index place = is_test ? i / 5 : i - i / 5;
        part.labels.mutable_data()[place] = record[0];
        std::uint8_t* image = part.images.mutable_data() + place * pixels;
        for (Index p = 0; p < pixels; ++p) {
            const int value = five_bits(record + 1, p);
            if (value > 16)
                return file.error(i * record_bytes + 1 + 5 * p / 8, "pixel ", p, " has the value ", value,
                                  ", expected 0 to 16");
            image[p] = static_cast<std::uint8_t>((value * 255 + 8) / 16);
        }
    }
    return data;
}

}  // namespace gradus::inline GRADUS_ABI
