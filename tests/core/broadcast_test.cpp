#include "gradus/core/broadcast.hpp"

#include <doctest/doctest.h>

using namespace gradus;

namespace {

std::vector<Index> x_indices(const Broadcast& pairs) {
    std::vector<Index> indices;
    for (Index i = 0; i < pairs.shape().numel(); ++i) indices.push_back(pairs.x_index(i));
    return indices;
}
std::vector<Index> y_indices(const Broadcast& pairs) {
    std::vector<Index> indices;
    for (Index i = 0; i < pairs.shape().numel(); ++i) indices.push_back(pairs.y_index(i));
    return indices;
}
using Indices = std::vector<Index>;

}  // namespace

TEST_CASE("shapes are aligned at the end and extents of 1 are repeated") {
    CHECK(Broadcast("add", {8, 4, 4, 16}, {16}).shape() == Shape{8, 4, 4, 16});
    CHECK(Broadcast("add", {3, 1}, {1, 5}).shape() == Shape{3, 5});
    CHECK(Broadcast("add", {}, {2, 2}).shape() == Shape{2, 2});
    CHECK(Broadcast("add", {0, 3}, {1, 3}).shape() == Shape{0, 3});
    CHECK(Broadcast("add", {0}, {1}).shape() == Shape{0});
    CHECK_THROWS_WITH_AS(Broadcast("add", {2}, {3}), "add: shapes (2,) and (3,) do not broadcast", Error);
    CHECK_THROWS_AS(Broadcast("add", {0}, {3}), Error);
}

TEST_CASE("the elements that meet") {
    const Broadcast table("mul", {2, 1}, {3});
    CHECK(x_indices(table) == Indices{0, 0, 0, 1, 1, 1});
    CHECK(y_indices(table) == Indices{0, 1, 2, 0, 1, 2});
    const Broadcast middle("mul", {2, 2, 2}, {2, 1, 2});
    CHECK(x_indices(middle) == Indices{0, 1, 2, 3, 4, 5, 6, 7});
    CHECK(y_indices(middle) == Indices{0, 1, 0, 1, 2, 3, 2, 3});
}

TEST_CASE("dimensions that behave alike walk as one") {
    CHECK(Broadcast("add", {8, 4, 4, 16}, {8, 4, 4, 16}).groups().size() == 1);
    CHECK(Broadcast("add", {8, 4, 4, 16}, {16}).groups().size() == 2);
    CHECK(Broadcast("mul", {8, 4, 4, 16}, {8, 1, 1, 16}).groups().size() == 3);
    CHECK(Broadcast("mul", {8, 4, 1, 16}, {8, 4, 1, 16}).groups().size() == 1);
    CHECK(Broadcast("mul", {}, {}).groups().empty());
}
