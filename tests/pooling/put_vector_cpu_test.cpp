#include "gradus/pooling/put_vector_cpu.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace gradus;

TEST_CASE("put_vector writes or adds the first lanes and touches no other") {
    for (Index lanes = 1; lanes <= vec_floats; ++lanes)
        for (const Write mode : {Write::overwrite, Write::add}) {
            std::vector<float> target(vec_floats, 10.0f);
            Vec value;
            for (int l = 0; l < vec_floats; ++l) value[l] = static_cast<float>(l);
            put_vector(target.data(), value, lanes, mode);
            for (Index l = 0; l < vec_floats; ++l) {
                const float written = static_cast<float>(l) + (mode == Write::add ? 10.0f : 0.0f);
                CHECK(target[static_cast<std::size_t>(l)] == (l < lanes ? written : 10.0f));
            }
        }
}
