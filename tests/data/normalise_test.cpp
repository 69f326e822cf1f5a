#include "gradus/data/normalise.hpp"

#include <doctest/doctest.h>

using namespace gradus;

namespace {

Dataset two_pixels() {  // channel 0: 0, 255; channel 1: 51, 51; channel 2: 0, 51
    Dataset data;
    data.images = Tensor<std::uint8_t>::from({1, 1, 2, 3}, {0, 51, 0, 255, 51, 51});
    data.labels = Tensor<std::int64_t>::zeros({1});
    data.classes = {"a"};
    return data;
}

}  // namespace

TEST_CASE("channel_statistics by hand") {
    const ChannelStatistics statistics = channel_statistics(two_pixels());
    REQUIRE(statistics.mean.size() == 3);
    CHECK(statistics.mean[0] == doctest::Approx(0.5));
    CHECK(statistics.std[0] == doctest::Approx(0.5));
    CHECK(statistics.mean[1] == doctest::Approx(0.2));
    CHECK(statistics.std[1] == 1);  // constant
    CHECK(statistics.mean[2] == doctest::Approx(0.1));
    CHECK(statistics.std[2] == doctest::Approx(0.1));
}

TEST_CASE("channel_statistics of no images") {
    Dataset data = two_pixels();
    data.images = Tensor<std::uint8_t>({0, 4, 4, 2});
    const ChannelStatistics statistics = channel_statistics(data);
    CHECK(statistics.mean == std::vector<double>{0, 0});
    CHECK(statistics.std == std::vector<double>{1, 1});
}

TEST_CASE("the table holds the formula") {
    CHECK(normalise(51, 0.5, 0.25) == doctest::Approx(-1.2));
    const std::vector<double> table = normalisation_table<double>({{0.5, 0}, {0.25, 1}}, 2);
    REQUIRE(table.size() == 512);
    for (int x = 0; x < 256; ++x) {
        CHECK(table[static_cast<std::size_t>(x)] == normalise(static_cast<std::uint8_t>(x), 0.5, 0.25));
        CHECK(table[static_cast<std::size_t>(256 + x)] == x / 255.0);
    }
    CHECK(normalisation_table<float>({}, 1)[255] == 1.0f);
    CHECK(static_cast<float>(normalisation_table<Half>({{0.5}, {0.5}}, 1)[255]) == 1.0f);
}

TEST_CASE("normalised pixels have mean 0 and variance 1") {
    const Dataset data = two_pixels();
    const std::vector<double> table = normalisation_table<double>(channel_statistics(data), 3);
    for (std::size_t c : {0u, 2u}) {
        const std::uint8_t a = data.images.data()[c], b = data.images.data()[3 + c];
        const double u = table[256 * c + a], v = table[256 * c + b];
        CHECK(u + v == doctest::Approx(0));
        CHECK((u * u + v * v) / 2 == doctest::Approx(1));
    }
}

TEST_CASE("statistics that do not fit are refused") {
    CHECK_THROWS_WITH_AS(normalisation_table<float>({{0.5}, {0.5}}, 3),
                         "normalise: 1 means and 1 standard deviations for 3 channels", Error);
    CHECK_THROWS_AS(normalisation_table<float>({{0.5}, {}}, 1), Error);
    CHECK_THROWS_AS(normalisation_table<float>({{0.5}, {0}}, 1), Error);
}
