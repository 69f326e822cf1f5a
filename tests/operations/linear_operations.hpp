// operations/linear_operations.hpp   The rows of include/gradus/linear.
#pragma once

#include "gradus/linear/linear.hpp"
#include "gradus/linear/matmul.hpp"
#include "operations/operation.hpp"

namespace operations {

struct LinearOperations {
    template <class Visit>
    static void rows(const Visit& visit) {
        // x (N, I), weight (O, I), bias (O). The longest sums run over 37 numbers.
        const std::vector<Sample> with_bias = {{.x = {{5, 7}}, .p = {{3, 7}, {3}}},
                                               {.x = {{1, 1}}, .p = {{1, 1}, {1}}},
                                               {.x = {{37, 2}}, .p = {{19, 2}, {19}}},
                                               {.x = {{0, 7}}, .p = {{3, 7}, {3}}}};
        visit(Row{.name = "linear", .samples = with_bias, .roundings = 37 + 2, .keeps = "x0 p0"},
              [](const auto& in) { return linear(in.x[0], in.p[0], in.p[1]); });
        visit(Row{.name = "linear without a bias",
                  .samples = {{.x = {{3, 17}}, .p = {{18, 17}}}},
                  .roundings = 18 + 1,
                  .keeps = "x0 p0"},
              [](const auto& in) { return linear(in.x[0], in.p[0]); });
        visit(Row{.name = "linear, many blocks",
                  .samples = {{.x = {{150, 530}}, .p = {{70, 530}, {70}}}},
                  .scale = Scale::absolute,
                  .roundings = 530 + 2,
                  .keeps = "x0 p0"},
              [](const auto& in) { return linear(in.x[0], in.p[0], in.p[1]); });

        const auto product = [](const char* name, const std::vector<Sample>& samples) {
            return Row{.name = name, .samples = samples, .roundings = 37 + 1, .keeps = "x0 x1"};
        };
        visit(product("matmul", {{.x = {{5, 7}, {7, 3}}}, {.x = {{1, 1}, {1, 1}}}, {.x = {{2, 37}, {37, 18}}}}),
              [](const auto& in) { return matmul(in.x[0], in.x[1]); });
        visit(product("matmul, left transposed", {{.x = {{7, 5}, {7, 3}}}, {.x = {{3, 17}, {3, 2}}}}),
              [](const auto& in) { return matmul(in.x[0], in.x[1], {.transpose_a = true}); });
        visit(product("matmul, right transposed", {{.x = {{5, 7}, {3, 7}}}, {.x = {{0, 7}, {3, 7}}}}),
              [](const auto& in) { return matmul(in.x[0], in.x[1], {.transpose_b = true}); });
        visit(product("matmul, both transposed", {{.x = {{7, 5}, {3, 7}}}}),
              [](const auto& in) { return matmul(in.x[0], in.x[1], {.transpose_a = true, .transpose_b = true}); });
        visit(Row{.name = "matmul with itself",  // both gradients arrive at one matrix
                  .samples = {{.x = {{5, 5}}}},
                  .roundings = 5 + 2,
                  .stored = 4,
                  .keeps = "x0"},
              [](const auto& in) { return matmul(in.x[0], in.x[0]); });
    }
};

}  // namespace operations
