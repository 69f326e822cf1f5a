// operations/unary_operations.hpp   The rows of elementwise/unary.hpp and its twin unary_cpu.hpp.
#pragma once

#include "gradus/elementwise/unary.hpp"
#include "operations/operation.hpp"

namespace operations {

// A function of your own: value and derivative.
struct Cube {
    static constexpr const char* name = "cube";
    static constexpr gradus::From derivative_from = gradus::From::x;
    template <class S>
    GRADUS_HOST_DEVICE S value(S x) const {
        return x * x * x;
    }
    template <class S>
    GRADUS_HOST_DEVICE S derivative(S x) const {
        return 3 * x * x;
    }
};

struct UnaryOperations {
    template <class Visit>
    static void rows(const Visit& visit) {
        const std::vector<Sample> one = {{.x = {{3, 5}}}, {.x = {{}}}, {.x = {{0, 4}}}, {.x = {{67}}}};
        const auto positive = [&](const char* name, const char* keeps) {
            return Row{.name = name, .samples = one, .low = 0.25, .high = 4, .keeps = keeps};
        };
        const auto row = [&](const char* name, const char* keeps) {
            return Row{.name = name, .samples = one, .low = -8, .high = 8, .keeps = keeps};
        };
        visit(row("unary of your own", "x0"), [](const auto& in) { return unary(Cube{}, in.x[0]); });
        visit(row("relu", "y"), [](const auto& in) { return relu(in.x[0]); });
        visit(row("leaky_relu", "x0"), [](const auto& in) { return leaky_relu(in.x[0], 0.125f); });
        visit(row("exp", "y"), [](const auto& in) { return exp(in.x[0]); });
        visit(positive("log", "x0"), [](const auto& in) { return log(in.x[0]); });
        visit(positive("sqrt", "y"), [](const auto& in) { return sqrt(in.x[0]); });
        visit(row("square", "x0"), [](const auto& in) { return square(in.x[0]); });
        visit(row("abs", "x0"), [](const auto& in) { return abs(in.x[0]); });
        visit(positive("reciprocal", "y"), [](const auto& in) { return reciprocal(in.x[0]); });
        visit(row("sigmoid", "x0"), [](const auto& in) { return sigmoid(in.x[0]); });
        visit(row("tanh", "x0"), [](const auto& in) { return tanh(in.x[0]); });
        visit(row("softplus", "x0"), [](const auto& in) { return softplus(in.x[0]); });
        visit(row("silu", "x0"), [](const auto& in) { return silu(in.x[0]); });
        visit(row("gelu", "x0"), [](const auto& in) { return gelu(in.x[0]); });
    }
};

}  // namespace operations
