#include "gradus/training/summary.hpp"

#include <doctest/doctest.h>

using namespace gradus;

TEST_CASE("thousands are separated") {
    CHECK(with_separators(0) == "0");
    CHECK(with_separators(999) == "999");
    CHECK(with_separators(1000) == "1,000");
    CHECK(with_separators(25557032) == "25,557,032");
    CHECK(with_separators(-123) == "-123");
    CHECK(with_separators(-1234) == "-1,234");
}

TEST_CASE("summary aligns names at the left and numbers at the right, and adds up") {
    const std::vector<SummaryRow> rows = {{"conv1", "Conv2d", {1, 32, 32, 16}, 432, 442368},
                                          {"relu", "Relu", {1, 32, 32, 16}, 0, 0},
                                          {"layer1.0.conv1", "Conv2d", {1, 32, 32, 16}, 2304, 2359296}};
    CHECK(summary_table(rows) ==
          "layer           type    output      parameters       MACs\n"
          "conv1           Conv2d  1x32x32x16         432    442,368\n"
          "relu            Relu    1x32x32x16\n"
          "layer1.0.conv1  Conv2d  1x32x32x16       2,304  2,359,296\n"
          "total                                    2,736  2,801,664\n");
}

TEST_CASE("summary of no layers") {
    CHECK(summary_table({}) ==
          "layer  type  output  parameters  MACs\n"
          "total                         0     0\n");
}
