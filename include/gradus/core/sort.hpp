// core/sort.hpp   Sorting where speed does not matter: the tensors of a file, the lines of a report.
// std::stable_sort is some ten functions for every type of element, half a second to compile for five of them. Here one
// sort of positions serves all types, and then every element moves once.
#pragma once

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>
#include <vector>

#include "gradus/core/abi.hpp"

namespace gradus::inline GRADUS_ABI {

// The positions 0 to count-1 so that none comes before another that should precede it; equal ones stay in order.
GRADUS_COLD inline std::vector<std::size_t> stable_order(
    std::size_t count, const std::function<bool(std::size_t, std::size_t)>& precedes) {
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return precedes(a, b); });
    return order;
}

// As std::stable_sort:
//     sort_stably(labels, [](const Label& a, const Label& b) { return a.y < b.y; });
template <class T, class Precedes>
GRADUS_COLD void sort_stably(std::vector<T>& items, const Precedes& precedes) {
    const auto order =
        stable_order(items.size(), [&](std::size_t a, std::size_t b) { return precedes(items[a], items[b]); });
    std::vector<T> sorted;
    sorted.reserve(items.size());
    for (const std::size_t position : order) sorted.push_back(std::move(items[position]));
    items = std::move(sorted);
}

}  // namespace gradus::inline GRADUS_ABI
