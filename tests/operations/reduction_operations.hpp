// operations/reduction_operations.hpp   The rows of reduction/sum.hpp and max.hpp, and of their twins sum_cpu.hpp
// and max_cpu.hpp.
#pragma once

#include "gradus/reduction/max.hpp"
#include "gradus/reduction/sum.hpp"
#include "operations/operation.hpp"

namespace operations {

struct ReductionOperations {
    template <class Visit>
    static void rows(const Visit& visit) {
        visit(Row{.name = "scaled_sum", .samples = {{.x = {{3, 5}}}}, .roundings = 17},
              [](const auto& in) { return scaled_sum(in.x[0], -0.5f, {0}); });
        visit(Row{.name = "sum of all",
                  .samples = {{.x = {{3, 5}}}, {.x = {{}}}, {.x = {{0, 4}}}, {.x = {{131}}}},
                  .roundings = 131},
              [](const auto& in) { return sum(in.x[0]); });
        visit(Row{.name = "sum over rows, kept",
                  .samples = {{.x = {{5, 19}}}, {.x = {{1, 1}}}, {.x = {{0, 3}}}, {.x = {{4, 3, 70}}}},
                  .roundings = 70},
              [](const auto& in) { return sum(in.x[0], {-1}, {.keep = true}); });
        visit(Row{.name = "sum over columns",
                  .samples = {{.x = {{7, 70}}}, {.x = {{33, 5}}}, {.x = {{0, 3}}}},
                  .roundings = 34},
              [](const auto& in) { return sum(in.x[0], {0}); });
        visit(Row{.name = "sum over three of five",
                  .samples = {{.x = {{3, 2, 5, 1, 4}}}, {.x = {{2, 3, 2, 2, 7}}}},
                  .roundings = 42},
              [](const auto& in) {
                  return sum(in.x[0], {4, 0, 2});
              });
        visit(Row{.name = "mean of all", .samples = {{.x = {{3, 5}}}, {.x = {{1}}}}, .roundings = 17},
              [](const auto& in) { return mean(in.x[0]); });
        visit(Row{.name = "mean over H and W",
                  .samples = {{.x = {{2, 3, 5, 17}}}, {.x = {{0, 2, 2, 3}}}},
                  .roundings = 17},
              [](const auto& in) {
                  return mean(in.x[0], {1, 2});
              });
        // Longest chain of additions: 1,000 of a part, or a part's lanes, then up to 64 parts.
        visit(Row{.name = "sum of many rows",
                  .samples = {{.x = {{6000, 17}}}},
                  .scale = Scale::absolute,
                  .roundings = 1100},
              [](const auto& in) { return sum(in.x[0], {0}); });
        visit(Row{.name = "sum of many", .samples = {{.x = {{300, 333}}}}, .scale = Scale::absolute, .roundings = 1100},
              [](const auto& in) { return sum(in.x[0]); });
        visit(Row{.name = "mean of wide rows",
                  .samples = {{.x = {{3, 20000, 2}}}},
                  .scale = Scale::absolute,
                  .roundings = 20001},
              [](const auto& in) { return mean(in.x[0], {1}); });
        visit(Row{.name = "max of all", .samples = {{.x = {{3, 5}}}, {.x = {{}}}}, .distinct = true, .keeps = "y:8"},
              [](const auto& in) { return max(in.x[0]); });
        visit(Row{.name = "max over H and W",
                  .samples = {{.x = {{2, 3, 5, 17}}}, {.x = {{0, 2, 2, 3}}}},
                  .distinct = true,
                  .keeps = "y:8"},
              [](const auto& in) {
                  return max(in.x[0], {1, 2});
              });
        visit(Row{.name = "max over two of three, kept",
                  .samples = {{.x = {{2, 3, 5}}}},
                  .distinct = true,
                  .keeps = "y:8"},
              [](const auto& in) {
                  return max(in.x[0], {0, 2}, {.keep = true});
              });
    }
};

}  // namespace operations
