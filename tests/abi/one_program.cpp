// Translation units with different instruction sets, with and without threads and exceptions, in one program. Without
// the inline namespace of core/abi.hpp the linker would keep one copy of each function for all of them.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "abi/unit.hpp"

TEST_CASE("abi: every unit has its own namespace") {
    CHECK(std::string(serial::abi()) != baseline::abi());
    CHECK(std::string(aborting::abi()) != baseline::abi());
    CHECK(std::string(serial::abi()).find("_serial_") != std::string::npos);
    CHECK(std::string(aborting::abi()).find("_aborts_") != std::string::npos);
}

TEST_CASE("abi: with the same instructions, threads and exceptions do not change a bit") {
    const std::vector<float> expected = baseline::trained_weights();
    REQUIRE(expected.size() > 1000);
    CHECK(serial::trained_weights() == expected);
    CHECK(aborting::trained_weights() == expected);
}

#if defined(GRADUS_TEST_AVX)
TEST_CASE("abi: AVX, AVX2 and baseline units agree") {
    CHECK(std::string(avx::abi()) != baseline::abi());
    CHECK(std::string(avx2::abi()) != baseline::abi());
    CHECK(std::string(avx2::abi()) != avx::abi());
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
        MESSAGE("this machine has no AVX2: only compiled and linked");
        return;
    }
    // Rounding differs: fused multiply-adds, and wider vectors add in another order. With eps = 6e-8 a gradient, a sum
    // of some 10^3 terms, is off by about eps * sqrt(10^3) = 2e-6 of its size, here below 1, and three steps put at
    // most 3 * 0.05 of that into a weight.
    const std::vector<float> wide = avx2::trained_weights();
    const std::vector<float> narrow = baseline::trained_weights();
    REQUIRE(wide.size() == narrow.size());
    float difference = 0;
    for (std::size_t i = 0; i < wide.size(); ++i) difference = std::max(difference, std::abs(wide[i] - narrow[i]));
    INFO("largest difference " << difference);
    CHECK(difference < 3e-7f);
    CHECK(difference > 0);  // two different programs ran
}
#endif
