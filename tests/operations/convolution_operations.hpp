// operations/convolution_operations.hpp   The rows of include/gradus/convolution.
#pragma once

#include "gradus/convolution/conv2d.hpp"
#include "operations/operation.hpp"

namespace operations {

struct ConvolutionOperations {
    template <class Visit>
    static void rows(const Visit& visit) {
        // x (N, H, W, C), weight (O, KH, KW, C/groups), bias (O). The longest sum is that of a weight's gradient, over
        // N*P*Q pixels, or that of an output, over KH*KW*C/groups products.
        const auto row = [](const char* name, const std::vector<Sample>& samples, double longest) {
            return Row{.name = name, .samples = samples, .roundings = longest + 2, .keeps = "x0 p0"};
        };
        visit(
            row("conv2d",
                {{.x = {{2, 5, 4, 3}}, .p = {{4, 3, 2, 3}, {4}}}, {.x = {{0, 3, 3, 2}}, .p = {{1, 3, 2, 2}, {1}}}}, 18),
            [](const auto& in) { return conv2d(in.x[0], in.p[0], in.p[1]); });
        visit(row("conv2d 1x1",
                  {{.x = {{2, 3, 3, 5}}, .p = {{17, 1, 1, 5}}}, {.x = {{1, 1, 1, 1}}, .p = {{1, 1, 1, 1}}}}, 18),
              [](const auto& in) { return conv2d(in.x[0], in.p[0]); });
        visit(row("conv2d stride 2", {{.x = {{2, 7, 6, 2}}, .p = {{3, 3, 3, 2}, {3}}}}, 24),
              [](const auto& in) { return conv2d(in.x[0], in.p[0], in.p[1], {.stride = 2, .padding = 1}); });
        visit(row("conv2d dilation 2", {{.x = {{1, 7, 6, 2}}, .p = {{3, 3, 2, 2}, {3}}}}, 42),
              [](const auto& in) { return conv2d(in.x[0], in.p[0], in.p[1], {.padding = 2, .dilation = 2}); });
        visit(row("conv2d of 3 groups", {{.x = {{2, 4, 4, 6}}, .p = {{9, 3, 3, 2}, {9}}}}, 32),
              [](const auto& in) { return conv2d(in.x[0], in.p[0], in.p[1], {.padding = 1, .groups = 3}); });
        visit(row("conv2d depthwise", {{.x = {{2, 4, 4, 5}}, .p = {{5, 3, 3, 1}, {5}}}}, 32),
              [](const auto& in) { return conv2d(in.x[0], in.p[0], in.p[1], {.padding = 1, .groups = 5}); });

        // Shapes that reach the fast kernels, with their blocks, edges and threads.
        const auto large = [](const char* name, const Sample& sample, double longest) {
            return Row{.name = name,
                       .samples = {sample},
                       .scale = Scale::absolute,
                       .roundings = longest + 2,
                       .keeps = "x0 p0"};
        };
        visit(large("conv2d 3x3, Winograd", {.x = {{3, 9, 11, 17}}, .p = {{20, 3, 3, 17}, {20}}}, 297),
              [](const auto& in) { return conv2d(in.x[0], in.p[0], in.p[1], {.padding = 1}); });
        visit(large("conv2d stride 2, large", {.x = {{3, 9, 11, 17}}, .p = {{20, 3, 3, 17}, {20}}}, 180),
              [](const auto& in) { return conv2d(in.x[0], in.p[0], in.p[1], {.stride = 2, .padding = 1}); });
        visit(large("conv2d 1x1, large", {.x = {{3, 9, 11, 33}}, .p = {{20, 1, 1, 33}, {20}}}, 297),
              [](const auto& in) { return conv2d(in.x[0], in.p[0], in.p[1]); });
        visit(large("conv2d depthwise, large", {.x = {{3, 9, 11, 33}}, .p = {{33, 5, 5, 1}}}, 297),
              []<class T, class D>(const Inputs<T, D>& in) {
                  return conv2d(in.x[0], in.p[0], Variable<Sum<T>, D>(), {.stride = 2, .padding = 2, .groups = 33});
              });
    }
};

}  // namespace operations
