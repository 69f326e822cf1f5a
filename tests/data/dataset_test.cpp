#include "gradus/data/dataset.hpp"

#include <doctest/doctest.h>

using namespace gradus;

TEST_CASE("make_dataset makes room") {
    const Dataset data = make_dataset("mine", 5, {4, 3, 2}, {"a", "b"});
    CHECK(data.name == "mine");
    CHECK(data.images.shape() == Shape{5, 4, 3, 2});
    CHECK(data.labels.shape() == Shape{5});
    CHECK(data.size() == 5);
    CHECK(data.image_bytes() == 24);
    CHECK_THROWS_AS(make_dataset("mine", 5, {4, 3}, {"a"}), Error);
}

TEST_CASE("check_dataset names what is wrong") {
    Dataset data;
    CHECK_THROWS_AS(check_dataset(data), Error);
    data.images = Tensor<std::uint8_t>::zeros({2, 4, 4, 1});
    data.labels = Tensor<std::int64_t>::from({2}, {0, 1});
    data.classes = {"a", "b"};
    check_dataset(data);
    data.classes = {"a"};
    CHECK_THROWS_WITH_AS(check_dataset(data), "dataset: label 1 of image 1 is not one of the 1 classes", Error);
    data.labels = Tensor<std::int64_t>::from({2}, {-1, 0});
    CHECK_THROWS_WITH_AS(check_dataset(data), "dataset: label -1 of image 0 is not one of the 1 classes", Error);
    data.labels = Tensor<std::int64_t>::zeros({3});
    CHECK_THROWS_WITH_AS(check_dataset(data), "dataset: 2 images, but 3 labels", Error);
    data.images = Tensor<std::uint8_t>::zeros({2, 4, 4});
    CHECK_THROWS_AS(check_dataset(data), Error);
}
