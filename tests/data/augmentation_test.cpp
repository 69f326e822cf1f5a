#include "gradus/data/augmentation.hpp"

#include <doctest/doctest.h>

#include <map>
#include <set>
#include <vector>

using namespace gradus;

namespace {

// A table that turns byte x of channel c into 1000 c + x.
std::vector<float> plain_table(Index channels) {
    std::vector<float> table;
    for (Index c = 0; c < channels; ++c)
        for (Index x = 0; x < 256; ++x) table.push_back(static_cast<float>(1000 * c + x));
    return table;
}

std::vector<float> placed(const std::vector<std::uint8_t>& image, Index H, Index W, Index C, Placement placement) {
    std::vector<float> out(image.size());
    place_image(image.data(), H, W, C, placement, plain_table(C).data(), out.data());
    return out;
}

}  // namespace

TEST_CASE("place_image by hand") {
    const std::vector<std::uint8_t> image = {1, 2, 3,  //
                                             4, 5, 6};
    using Row = std::vector<float>;
    CHECK(placed(image, 2, 3, 1, {}) == Row{1, 2, 3, 4, 5, 6});
    CHECK(placed(image, 2, 3, 1, {.flip = true}) == Row{3, 2, 1, 6, 5, 4});
    CHECK(placed(image, 2, 3, 1, {.down = 1}) == Row{0, 0, 0, 1, 2, 3});
    CHECK(placed(image, 2, 3, 1, {.down = -1}) == Row{4, 5, 6, 0, 0, 0});
    CHECK(placed(image, 2, 3, 1, {.right = 2}) == Row{0, 0, 1, 0, 0, 4});
    CHECK(placed(image, 2, 3, 1, {.right = -1}) == Row{2, 3, 0, 5, 6, 0});
    CHECK(placed(image, 2, 3, 1, {.flip = true, .down = 1, .right = 1}) == Row{0, 0, 0, 0, 3, 2});
    CHECK(placed(image, 2, 3, 1, {.right = 5}) == Row(6, 0));
    CHECK(placed(image, 2, 3, 1, {.down = -7}) == Row(6, 0));
}

TEST_CASE("place_image keeps channels apart, and normalises the padding") {
    const std::vector<std::uint8_t> image = {1, 2, 3, 4};  // two pixels of two channels
    CHECK(placed(image, 1, 2, 2, {.flip = true}) == std::vector<float>{3, 1004, 1, 1002});
    CHECK(placed(image, 1, 2, 2, {.right = 1}) == std::vector<float>{0, 1000, 1, 1002});
}

TEST_CASE("place_image is its formula, for every placement of an odd image") {
    const Index H = 5, W = 7, C = 3;
    std::vector<std::uint8_t> image(static_cast<std::size_t>(H * W * C));
    for (std::size_t i = 0; i < image.size(); ++i) image[i] = static_cast<std::uint8_t>(1 + 37 * i % 255);
    for (const bool flip : {false, true})
        for (Index down = -3; down <= 3; ++down)
            for (Index right = -3; right <= 3; ++right) {
                const std::vector<float> out = placed(image, H, W, C, {flip, down, right});
                std::size_t wrong = 0;
                for (Index h = 0; h < H; ++h)
                    for (Index w = 0; w < W; ++w)
                        for (Index c = 0; c < C; ++c) {
                            const Index y = h - down, x = flip ? W - 1 - (w - right) : w - right;
                            const bool inside = 0 <= y && y < H && 0 <= x && x < W;
                            const int byte = inside ? image[static_cast<std::size_t>((y * W + x) * C + c)] : 0;
                            const float expected = static_cast<float>(1000 * c + byte);
                            wrong += out[static_cast<std::size_t>((h * W + w) * C + c)] != expected;
                        }
                CHECK(wrong == 0);
            }
}

TEST_CASE("placements are a function of seed, epoch and image") {
    const Augmentation augmentation = {.flip = true, .crop_padding = 4};
    const Placement placement = draw_placement(augmentation, 5, 3, 17);
    CHECK(placement == draw_placement(augmentation, 5, 3, 17));
    std::set<std::tuple<bool, Index, Index>> seeds, epochs, images;
    for (Index i = 0; i < 20; ++i) {
        const Placement a = draw_placement(augmentation, static_cast<std::uint64_t>(i), 3, 17);
        const Placement b = draw_placement(augmentation, 5, i, 17);
        const Placement c = draw_placement(augmentation, 5, 3, i);
        seeds.insert({a.flip, a.down, a.right});
        epochs.insert({b.flip, b.down, b.right});
        images.insert({c.flip, c.down, c.right});
    }
    CHECK(seeds.size() > 10);
    CHECK(epochs.size() > 10);
    CHECK(images.size() > 10);
}

TEST_CASE("flips and shifts are equally likely") {
    std::map<std::tuple<bool, Index, Index>, int> counts;
    const int draws = 18000;
    for (Index image = 0; image < draws; ++image) {
        const Placement p = draw_placement({.flip = true, .crop_padding = 1}, 1, 1, image);
        ++counts[{p.flip, p.down, p.right}];
    }
    REQUIRE(counts.size() == 18);  // 2 * 3 * 3
    double chi_squared = 0;        // 17 degrees of freedom: above 40.8 with probability 0.001
    for (const auto& [placement, count] : counts) chi_squared += (count - 1000.0) * (count - 1000.0) / 1000.0;
    CHECK(chi_squared < 40.8);
}

TEST_CASE("what is switched off does not happen, and does not change the rest") {
    for (Index image = 0; image < 50; ++image) {
        CHECK(draw_placement({}, 1, 1, image) == Placement{});
        const Placement both = draw_placement({.flip = true, .crop_padding = 2}, 1, 1, image);
        const Placement crop = draw_placement({.crop_padding = 2}, 1, 1, image);
        const Placement flip = draw_placement({.flip = true}, 1, 1, image);
        CHECK(crop == Placement{false, both.down, both.right});
        CHECK(flip == Placement{both.flip, 0, 0});
    }
    CHECK_THROWS_AS(draw_placement({.crop_padding = -1}, 1, 1, 1), Error);
}

TEST_CASE("every purpose, epoch and image has its own stream") {
    CHECK(loader_generator(7, Purpose::order, 0, 0).stream != 0);
    CHECK(loader_generator(7, Purpose::order, 2, 0) != loader_generator(7, Purpose::augmentation, 2, 0));
    CHECK(loader_generator(7, Purpose::augmentation, 1, 0) != loader_generator(7, Purpose::augmentation, 0, 1));
    CHECK_THROWS_AS(loader_generator(7, Purpose::order, -1, 0), Error);
    CHECK_THROWS_AS(loader_generator(7, Purpose::order, 0, Index{1} << 32), Error);
}
