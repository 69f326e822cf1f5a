// data/idx.hpp   MNIST (LeCun, Bottou, Bengio, Haffner 1998) and Fashion-MNIST (Xiao, Rasul, Vollgraf 2017), IDX files.
// Numbers of 4 bytes have the most significant byte first.
//
//     images                                          labels
//     byte   content                                  byte   content
//     0      0x00000803: bytes, 3 dimensions          0      0x00000801: bytes, 1 dimension
//     4      number of images N                       4      number of labels N
//     8      rows H (28)                              8      N labels, 0 to 9
//     12     columns W (28)
//     16     N*H*W grey values, row by row
//
//     files  train-images-idx3-ubyte  train-labels-idx1-ubyte  t10k-images-idx3-ubyte  t10k-labels-idx1-ubyte
//
// also under the names train-images.idx3-ubyte and so on. They are distributed as .gz: unpack them first. In both data
// sets 0 is the background. The files do not tell MNIST from Fashion-MNIST; a directory with "fashion" in its path, in
// small or capital letters, is taken for the latter, which only changes the names of the classes.
#pragma once

#include <cctype>

#include "gradus/data/dataset.hpp"
#include "gradus/data/file_reader.hpp"

namespace gradus::inline GRADUS_ABI {

// "DIR/train-images-idx3-ubyte", or the spelling with a dot if only that is there.
inline std::string idx_path(const std::string& directory, const std::string& part, const std::string& kind) {
    const std::string dashed = join_path(directory, part + "-" + kind);
    const std::string dotted = join_path(directory, part + "." + kind);
    return is_file(dotted) && !is_file(dashed) ? dotted : dashed;
}

// Opens one of the four files; where only the packed one is there, the message says what to do.
GRADUS_COLD inline Result<FileReader> open_idx(const std::string& directory, const std::string& part,
                                               const std::string& kind) {
    const std::string path = idx_path(directory, part, kind);
    for (const std::string separator : {"-", "."})
        if (const std::string packed = join_path(directory, part + separator + kind + ".gz");
            !is_file(path) && is_file(packed))
            return Failure{packed + ": the file is packed, unpack it first: gunzip -k " + packed};
    return FileReader::open(path);
}

// The header: the magic number, then one extent for each dimension.
GRADUS_COLD inline Result<std::vector<Index>> read_idx_header(FileReader& file, int dimensions) {
    std::vector<Index> extents;
    for (int d = -1; d < dimensions; ++d) {
        const Index offset = file.offset();
        std::uint8_t bytes[4];
        if (const Status status = file.read(bytes, 4); !status.ok()) return Failure{status.error()};
        Index number = 0;
        for (const std::uint8_t byte : bytes) number = number * 256 + byte;
        if (d >= 0)
            extents.push_back(number);
        else if (const Index magic = 0x800 + dimensions; number != magic)
            return file.error(offset, "the magic number is ", number, ", expected ", magic, " (bytes in ", dimensions,
                              dimensions == 1 ? " dimension)" : " dimensions)");
    }
    return extents;
}

GRADUS_COLD inline Result<Dataset> read_idx_files(const std::string& directory, const std::string& part,
                                                  const std::string& name, const std::vector<std::string>& classes) {
    Result<FileReader> image_file = open_idx(directory, part + "-images", "idx3-ubyte");
    if (!image_file.ok()) return Failure{image_file.error()};
    Result<FileReader> label_file = open_idx(directory, part + "-labels", "idx1-ubyte");
    if (!label_file.ok()) return Failure{label_file.error()};
    FileReader& images = image_file.value();
    FileReader& labels = label_file.value();

    const Result<std::vector<Index>> image_header = read_idx_header(images, 3);
    if (!image_header.ok()) return Failure{image_header.error()};
    const Result<std::vector<Index>> label_header = read_idx_header(labels, 1);
    if (!label_header.ok()) return Failure{label_header.error()};
    const Index count = image_header.value()[0], rows = image_header.value()[1], columns = image_header.value()[2];
    const Index max_side = 4096;  // far above any image of this kind; keeps the products below within 64 bits
    if (rows < 1 || rows > max_side || columns < 1 || columns > max_side)
        return images.error(8, "images of ", rows, " rows and ", columns, " columns, expected 1 to ", max_side);
    if (images.size() != images.offset() + count * rows * columns)
        return images.error(images.size(), "the file ends here; its header announces ", count, " images of ", rows,
                            " x ", columns, ", which end at byte ", images.offset() + count * rows * columns);
    if (labels.size() != labels.offset() + label_header.value()[0])
        return labels.error(labels.size(), "the file ends here; its header announces ", label_header.value()[0],
                            " labels, which end at byte ", labels.offset() + label_header.value()[0]);
    if (label_header.value()[0] != count)
        return labels.error(4, label_header.value()[0], " labels, but ", images.path(), " has ", count, " images");

    Dataset data = make_dataset(name, count, {rows, columns, 1}, classes);
    if (const Status status = images.read(data.images.mutable_data(), data.images.numel()); !status.ok())
        return Failure{status.error()};
    std::vector<std::uint8_t> values(static_cast<std::size_t>(count));
    if (const Status status = labels.read(values.data(), count); !status.ok()) return Failure{status.error()};
    std::int64_t* label = data.labels.mutable_data();
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (values[i] >= classes.size())
            return labels.error(8 + static_cast<Index>(i), "label ", values[i], " is not one of the ", classes.size(),
                                " classes");
        label[i] = values[i];
    }
    return data;
}

inline bool names_fashion(std::string path) {
    for (char& c : path) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return path.find("fashion") != std::string::npos;
}

// MNIST or Fashion-MNIST.
GRADUS_COLD inline Result<DataPair> read_idx(const std::string& directory) {
    const std::vector<std::string> digits = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    const std::vector<std::string> clothes = {"T-shirt/top", "trouser", "pullover", "dress", "coat",
                                              "sandal",      "shirt",   "sneaker",  "bag",   "ankle boot"};
    const bool fashion = names_fashion(directory);
    const std::string name = fashion ? "Fashion-MNIST" : "MNIST";
    Result<Dataset> train = read_idx_files(directory, "train", name, fashion ? clothes : digits);
    if (!train.ok()) return Failure{train.error()};
    Result<Dataset> test = read_idx_files(directory, "t10k", name, fashion ? clothes : digits);
    if (!test.ok()) return Failure{test.error()};
    if (train.value().image_bytes() != test.value().image_bytes())
        return Failure{text(directory, ": training images of shape ", train.value().images.shape(),
                            ", test images of shape ", test.value().images.shape())};
    return DataPair{std::move(train).value(), std::move(test).value()};
}

}  // namespace gradus::inline GRADUS_ABI
