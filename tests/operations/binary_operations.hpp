// operations/binary_operations.hpp   The rows of elementwise/binary.hpp, scalar.hpp and dropout.hpp, and of their
// twins binary_cpu.hpp and dropout_cpu.hpp.
#pragma once

#include "gradus/elementwise/binary.hpp"
#include "gradus/elementwise/dropout.hpp"
#include "gradus/elementwise/scalar.hpp"
#include "operations/operation.hpp"

namespace operations {

struct BinaryOperations {
    template <class Visit>
    static void rows(const Visit& visit) {
        const std::vector<Sample> alike = {{.x = {{3, 7}, {3, 7}}}, {.x = {{}, {}}}, {.x = {{0, 4}, {0, 4}}}};
        const std::vector<Sample> broadcasts = {{.x = {{2, 3, 3, 5}, {5}}},           // a bias
                                                {.x = {{2, 3, 1, 5}, {2, 1, 1, 5}}},  // a gate
                                                {.x = {{4, 1}, {1, 19}}},
                                                {.x = {{17}, {2, 1}}},
                                                {.x = {{1, 2, 1, 3}, {4, 1, 5, 1}}},
                                                {.x = {{0, 3}, {3}}},
                                                {.x = {{}, {3, 3}}}};
        std::vector<Sample> all = alike;
        all.insert(all.end(), broadcasts.begin(), broadcasts.end());
        const auto row = [&](const char* name, const char* keeps, bool distinct) {
            return Row{.name = name, .samples = all, .low = 0.5, .distinct = distinct, .roundings = 24, .keeps = keeps};
        };
        visit(row("binary of your own", "", false),
              [](const auto& in) { return binary(gradus::Add{}, in.x[0], in.x[1]); });
        visit(row("add", "", false), [](const auto& in) { return add(in.x[0], in.x[1]); });
        visit(row("sub", "", false), [](const auto& in) { return sub(in.x[0], in.x[1]); });
        visit(row("mul", "x0 x1", true), [](const auto& in) { return mul(in.x[0], in.x[1]); });
        visit(row("div", "x0 x1", true), [](const auto& in) { return div(in.x[0], in.x[1]); });
        visit(row("maximum", "x0 x1", true), [](const auto& in) { return maximum(in.x[0], in.x[1]); });

        const auto one = [](const char* name, const char* keeps) {
            return Row{.name = name, .samples = {{.x = {{3, 7}}}, {.x = {{0}}}}, .low = 0.5, .keeps = keeps};
        };
        visit(one("scale", ""), [](const auto& in) { return scale(in.x[0], -0.75); });
        visit(one("shift", ""), [](const auto& in) { return shift(in.x[0], 0.3); });
        visit(Row{.name = "mul with itself", .samples = {{.x = {{3, 7}}}}, .stored = 4, .keeps = "x0"},
              [](const auto& in) { return in.x[0] * in.x[0]; });
        visit(Row{.name = "add to itself", .samples = {{.x = {{3, 7}}}}, .stored = 4},
              [](const auto& in) { return in.x[0] + in.x[0]; });
        visit(Row{.name = "add, many rows to one",
                  .samples = {{.x = {{5000, 17}, {17}}}},
                  .scale = Scale::absolute,
                  .roundings = 5000},
              [](const auto& in) { return in.x[0] + in.x[1]; });
        visit(Row{.name = "mul, images by gates",
                  .samples = {{.x = {{3, 40, 40, 5}, {3, 1, 1, 5}}}},
                  .scale = Scale::absolute,
                  .roundings = 1600,
                  .keeps = "x0 x1"},
              [](const auto& in) { return in.x[0] * in.x[1]; });
        visit(Row{.name = "dropout", .samples = {{.x = {{3, 41}}}, {.x = {{}}}, {.x = {{0, 4}}}}}, [](const auto& in) {
            Generator generator{7, 1, 3};
            return dropout(in.x[0], 0.3, true, generator);
        });
    }
};

}  // namespace operations
