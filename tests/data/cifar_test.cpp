#include "gradus/data/cifar.hpp"

#include "temporary_directory.hpp"

using namespace gradus;

namespace {

// A record whose red, green and blue values at pixel p are p, p + 1 and p + 2, modulo 256, plus `shift`.
Bytes record(const Bytes& labels, int shift = 0) {
    Bytes bytes = labels;
    for (int c = 0; c < 3; ++c)
        for (int p = 0; p < 1024; ++p) bytes.push_back(static_cast<std::uint8_t>(p + c + shift));
    return bytes;
}

// Five training files with one to three records and a test file.
void write_cifar10(const TemporaryDirectory& directory) {
    directory.write("data_batch_1.bin", record({3}));
    directory.write("data_batch_2.bin", record({1}, 1) + record({2}, 2));
    directory.write("data_batch_3.bin", Bytes{});
    directory.write("data_batch_4.bin", record({9}, 3) + record({0}, 4) + record({5}, 5));
    directory.write("data_batch_5.bin", record({7}, 6));
    directory.write("test_batch.bin", record({4}, 7));
}

}  // namespace

TEST_CASE("CIFAR-10: records become NHWC images, file after file") {
    const TemporaryDirectory directory;
    write_cifar10(directory);
    const DataPair data = read_cifar10(directory.path()).value();
    CHECK(data.train.name == "CIFAR-10");
    CHECK(data.train.images.shape() == Shape{7, 32, 32, 3});
    CHECK(data.train.labels.to_vector() == std::vector<std::int64_t>{3, 1, 2, 9, 0, 5, 7});
    CHECK(data.test.images.shape() == Shape{1, 32, 32, 3});
    CHECK(data.test.labels.to_vector() == std::vector<std::int64_t>{4});
    const View<const std::uint8_t, 4> images = data.train.images.read<4>();
    CHECK(images(0, 0, 0, 0) == 0);
    CHECK(images(0, 0, 0, 1) == 1);
    CHECK(images(0, 0, 0, 2) == 2);
    CHECK(images(0, 2, 5, 0) == 2 * 32 + 5);
    CHECK(images(6, 31, 31, 2) == (1023 + 2 + 6) % 256);
}

TEST_CASE("CIFAR-10: class names come from the file, or are known") {
    const TemporaryDirectory directory;
    write_cifar10(directory);
    CHECK(read_cifar10(directory.path()).value().train.classes[9] == "truck");
    directory.write("batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n");
    const DataPair data = read_cifar10(directory.path()).value();
    CHECK(data.train.classes.size() == 10);
    CHECK(data.test.classes[9] == "j");
    directory.write("batches.meta.txt", "a\nb\n");
    CHECK(read_cifar10(directory.path()).error() ==
          directory.file("batches.meta.txt") + ": 2 class names, expected 10");
}

TEST_CASE("CIFAR-10: no records at all is a data set without images") {
    const TemporaryDirectory directory;
    for (const std::string& name : cifar10_format().train_files) directory.write(name, Bytes{});
    directory.write("test_batch.bin", Bytes{});
    const DataPair data = read_cifar10(directory.path()).value();
    CHECK(data.train.images.shape() == Shape{0, 32, 32, 3});
    CHECK(data.test.size() == 0);
}

TEST_CASE("CIFAR-10: half a record, a wrong label, a missing file") {
    const TemporaryDirectory directory;
    write_cifar10(directory);
    Bytes half = record({1}) + record({1});
    half.pop_back();
    directory.write("data_batch_4.bin", half);
    CHECK(read_cifar10(directory.path()).error() ==
          directory.file("data_batch_4.bin") +
              ", byte 3073: an incomplete record of 3072 bytes, CIFAR-10 has records of 3073");
    directory.write("data_batch_4.bin", Bytes{1});
    CHECK(mentions(read_cifar10(directory.path()).error(), {"data_batch_4.bin", "byte 0", "incomplete"}));

    directory.write("data_batch_4.bin", record({1}) + record({10}));
    CHECK(read_cifar10(directory.path()).error() ==
          directory.file("data_batch_4.bin") + ", byte 3073: label 10 is not one of the 10 classes of CIFAR-10");

    std::filesystem::remove(directory.file("data_batch_4.bin"));
    CHECK(read_cifar10(directory.path()).error() == directory.file("data_batch_4.bin") + ": there is no such file");
}

TEST_CASE("CIFAR-100: the fine label is the class, the coarse one is checked") {
    const TemporaryDirectory directory;
    directory.write("train.bin", record({19, 99}) + record({0, 42}, 1));
    directory.write("test.bin", record({5, 0}));
    DataPair data = read_cifar100(directory.path()).value();
    CHECK(data.train.name == "CIFAR-100");
    CHECK(data.train.labels.to_vector() == std::vector<std::int64_t>{99, 42});
    CHECK(data.train.images.read<4>()(1, 0, 0, 1) == 2);
    CHECK(data.train.classes.size() == 100);
    CHECK(data.train.classes[42] == "class 42");

    std::string names;
    for (int i = 0; i < 100; ++i) names += "name_" + std::to_string(i) + "\n";
    directory.write("fine_label_names.txt", names);
    data = read_cifar100(directory.path()).value();
    CHECK(data.train.classes[42] == "name_42");

    directory.write("test.bin", record({5, 0}) + record({20, 0}));
    CHECK(mentions(read_cifar100(directory.path()).error(), {"test.bin", "byte 3074", "label 20", "20 classes"}));
    directory.write("test.bin", record({5, 0}) + record({19, 100}));
    CHECK(mentions(read_cifar100(directory.path()).error(), {"test.bin", "byte 3075", "label 100", "100 classes"}));
    directory.write("test.bin", record({5}));
    CHECK(mentions(read_cifar100(directory.path()).error(), {"test.bin", "byte 0", "3073 bytes", "3074"}));
}
