// data/cifar.hpp   CIFAR-10 and CIFAR-100, binary version (Krizhevsky 2009, "Learning multiple layers of features from
//                  tiny images"; https://www.cs.toronto.edu/~kriz/cifar.html).
// A file is a sequence of records and nothing else:
//
//     CIFAR-10    3073 bytes                           CIFAR-100   3074 bytes
//     byte        content                              byte        content
//     0           label, 0 to 9                        0           coarse label, 0 to 19 (checked, not used)
//                                                      1           fine label, 0 to 99
//     1           1024 red values, row by row          2           1024 red values, row by row
//     1025        1024 green values                    1026        1024 green values
//     2049        1024 blue values                     2050        1024 blue values
//
//     files       data_batch_1.bin to data_batch_5.bin, test_batch.bin           train.bin, test.bin
//     names       batches.meta.txt                                               fine_label_names.txt
//
// The three planes become NHWC. Any number of records is fine, a part of one is not. Without the file of names the
// classes of CIFAR-100 are called by their number; those of CIFAR-10 are known.
#pragma once

#include "gradus/data/dataset.hpp"
#include "gradus/data/file_reader.hpp"

namespace gradus::inline GRADUS_ABI {

struct CifarFormat {
    std::string name;
    std::vector<std::string> train_files, test_files;
    std::vector<Index> label_counts;  // how many values each label byte of a record can have; the last one is the class
    std::string names_file;
    std::vector<std::string> names;  // where there is no names_file

    static constexpr Index side = 32, plane = side * side, channels = 3;
    Index label_bytes() const { return static_cast<Index>(label_counts.size()); }
    Index record_bytes() const { return label_bytes() + channels * plane; }
};

GRADUS_COLD inline CifarFormat cifar10_format() {
    return {"CIFAR-10",
            {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
            {"test_batch.bin"},
            {10},
            "batches.meta.txt",
            {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}};
}
inline CifarFormat cifar100_format() {
    CifarFormat format{"CIFAR-100", {"train.bin"}, {"test.bin"}, {20, 100}, "fine_label_names.txt", {}};
    for (int i = 0; i < 100; ++i) format.names.push_back("class " + std::to_string(i));
    return format;
}

inline Result<std::vector<std::string>> read_cifar_names(const CifarFormat& format, const std::string& directory) {
    const std::string path = join_path(directory, format.names_file);
    if (!is_file(path)) return format.names;
    Result<std::vector<std::string>> names = read_lines(path);
    if (names.ok() && names.value().size() != format.names.size())
        return Failure{text(path, ": ", names.value().size(), " class names, expected ", format.names.size())};
    return names;
}

// One image: checks the labels at the front of `record`, and turns the planes that follow into pixels.
GRADUS_COLD inline Status decode_cifar_record(const CifarFormat& format, const FileReader& file,
                                              const std::uint8_t* record, Index offset, std::uint8_t* image,
                                              std::int64_t& label) {
    for (Index i = 0; i < format.label_bytes(); ++i) {
        label = record[i];
        const Index count = format.label_counts[static_cast<std::size_t>(i)];
        if (label >= count)
            return file.error(offset + i, "label ", label, " is not one of the ", count, " classes of ", format.name);
    }
    const std::uint8_t* planes = record + format.label_bytes();
    for (Index c = 0; c < CifarFormat::channels; ++c)
        for (Index p = 0; p < CifarFormat::plane; ++p)
            image[p * CifarFormat::channels + c] = planes[c * CifarFormat::plane + p];
    return Done{};
}

GRADUS_COLD inline Result<Dataset> read_cifar_files(const CifarFormat& format, const std::string& directory,
                                                    const std::vector<std::string>& names) {
    const Index record_bytes = format.record_bytes();
    std::vector<FileReader> files;
    Index records = 0;
    for (const std::string& name : names) {
        Result<FileReader> file = FileReader::open(join_path(directory, name));
        if (!file.ok()) return Failure{file.error()};
        files.push_back(std::move(file).value());
        const Index size = files.back().size();
        if (size % record_bytes != 0)
            return files.back().error(size / record_bytes * record_bytes, "an incomplete record of ",
                                      size % record_bytes, " bytes, ", format.name, " has records of ", record_bytes);
        records += size / record_bytes;
    }
    const Result<std::vector<std::string>> classes = read_cifar_names(format, directory);
    if (!classes.ok()) return Failure{classes.error()};

    const Shape image_shape = {CifarFormat::side, CifarFormat::side, CifarFormat::channels};
    Dataset data = make_dataset(format.name, records, image_shape, classes.value());
    std::vector<std::uint8_t> record(static_cast<std::size_t>(record_bytes));
    std::uint8_t* image = data.images.mutable_data();
    std::int64_t* label = data.labels.mutable_data();
    for (FileReader& file : files)
        while (file.offset() < file.size()) {
            const Index offset = file.offset();
            const Status read = file.read(record.data(), record_bytes);
            if (!read.ok()) return Failure{read.error()};
            const Status decoded = decode_cifar_record(format, file, record.data(), offset, image, *label);
            if (!decoded.ok()) return Failure{decoded.error()};
            image += data.image_bytes();
            ++label;
        }
    return data;
}

inline Result<DataPair> read_cifar(const CifarFormat& format, const std::string& directory) {
    Result<Dataset> train = read_cifar_files(format, directory, format.train_files);
    if (!train.ok()) return Failure{train.error()};
    Result<Dataset> test = read_cifar_files(format, directory, format.test_files);
    if (!test.ok()) return Failure{test.error()};
    return DataPair{std::move(train).value(), std::move(test).value()};
}
inline Result<DataPair> read_cifar10(const std::string& directory) { return read_cifar(cifar10_format(), directory); }
inline Result<DataPair> read_cifar100(const std::string& directory) { return read_cifar(cifar100_format(), directory); }

}  // namespace gradus::inline GRADUS_ABI
