#include "gradus/data/idx.hpp"

#include "temporary_directory.hpp"

using namespace gradus;

namespace {

Bytes number(std::uint32_t n) {
    return {static_cast<std::uint8_t>(n >> 24), static_cast<std::uint8_t>(n >> 16), static_cast<std::uint8_t>(n >> 8),
            static_cast<std::uint8_t>(n)};
}
Bytes counting(std::size_t n) {
    Bytes bytes(n);
    for (std::size_t i = 0; i < n; ++i) bytes[i] = static_cast<std::uint8_t>(i);
    return bytes;
}
Bytes image_file(std::uint32_t n, std::uint32_t rows, std::uint32_t columns) {
    return number(0x803) + number(n) + number(rows) + number(columns) + counting(std::size_t{n} * rows * columns);
}
Bytes label_file(const Bytes& labels) {
    return number(0x801) + number(static_cast<std::uint32_t>(labels.size())) + labels;
}
void write_mnist(const TemporaryDirectory& directory, const std::string& separator = "-") {
    directory.write("train-images" + separator + "idx3-ubyte", image_file(3, 2, 5));
    directory.write("train-labels" + separator + "idx1-ubyte", label_file({9, 0, 4}));
    directory.write("t10k-images" + separator + "idx3-ubyte", image_file(2, 2, 5));
    directory.write("t10k-labels" + separator + "idx1-ubyte", label_file({1, 2}));
}

}  // namespace

TEST_CASE("IDX: images and labels, under both spellings of the names") {
    for (const std::string separator : {"-", "."}) {
        const TemporaryDirectory directory;
        write_mnist(directory, separator);
        const DataPair data = read_idx(directory.path()).value();
        CHECK(data.train.name == "MNIST");
        CHECK(data.train.images.shape() == Shape{3, 2, 5, 1});
        CHECK(data.train.labels.to_vector() == std::vector<std::int64_t>{9, 0, 4});
        CHECK(data.train.images.to_vector() == counting(30));
        CHECK(data.test.images.shape() == Shape{2, 2, 5, 1});
        CHECK(data.test.labels.to_vector() == std::vector<std::int64_t>{1, 2});
        CHECK(data.test.classes[7] == "7");
    }
}

TEST_CASE("IDX: a directory with fashion in its name has clothes in it") {
    CHECK(names_fashion("data/Fashion-MNIST/raw"));
    CHECK(names_fashion("FASHION"));
    CHECK(!names_fashion("data/mnist"));
    const TemporaryDirectory directory;
    for (const std::string part : {"train", "t10k"}) {
        directory.write("FashionMNIST/" + part + "-images-idx3-ubyte", image_file(1, 28, 28));
        directory.write("FashionMNIST/" + part + "-labels-idx1-ubyte", label_file({9}));
    }
    const DataPair data = read_idx(directory.file("FashionMNIST")).value();
    CHECK(data.train.name == "Fashion-MNIST");
    CHECK(data.train.classes[9] == "ankle boot");
}

TEST_CASE("IDX: no images is fine") {
    const TemporaryDirectory directory;
    write_mnist(directory);
    directory.write("t10k-images-idx3-ubyte", image_file(0, 2, 5));
    directory.write("t10k-labels-idx1-ubyte", label_file({}));
    CHECK(read_idx(directory.path()).value().test.images.shape() == Shape{0, 2, 5, 1});
}

TEST_CASE("IDX: damaged files are refused with their name and the byte") {
    const TemporaryDirectory directory;
    write_mnist(directory);
    const std::string images = "train-images-idx3-ubyte", labels = "train-labels-idx1-ubyte";

    directory.write(images, number(0x801) + number(3) + number(2) + number(5) + counting(30));
    CHECK(read_idx(directory.path()).error() ==
          directory.file(images) + ", byte 0: the magic number is 2049, expected 2051 (bytes in 3 dimensions)");
    directory.write(images, Bytes{0, 0, 8, 3, 0, 0});
    CHECK(read_idx(directory.path()).error() == directory.file(images) + ", byte 6: the file ends too early");
    directory.write(images, Bytes{});
    CHECK(read_idx(directory.path()).error() == directory.file(images) + ", byte 0: the file ends too early");
    Bytes truncated = image_file(3, 2, 5);
    truncated.pop_back();
    directory.write(images, truncated);
    CHECK(mentions(read_idx(directory.path()).error(), {images, "byte 45", "3 images of 2 x 5", "byte 46"}));
    directory.write(images, image_file(3, 2, 5) + Bytes{0});
    CHECK(mentions(read_idx(directory.path()).error(), {images, "byte 47", "byte 46"}));
    directory.write(images, number(0x803) + number(3) + number(0xffffffff) + number(5));
    CHECK(mentions(read_idx(directory.path()).error(), {images, "byte 8", "4294967295 rows"}));
    directory.write(images, number(0x803) + number(0xffffffff) + number(4096) + number(4096));
    CHECK(mentions(read_idx(directory.path()).error(), {images, "byte 16", "4294967295 images"}));

    directory.write(images, image_file(2, 2, 5));
    CHECK(read_idx(directory.path()).error() ==
          directory.file(labels) + ", byte 4: 3 labels, but " + directory.file(images) + " has 2 images");
    directory.write(images, image_file(3, 2, 5));
    directory.write(labels, label_file({9, 10, 4}));
    CHECK(read_idx(directory.path()).error() ==
          directory.file(labels) + ", byte 9: label 10 is not one of the 10 classes");
    directory.write(labels, number(0x801) + number(3) + Bytes{1, 2});
    CHECK(mentions(read_idx(directory.path()).error(), {labels, "byte 10", "3 labels", "byte 11"}));
    directory.write(labels, number(0x803) + number(3) + Bytes{1, 2, 3});
    CHECK(mentions(read_idx(directory.path()).error(), {labels, "byte 0", "2051", "2049"}));

    directory.write(labels, label_file({9, 0, 4}));
    directory.write("t10k-images-idx3-ubyte", image_file(2, 3, 4));
    CHECK(mentions(read_idx(directory.path()).error(), {"(3, 2, 5, 1)", "(2, 3, 4, 1)"}));
}

TEST_CASE("IDX: where only the packed file is there, the message says what to do") {
    const TemporaryDirectory directory;
    write_mnist(directory);
    std::filesystem::remove(directory.file("t10k-images-idx3-ubyte"));
    CHECK(read_idx(directory.path()).error() == directory.file("t10k-images-idx3-ubyte") + ": there is no such file");
    directory.write("t10k-images-idx3-ubyte.gz", Bytes{0x1f, 0x8b});
    CHECK(mentions(read_idx(directory.path()).error(), {"t10k-images-idx3-ubyte.gz", "gunzip -k"}));
}
