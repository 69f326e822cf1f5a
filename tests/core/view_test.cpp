#include "gradus/core/view.hpp"

#include <doctest/doctest.h>

#include <type_traits>

using namespace gradus;

TEST_CASE("a view finds elements in row-major order") {
    float data[24];
    for (int i = 0; i < 24; ++i) data[i] = static_cast<float>(i);
    const View<float, 3> x(data, {2, 3, 4});
    CHECK(x.size() == 24);
    CHECK(x(0, 0, 0) == 0);
    CHECK(x(1, 2, 3) == 23);
    CHECK(x(1, 0, 2) == 14);
    x(1, 0, 2) = -1;
    CHECK(data[14] == -1);
    CHECK(Array4<float>(data, {2, 0, 3, 4}).size() == 0);
    static_assert(std::is_convertible_v<Matrix<float>, Matrix<const float>>);
    static_assert(!std::is_convertible_v<Matrix<const float>, Matrix<float>>);
}

TEST_CASE("put overwrites or adds, and rounds once") {
    float x = 1;
    put(x, 2.0f, Write::overwrite);
    CHECK(x == 2);
    put(x, 3.0f, Write::add);
    CHECK(x == 5);
}
