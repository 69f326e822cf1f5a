// operations/pooling_operations.hpp   The rows of include/gradus/pooling.
#pragma once

#include "gradus/pooling/avg_pool2d.hpp"
#include "gradus/pooling/global_avg_pool2d.hpp"
#include "gradus/pooling/max_pool2d.hpp"
#include "operations/operation.hpp"

namespace operations {

struct PoolingOperations {
    template <class Visit>
    static void rows(const Visit& visit) {
        // Images (N, H, W, C). At most 16 pixels of a window, or windows of a pixel, are added up.
        const std::vector<Sample> images = {
            {.x = {{2, 5, 7, 3}}}, {.x = {{1, 3, 3, 17}}}, {.x = {{1, 4, 3, 1}}}, {.x = {{0, 5, 5, 2}}}};
        const auto maximum = [&](const char* name) {
            return Row{.name = name, .samples = images, .distinct = true, .roundings = 16, .keeps = "y:1"};
        };
        const auto average = [&](const char* name) {
            return Row{.name = name, .samples = images, .roundings = 16 + 2, .keeps = ""};
        };
        visit(maximum("max_pool2d"), [](const auto& in) { return max_pool2d(in.x[0]); });
        visit(maximum("max_pool2d with overlap and padding"),
              [](const auto& in) { return max_pool2d(in.x[0], {.kernel = 3, .stride = 2, .padding = 1}); });
        visit(maximum("max_pool2d with ceil_mode"),
              [](const auto& in) { return max_pool2d(in.x[0], {.kernel = 2, .ceil_mode = true}); });
        visit(maximum("max_pool2d of every pixel"),
              [](const auto& in) { return max_pool2d(in.x[0], {.kernel = 3, .stride = 1, .padding = 1}); });

        visit(average("avg_pool2d"), [](const auto& in) { return avg_pool2d(in.x[0]); });
        visit(average("avg_pool2d with overlap and padding"),
              [](const auto& in) { return avg_pool2d(in.x[0], {.kernel = 3, .stride = 2, .padding = 1}); });
        visit(average("avg_pool2d without counting the padding"), [](const auto& in) {
            return avg_pool2d(in.x[0], {.kernel = 3, .stride = 2, .padding = 1, .count_include_pad = false});
        });
        visit(average("avg_pool2d with ceil_mode"),
              [](const auto& in) { return avg_pool2d(in.x[0], {.kernel = 2, .ceil_mode = true}); });
        visit(average("adaptive_avg_pool2d"), [](const auto& in) { return adaptive_avg_pool2d(in.x[0], 2, 3); });
        visit(average("adaptive_avg_pool2d to more pixels"),
              [](const auto& in) { return adaptive_avg_pool2d(in.x[0], 7, 7); });
        visit(Row{.name = "global_avg_pool2d", .samples = images, .roundings = 35 + 2, .keeps = ""},  // 5 * 7 pixels
              [](const auto& in) { return global_avg_pool2d(in.x[0]); });
        visit(Row{.name = "global_avg_pool2d, many images",
                  .samples = {{.x = {{40, 8, 8, 67}}}},
                  .scale = Scale::absolute,
                  .roundings = 64 + 2},
              [](const auto& in) { return global_avg_pool2d(in.x[0]); });
    }
};

}  // namespace operations
