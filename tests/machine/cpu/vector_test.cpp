#include "gradus/machine/cpu/vector.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

using namespace gradus;

TEST_CASE("store_some and load_some touch exactly the lanes that they are told to") {
    for (Index count = 1; count <= vec_floats; ++count) {
        float from[2 * vec_floats], to[2 * vec_floats];
        for (int i = 0; i < 2 * vec_floats; ++i) {
            from[i] = static_cast<float>(i + 1);
            to[i] = -1;
        }
        store_some(to, load(from), count);
        for (int i = 0; i < 2 * vec_floats; ++i) CHECK(to[i] == (i < count ? from[i] : -1.0f));

        float lanes[vec_floats];
        store(lanes, load_some(from, count));
        for (int i = 0; i < vec_floats; ++i) CHECK(lanes[i] == (i < count ? from[i] : 0.0f));
    }
}

TEST_CASE("broadcast fills all lanes, and round_up and ceil_div round upwards") {
    float lanes[vec_floats];
    store(lanes, broadcast(2.5f));
    for (float lane : lanes) CHECK(lane == 2.5f);
    CHECK(round_up(0, 16) == 0);
    CHECK(round_up(17, 16) == 32);
    CHECK(ceil_div(17, 16) == 2);
    CHECK(ceil_div(16, 16) == 1);
}

// Every 65,537th float, of both signs: zeros, subnormal numbers, infinities and NaN among them.
TEST_CASE("sqrt gives the bits of std::sqrt in every lane") {
    int wrong = 0;
    for (std::uint64_t first = 0; first < std::uint64_t{1} << 32; first += std::uint64_t{65537} * vec_floats) {
        float x[vec_floats], root[vec_floats];
        for (int i = 0; i < vec_floats; ++i)
            x[i] = std::bit_cast<float>(
                static_cast<std::uint32_t>(first + std::uint64_t{65537} * static_cast<std::uint64_t>(i)));
        store(root, sqrt(load(x)));
        for (int i = 0; i < vec_floats; ++i) {
            const float expected = std::sqrt(x[i]);
            const bool is_nan = std::isnan(expected) && std::isnan(root[i]);
            if (!is_nan && std::bit_cast<std::uint32_t>(root[i]) != std::bit_cast<std::uint32_t>(expected)) ++wrong;
        }
    }
    CHECK(wrong == 0);
    float ends[vec_floats];
    store(ends, sqrt(Vec{-0.0f, std::numeric_limits<float>::infinity(), -1.0f, 0x1p-149f}));
    CHECK(std::signbit(ends[0]));
    CHECK(std::isinf(ends[1]));
    CHECK(std::isnan(ends[2]));
    CHECK(ends[3] == std::sqrt(0x1p-149f));
}

TEST_CASE("add_lanes and max_lanes fold all lanes, those first that lie half a vector apart") {
    Vec powers;
    for (int i = 0; i < vec_floats; ++i) powers[i] = static_cast<float>(1 << i);
    CHECK(add_lanes(powers) == static_cast<float>((1 << vec_floats) - 1));
    for (int i = 0; i < vec_floats; ++i) {
        Vec v = broadcast(-3);
        v[i] = -2;
        CHECK(max_lanes(v) == -2);
    }
    Vec v{};
    v[0] = 1e8f;
    v[vec_floats / 2] = -1e8f;  // cancels before it can swallow the 1
    v[1] = 1;
    CHECK(add_lanes(v) == 1);
}
