#include "gradus/data/loader.hpp"

#include <doctest/doctest.h>

#include "data/noise_dataset.hpp"

using namespace gradus;

namespace {

LoaderOptions recipe(Index batch_size, Index prefetch) {
    return {.batch_size = batch_size,
            .shuffle = true,
            .seed = 5,
            .augmentation = {.flip = true, .crop_padding = 2},
            .normalisation = {{0.4, 0.5, 0.6}, {0.2, 0.3, 0.25}},
            .prefetch = prefetch};
}

// Everything that an epoch gives, one image after the other.
template <class D>
std::vector<float> pixels_of(const Loader<float, D>& loader, Index epoch) {
    std::vector<float> all;
    for (const Batch<float, D>& batch : loader.epoch(epoch)) {
        const std::vector<float> pixels = batch.images.to_vector();
        all.insert(all.end(), pixels.begin(), pixels.end());
    }
    return all;
}

}  // namespace

TEST_CASE("an epoch gives every image once, with its label") {
    const Dataset data = coloured_noise(50);
    const Loader<float> loader(data, {.batch_size = 8, .shuffle = true, .seed = 1});
    CHECK(loader.batches() == 7);
    CHECK(loader.images() == 50);
    std::vector<int> seen(50);
    Index batches = 0;
    for (const Batch<float>& batch : loader.epoch(0)) {
        CHECK(batch.number == batches++);
        CHECK(batch.images.shape() == Shape{batch.size(), 9, 7, 3});
        for (Index n = 0; n < batch.size(); ++n) {
            const Index index = batch.indices[static_cast<std::size_t>(n)];
            ++seen[static_cast<std::size_t>(index)];
            CHECK(batch.labels.data()[n] == data.labels.data()[index]);
            CHECK(batch.images.read<4>()(n, 4, 3, 1) ==
                  static_cast<float>(data.images.read<4>()(index, 4, 3, 1) / 255.0));
        }
    }
    CHECK(batches == 7);
    CHECK(seen == std::vector<int>(50, 1));
}

TEST_CASE("drop_last leaves out the smaller batch") {
    const Loader<float> loader(coloured_noise(50), {.batch_size = 8, .drop_last = true});
    CHECK(loader.batches() == 6);
    CHECK(loader.images() == 48);
    for (const Batch<float>& batch : loader.epoch(0)) CHECK(batch.size() == 8);
}

TEST_CASE("an epoch depends on seed and epoch, not on batch size, prefetching or device") {
    const Dataset data = coloured_noise(60);
    const std::vector<float> expected = pixels_of(Loader<float>(data, recipe(1, 1)), 3);
    for (const Index batch_size : {7, 16, 60, 100})
        for (const Index prefetch : {1, 3})
            CHECK(pixels_of(Loader<float>(data, recipe(batch_size, prefetch)), 3) == expected);
    CHECK(pixels_of(Loader<float, Reference>(data, recipe(16, 2)), 3) == expected);
    CHECK(pixels_of(Loader<float>(data, recipe(16, 2)), 4) != expected);
    LoaderOptions other = recipe(16, 2);
    other.seed = 6;
    CHECK(pixels_of(Loader<float>(data, other), 3) != expected);
}

TEST_CASE("two loaders at the same time do not disturb each other") {
    const Loader<float> loader(coloured_noise(60), recipe(7, 2));
    const std::vector<float> first = pixels_of(loader, 1), second = pixels_of(loader, 2);
    std::vector<float> one, two;
    Epoch<float> a = loader.epoch(1), b = loader.epoch(2);
    while (const Batch<float>* batch = a.next()) {
        const std::vector<float> pixels = batch->images.to_vector();
        one.insert(one.end(), pixels.begin(), pixels.end());
        const std::vector<float> others = b.next()->images.to_vector();
        two.insert(two.end(), others.begin(), others.end());
    }
    CHECK(one == first);
    CHECK(two == second);
}

TEST_CASE("an epoch may start in the middle") {
    const Loader<float> loader(coloured_noise(60), recipe(7, 2));
    Epoch<float> whole = loader.epoch(1), rest = loader.epoch(1, 5);
    for (int i = 0; i < 5; ++i) whole.next();
    while (const Batch<float>* batch = whole.next()) {
        const Batch<float>* same = rest.next();
        REQUIRE(same != nullptr);
        CHECK(same->number == batch->number);
        CHECK(same->images.to_vector() == batch->images.to_vector());
    }
    CHECK(rest.next() == nullptr);
}

TEST_CASE("a tensor that is kept stays as it is") {
    const Loader<float> loader(coloured_noise(60), recipe(6, 1));
    std::vector<Tensor<float>> kept;
    for (const Batch<float>& batch : loader.epoch(1)) kept.push_back(batch.images);
    std::vector<float> all;
    for (const Tensor<float>& images : kept) {
        const std::vector<float> pixels = images.to_vector();
        all.insert(all.end(), pixels.begin(), pixels.end());
    }
    CHECK(all == pixels_of(loader, 1));
}

TEST_CASE("an epoch may be left in the middle, and no memory stays behind") {
    const Loader<float> loader(coloured_noise(60), recipe(4, 3));
    const std::size_t before = memory_stats(Cpu{}).live_bytes;
    for (int round = 0; round < 100; ++round) {
        int batches = 0;
        for (const Batch<float>& batch : loader.epoch(round)) {
            CHECK(batch.size() == 4);
            if (++batches > round % 6) break;
        }
    }
    CHECK(memory_stats(Cpu{}).live_bytes == before);
}

TEST_CASE("no images, no batches") {
    const Loader<float> loader(coloured_noise(0), recipe(8, 2));
    CHECK(loader.batches() == 0);
    CHECK(pixels_of(loader, 1).empty());
}

TEST_CASE("mistakes are found before an epoch begins") {
    Dataset data = coloured_noise(10);
    CHECK_THROWS_AS(Loader<float>(data, {.batch_size = 0}), Error);
    CHECK_THROWS_AS(Loader<float>(data, {.normalisation = {{0.5}, {0.5}}}).epoch(0), Error);
    CHECK_THROWS_AS(Loader<float>(data, {.prefetch = 0}).epoch(0), Error);
    data.labels = Tensor<std::int64_t>::full({10}, 4);
    CHECK_THROWS_AS(Loader<float>(data, {}), Error);
}
