#include "gradus/pooling/pool_windows.hpp"

#include <doctest/doctest.h>

using namespace gradus;

namespace {

// readers() is the inverse of window().
void check_readers(const PoolWindows& windows) {
    for (Index h = 0; h < windows.in; ++h)
        for (Index i = 0; i < windows.out; ++i) {
            const IndexRange pixels = windows.window(i), readers = windows.readers(h);
            const bool reads = pixels.begin <= h && h < pixels.end;
            const bool is_listed = readers.begin <= i && i < readers.end;
            CHECK(reads == is_listed);
        }
}

}  // namespace

TEST_CASE("every window has a pixel, and the pixels know their windows") {
    for (Index in = 1; in < 12; ++in) {
        for (Index kernel = 1; kernel < 6; ++kernel)
            for (Index stride = 1; stride < 6; ++stride)
                for (Index padding = 0; 2 * padding <= kernel; ++padding)
                    for (const bool ceil_mode : {false, true}) {
                        if (in + 2 * padding < kernel) continue;
                        const PoolWindows windows =
                            strided_windows("pool", in, kernel, stride, padding, ceil_mode, true);
                        CAPTURE(in);
                        CAPTURE(kernel);
                        CAPTURE(stride);
                        CAPTURE(padding);
                        check_readers(windows);
                        for (Index i = 0; i < windows.out; ++i) {
                            CHECK(windows.window(i).size() > 0);
                            CHECK(windows.window(i).size() <= windows.divisor(i));
                            CHECK(windows.divisor(i) <= kernel);
                        }
                    }
        for (Index out = 1; out < 15; ++out) {
            const PoolWindows windows = adaptive_windows("pool", in, out);
            check_readers(windows);
            Index smallest = in, largest = 0;
            for (Index i = 0; i < out; ++i) {
                smallest = std::min(smallest, windows.window(i).size());
                largest = std::max(largest, windows.window(i).size());
                CHECK(windows.divisor(i) == windows.window(i).size());
            }
            CHECK(smallest > 0);
            CHECK(largest <= smallest + 1);
            CHECK(windows.window(0).begin == 0);
            CHECK(windows.window(out - 1).end == in);
        }
    }
}

TEST_CASE("ceil_mode adds a window, but none that starts behind the image") {
    CHECK(strided_windows("pool", 5, 2, 2, 0, false).out == 2);
    CHECK(strided_windows("pool", 5, 2, 2, 0, true).out == 3);
    CHECK(strided_windows("pool", 4, 2, 3, 1, true).out == 2);  // rounding up gives 3, whose third would start at 5
}

TEST_CASE("windows refuse what does not fit") {
    CHECK_THROWS_WITH_AS(strided_windows("max_pool2d", 5, 2, 2, 2, false),
                         "max_pool2d: padding 2 is more than half of the kernel, 2", Error);
    CHECK_THROWS_WITH_AS(strided_windows("max_pool2d", 2, 3, 1, 0, false),
                         "max_pool2d: a window of 3 does not fit into 2 pixels with padding 0", Error);
    CHECK_THROWS_WITH_AS(
        strided_windows("max_pool2d", 2, 0, 1, 0, false),
        "max_pool2d: needs a kernel and a stride above 0 and padding of at least 0, got kernel 0, stride 1, padding 0",
        Error);
    CHECK_THROWS_WITH_AS(adaptive_windows("adaptive_avg_pool2d", 3, 0),
                         "adaptive_avg_pool2d: cannot make 0 pixels of 3", Error);
}
