#include "gradus/machine/cpu/vector.hpp"

#include <doctest/doctest.h>

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
