#include "gradus/data/batch.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace gradus;

namespace {

// Image i is 2x2 and grey, of the values 10 i to 10 i + 3; its label is i % 3.
Dataset small_dataset(Index size) {
    Dataset data = make_dataset("small", size, {2, 2, 1}, {"a", "b", "c"});
    for (Index i = 0; i < size; ++i) {
        for (Index p = 0; p < 4; ++p) data.images.mutable_data()[4 * i + p] = static_cast<std::uint8_t>(10 * i + p);
        data.labels.mutable_data()[i] = i % 3;
    }
    return data;
}

std::vector<Index> order(const EpochBatches<float>& epoch) {
    std::vector<Index> all;
    Batch<float> batch;
    for (Index i = 0; i < epoch.count(); ++i) {
        epoch.make(i, batch);
        all.insert(all.end(), batch.indices.begin(), batch.indices.end());
    }
    return all;
}

}  // namespace

TEST_CASE("a batch holds images, labels and indices, in order when not shuffled") {
    const EpochBatches<float> epoch(small_dataset(5), {.batch_size = 3}, 0);
    CHECK(epoch.count() == 2);
    Batch<float> batch;
    epoch.make(1, batch);
    CHECK(batch.number == 1);
    CHECK(batch.size() == 2);
    CHECK(batch.indices == std::vector<Index>{3, 4});
    CHECK(batch.labels.to_vector() == std::vector<std::int64_t>{0, 1});
    CHECK(batch.images.shape() == Shape{2, 2, 2, 1});
    const std::vector<float> pixels = batch.images.to_vector();
    CHECK(pixels[0] == 30 / 255.0f);
    CHECK(pixels[7] == 43 / 255.0f);
}

TEST_CASE("the number of batches") {
    const auto count = [](Index images, Index size, bool drop_last) {
        return EpochBatches<float>::count(small_dataset(images), {.batch_size = size, .drop_last = drop_last});
    };
    CHECK(count(0, 4, false) == 0);
    CHECK(count(3, 4, false) == 1);
    CHECK(count(3, 4, true) == 0);
    CHECK(count(8, 4, false) == 2);
    CHECK(count(9, 4, false) == 3);
    CHECK(count(9, 4, true) == 2);
}

TEST_CASE("shuffling is a permutation that depends on seed and epoch alone") {
    const Dataset data = small_dataset(20);
    const LoaderOptions options = {.batch_size = 6, .shuffle = true, .seed = 3};
    const std::vector<Index> once = order(EpochBatches<float>(data, options, 1));
    std::vector<Index> sorted = once;
    std::sort(sorted.begin(), sorted.end());
    for (Index i = 0; i < 20; ++i) CHECK(sorted[static_cast<std::size_t>(i)] == i);

    CHECK(once == order(EpochBatches<float>(data, options, 1)));
    CHECK(once != order(EpochBatches<float>(data, options, 2)));
    LoaderOptions other = options;
    other.batch_size = 7;
    CHECK(once == order(EpochBatches<float>(data, other, 1)));
    other.seed = 4;
    CHECK(once != order(EpochBatches<float>(data, other, 1)));
}

TEST_CASE("an augmented image is the same whatever batch it is in") {
    const Dataset data = small_dataset(20);
    const LoaderOptions options = {.batch_size = 20,
                                   .seed = 9,
                                   .augmentation = {.flip = true, .crop_padding = 1},
                                   .normalisation = {{0.3}, {0.2}}};
    Batch<float> all;
    EpochBatches<float>(data, options, 4).make(0, all);
    const std::vector<float> expected = all.images.to_vector();
    LoaderOptions shuffled = options;
    shuffled.batch_size = 3;
    shuffled.shuffle = true;
    const EpochBatches<float> epoch(data, shuffled, 4);
    Batch<float> batch;
    for (Index b = epoch.count() - 1; b >= 0; --b) {
        epoch.make(b, batch);
        const std::vector<float> pixels = batch.images.to_vector();
        for (std::size_t n = 0; n < batch.indices.size(); ++n)
            for (std::size_t p = 0; p < 4; ++p)
                CHECK(pixels[4 * n + p] == expected[4 * static_cast<std::size_t>(batch.indices[n]) + p]);
    }
}

TEST_CASE("memory is used again, unless somebody has kept it") {
    const EpochBatches<float> epoch(small_dataset(8), {.batch_size = 4}, 0);
    Batch<float> batch;
    epoch.make(0, batch);
    const float* memory = batch.images.data();
    EpochBatches<float>::recycle(batch);
    epoch.make(1, batch);
    CHECK(batch.images.data() == memory);

    const Tensor<float> kept = batch.images;
    EpochBatches<float>::recycle(batch);
    epoch.make(0, batch);
    CHECK(batch.images.data() != memory);
    CHECK(kept.to_vector()[0] == 40 / 255.0f);
}

TEST_CASE("batches of other element types") {
    Batch<double> batch;
    EpochBatches<double>(small_dataset(1), {.normalisation = {{0.5}, {0.25}}}, 0).make(0, batch);
    CHECK(batch.images.to_vector()[2] == (2 / 255.0 - 0.5) / 0.25);
    Batch<BFloat16> rounded;
    EpochBatches<BFloat16>(small_dataset(1), {}, 0).make(0, rounded);
    CHECK(rounded.images.to_vector()[2].bits == BFloat16(2 / 255.0).bits);
}

TEST_CASE("options that make no sense are refused") {
    CHECK_THROWS_AS(EpochBatches<float>(small_dataset(4), {.batch_size = 0}, 0), Error);
    CHECK_THROWS_AS(EpochBatches<float>(small_dataset(4), {}, -1), Error);
    CHECK_THROWS_AS(EpochBatches<float>(small_dataset(4), {.normalisation = {{0, 0, 0}, {1, 1, 1}}}, 0), Error);
}
