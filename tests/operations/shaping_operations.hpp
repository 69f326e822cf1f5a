// operations/shaping_operations.hpp   The rows of include/gradus/shaping; the kernels are in rows.hpp, permute.hpp
// and their twins rows_cpu.hpp and permute_cpu.hpp. Copies are exact: one storing, no rounding.
#pragma once

#include "gradus/shaping/concat.hpp"
#include "gradus/shaping/pad.hpp"
#include "gradus/shaping/permute.hpp"
#include "gradus/shaping/reshape.hpp"
#include "gradus/shaping/slice.hpp"
#include "operations/operation.hpp"

namespace operations {

struct ShapingOperations {
    template <class Visit>
    static void rows(const Visit& visit) {
        const auto row = [](const char* name, const std::vector<Sample>& samples) {
            return Row{.name = name, .samples = samples, .roundings = 0, .stored = 0};
        };
        const std::vector<Sample> images = {{.x = {{2, 5, 3, 7}}}, {.x = {{1, 3, 1, 1}}}, {.x = {{0, 3, 4, 2}}}};
        visit(row("slice", images), [](const auto& in) { return slice(in.x[0], 1, {.start = 1, .stop = 3}); });
        visit(row("slice with a step", images), [](const auto& in) { return slice(in.x[0], 1, {.step = 2}); });
        visit(row("slice of channels", {{.x = {{2, 3, 19}}}}),
              [](const auto& in) { return slice(in.x[0], -1, {.start = -12, .stop = -1, .step = 3}); });
        visit(row("slice of nothing", {{.x = {{2, 3}}}}),
              [](const auto& in) { return slice(in.x[0], 0, {.start = 1, .stop = 1}); });
        visit(row("pad", images), [](const auto& in) { return pad(in.x[0], 3, {.before = 2, .after = 3}); });
        visit(row("pad of the first dimension", {{.x = {{3, 5}}}, {.x = {{0, 2}}}, {.x = {{2, 40}}}}),
              [](const auto& in) { return pad(in.x[0], 0, {.after = 1}); });
        visit(row("concat of channels", {{.x = {{2, 3, 2}, {2, 3, 11}, {2, 3, 1}}}, {.x = {{0, 2}, {0, 1}, {0, 3}}}}),
              []<class T, class D>(const Inputs<T, D>& in) { return concat<T, D>(in.x, -1); });
        visit(row("concat of rows", {{.x = {{2, 3}, {1, 3}, {0, 3}}}}),
              []<class T, class D>(const Inputs<T, D>& in) { return concat<T, D>(in.x, 0); });
        visit(row("reshape", {{.x = {{2, 6}}}, {.x = {{12}}}}), [](const auto& in) {
            return reshape(in.x[0], {3, 4});
        });
        visit(row("permute", images), [](const auto& in) { return permute(in.x[0], {0, 3, 1, 2}); });
        visit(row("permute, channels stay last", images), [](const auto& in) {
            return permute(in.x[0], {2, 0, 1, 3});
        });
        visit(row("transpose", {{.x = {{5, 18}}}, {.x = {{0, 3}}}}), [](const auto& in) { return transpose(in.x[0]); });
        visit(row("flatten", images), [](const auto& in) { return flatten(in.x[0]); });
        visit(row("flatten of a matrix", {{.x = {{3, 4}}}}), [](const auto& in) { return flatten(in.x[0]); });
    }
};

}  // namespace operations
