#include "gradus/core/sort.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>

using namespace gradus;

TEST_CASE("sort_stably gives what std::stable_sort gives") {
    struct Word {
        int key;
        std::string text;
        bool operator==(const Word&) const = default;
    };
    const auto precedes = [](const Word& a, const Word& b) { return a.key > b.key; };
    std::mt19937 random(1);
    for (std::size_t count : {0, 1, 2, 3, 17, 1000}) {
        std::vector<Word> words;
        for (std::size_t i = 0; i < count; ++i)
            words.push_back({static_cast<int>(random() % 10), "a word of some length, number " + std::to_string(i)});
        std::vector<Word> expected = words;
        std::stable_sort(expected.begin(), expected.end(), precedes);
        sort_stably(words, precedes);
        CHECK(words == expected);
    }
}

TEST_CASE("stable_order keeps what is equal in order") {
    const std::vector<int> keys = {3, 1, 3, 2, 1};
    const std::vector<std::size_t> order =
        stable_order(keys.size(), [&](std::size_t a, std::size_t b) { return keys[a] < keys[b]; });
    CHECK(order == std::vector<std::size_t>{1, 4, 3, 0, 2});
}
