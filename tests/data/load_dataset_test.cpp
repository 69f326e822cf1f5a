#include "gradus/data/load_dataset.hpp"

#include "temporary_directory.hpp"

using namespace gradus;

namespace {

Bytes digit_record(std::uint8_t label) { return Bytes{label} + Bytes(40, 0); }
Bytes cifar100_record(std::uint8_t label) { return Bytes{0, label} + Bytes(3072, 0); }

}  // namespace

TEST_CASE("load_dataset recognises a data set by its files") {
    const TemporaryDirectory digits, cifar10, cifar100, mnist;
    digits.write("digits.bin", digit_record(3));
    CHECK(load_dataset(digits.path()).value().train.name == "UCI digits");

    for (const std::string& name : cifar10_format().train_files) cifar10.write("cifar-10-batches-bin/" + name, Bytes{});
    cifar10.write("cifar-10-batches-bin/test_batch.bin", Bytes{});
    CHECK(load_dataset(cifar10.path()).value().train.name == "CIFAR-10");
    CHECK(load_dataset(cifar10.path() + "/").value().train.name == "CIFAR-10");
    CHECK(load_dataset(cifar10.file("cifar-10-batches-bin")).value().train.name == "CIFAR-10");

    cifar100.write("cifar-100-binary/train.bin", cifar100_record(8));
    cifar100.write("cifar-100-binary/test.bin", cifar100_record(9));
    CHECK(load_dataset(cifar100.path()).value().test.labels.item() == 9);

    for (const std::string part : {"train", "t10k"}) {
        mnist.write(part + "-images.idx3-ubyte", Bytes{0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 77});
        mnist.write(part + "-labels.idx1-ubyte", Bytes{0, 0, 8, 1, 0, 0, 0, 1, 6});
    }
    CHECK(load_dataset(mnist.path()).value().train.images.item() == 77);
}

TEST_CASE("load_dataset in an empty directory lists what it looks for") {
    const TemporaryDirectory directory;
    const std::string error = load_dataset(directory.path()).error();
    CHECK(mentions(error, {directory.path() + ": there is no data set here", "CIFAR-10:", "data_batch_1.bin",
                           "CIFAR-100:", "train.bin", "MNIST", "t10k-labels-idx1-ubyte", "digits.bin",
                           "cifar-10-batches-bin", "cifar-100-binary"}));
    CHECK(load_dataset(directory.file("none")).error() == directory.file("none") + ": there is no such directory");
}

TEST_CASE("load_dataset sees what is packed, or of another kind") {
    const TemporaryDirectory mnist, archive, python;
    mnist.write("train-images-idx3-ubyte.gz", Bytes{0x1f, 0x8b});
    CHECK(mentions(load_dataset(mnist.path()).error(), {"train-images-idx3-ubyte.gz", "gunzip -k"}));
    archive.write("cifar-10-binary.tar.gz", Bytes{0x1f, 0x8b});
    CHECK(mentions(load_dataset(archive.path()).error(), {"tar xzf", "cifar-10-binary.tar.gz"}));
    python.write("data_batch_1", Bytes{0x80});
    CHECK(mentions(load_dataset(python.path()).error(), {"Python version", "binary version"}));
}

TEST_CASE("load_dataset does not choose between two data sets") {
    const TemporaryDirectory directory;
    directory.write("digits.bin", digit_record(3));
    directory.write("cifar-100-binary/train.bin", cifar100_record(8));
    directory.write("cifar-100-binary/test.bin", cifar100_record(9));
    CHECK(mentions(load_dataset(directory.path()).error(), {"more than one", "UCI digits", "CIFAR-100"}));
}

TEST_CASE("load_dataset hands a reader's error on") {
    const TemporaryDirectory directory;
    directory.write("train.bin", cifar100_record(8) + Bytes{1});
    CHECK(mentions(load_dataset(directory.path()).error(), {"train.bin, byte 3074", "incomplete"}));
}
