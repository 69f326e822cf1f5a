#include "gradus/machine/cpu/chunks.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace gradus;

TEST_CASE("chunks are all elements, each once") {
    for (const Index n : {Index{0}, Index{1}, chunk_elements, 3 * chunk_elements + 5}) {
        std::vector<int> visits(static_cast<std::size_t>(n), 0);
        for_chunks(n, [&](Index begin, Index end) {
            for (Index i = begin; i < end; ++i) ++visits[static_cast<std::size_t>(i)];
        });
        for (const int count : visits) REQUIRE(count == 1);
    }
}

TEST_CASE("runs are all elements of a broadcast, each once, with the right operands") {
    const std::vector<std::pair<Shape, Shape>> cases = {{{2, 3, 4, 5}, {5}},
                                                        {{2, 3, 4, 5}, {2, 1, 1, 5}},
                                                        {{3, 1}, {1, 7}},
                                                        {{}, {}},
                                                        {{0, 3}, {3}},
                                                        {{1, 2, 1, 3}, {4, 1, 5, 1}},
                                                        {{40000}, {40000}},
                                                        {{3, 20000}, {3, 1}},
                                                        {{2, 1, 3, 1}, {1, 5, 1, 2}},
                                                        {{5000, 7}, {7}},
                                                        {{5000, 7}, {5000, 1}},
                                                        {{2, 1, 2, 1, 2, 1}, {3, 1, 3}}};
    for (const auto& shapes : cases) {
        const Shape &x = shapes.first, &y = shapes.second;
        const Broadcast pairs("add", x, y);
        INFO(text(x, " and ", y));
        std::vector<int> visits(static_cast<std::size_t>(pairs.shape().numel()), 0);
        std::vector<Index> wrong(visits.size(), 0);
        const bool x_repeats = !pairs.groups().empty() && pairs.groups().back().repeats_x;
        const bool y_repeats = !pairs.groups().empty() && pairs.groups().back().repeats_y;
        for_broadcast_runs(pairs, [&](Index first, Index a, Index b, Index count) {
            for (Index i = 0; i < count; ++i) {
                const std::size_t at = static_cast<std::size_t>(first + i);
                ++visits[at];
                if (a + (x_repeats ? 0 : i) != pairs.x_index(first + i)) wrong[at] = 1;
                if (b + (y_repeats ? 0 : i) != pairs.y_index(first + i)) wrong[at] = 1;
            }
        });
        for (std::size_t i = 0; i < visits.size(); ++i) REQUIRE((visits[i] == 1 && wrong[i] == 0));
    }
}
