// operations/elementwise_operations.hpp   The rows of include/gradus/elementwise.
#pragma once

#include "gradus/elementwise/unary.hpp"
#include "operations/operation.hpp"

namespace operations {

struct ElementwiseOperations {
    template <class Visit>
    static void rows(const Visit& visit) {
        const std::vector<Sample> one = {{.x = {{3, 5}}}, {.x = {{1}}}, {.x = {{0, 4}}}, {.x = {{37}}}};
        visit(Row{.name = "relu", .samples = one, .keeps = "y"}, [](const auto& in) { return relu(in.x[0]); });
    }
};

}  // namespace operations
