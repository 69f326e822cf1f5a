#include "gradus/core/shape.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace gradus;

TEST_CASE("a shape has a rank, extents and a number of elements") {
    const Shape shape{8, 4, 4, 16};
    CHECK(shape.rank() == 4);
    CHECK(shape[0] == 8);
    CHECK(shape[-1] == 16);
    CHECK(shape[-4] == 8);
    CHECK(shape.numel() == 2048);
    CHECK(Shape{}.rank() == 0);
    CHECK(Shape{}.numel() == 1);  // a scalar
    CHECK(Shape{3, 0, 5}.numel() == 0);
}

TEST_CASE("shapes compare by rank and extents") {
    CHECK(Shape{2, 3} == Shape{2, 3});
    CHECK(Shape{2, 3} != Shape{3, 2});
    CHECK(Shape{2, 3} != Shape{2, 3, 1});
    const std::vector<int> extents = {2, 3};
    CHECK(Shape(extents.begin(), extents.end()) == Shape{2, 3});
}

TEST_CASE("a shape is written as in Python") {
    CHECK(text(Shape{}) == "()");
    CHECK(text(Shape{5}) == "(5,)");
    CHECK(text(Shape{5, 7}) == "(5, 7)");
}

TEST_CASE("errors name what is wrong") {
    CHECK_THROWS_WITH_AS((Shape{1, 2, 3, 4, 5, 6, 7}), "shape: at most 6 dimensions", Error);
    CHECK_THROWS_WITH_AS((Shape{-1}), "shape: an extent is negative: -1", Error);
    const Index large = Index{1} << 32;
    CHECK_THROWS_WITH_AS((Shape{large, large}.numel()), "shape: (4294967296, 4294967296) has more than 2^58 elements",
                         Error);
    CHECK_THROWS_AS((Shape{Index{1} << 62}.numel()), Error);
    CHECK((Shape{Index{1} << 58}.numel()) == Shape::max_numel);
    const Shape shape{2, 3};
    CHECK_THROWS_WITH_AS(shape[2], "shape: dimension 2 of a shape of rank 2", Error);
    CHECK_THROWS_WITH_AS(shape[-3], "shape: dimension -3 of a shape of rank 2", Error);
}
