#include "gradus/core/random.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

using namespace gradus;

namespace {

using Block = PhiloxBlock;

}  // namespace

TEST_CASE("Philox 4x32-10 gives the authors' known answers") {  // kat_vectors of Random123
    CHECK(philox({0, 0, 0, 0}, {0, 0}) == Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    CHECK(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
          Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
          Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("a word depends on seed, stream and position alone") {
    Generator generator{7, 1, 0};
    const std::uint64_t first = generator.next(), second = generator.next(), third = generator.next();
    CHECK(generator.position == 3);
    CHECK(generator.at(0) == first);
    CHECK(generator.at(1) == second);
    Generator resumed{7, 1, 2};
    CHECK(resumed.next() == third);
    CHECK(Generator{7, 2, 0}.next() != first);
    CHECK(Generator{8, 1, 0}.next() != first);
    CHECK(Generator{0, 0, 0}.next() == (0x6627e8d5u | std::uint64_t{0xe169c58d} << 32));
}

TEST_CASE("uniform numbers fill [0, 1) evenly") {
    Generator generator{1, 0, 0};
    const int n = 100000;
    int bins[10] = {};
    double sum = 0, squares = 0;
    for (int i = 0; i < n; ++i) {
        const double u = generator.uniform();
        REQUIRE((u >= 0 && u < 1));
        ++bins[static_cast<int>(u * 10)];
        sum += u;
        squares += u * u;
    }
    // Four standard deviations: of the mean sqrt(1/12n), of the mean square sqrt(4/45n), of a bin sqrt(0.09n).
    CHECK(std::abs(sum / n - 0.5) < 4 * std::sqrt(1.0 / 12 / n));
    CHECK(std::abs(squares / n - 1.0 / 3) < 4 * std::sqrt(4.0 / 45 / n));
    for (const int bin : bins) CHECK(std::abs(bin - n / 10) < 4 * std::sqrt(0.09 * n));
    CHECK(Generator::to_unit(0) == 0);
    CHECK(Generator::to_unit(~std::uint64_t{0}) == 1 - 0x1p-53);
    const double ranged = generator.uniform(-3, -2);
    CHECK((ranged >= -3 && ranged < -2));
}

TEST_CASE("normal numbers have the moments of N(0, 1)") {
    Generator generator{2, 0, 0};
    const int n = 100000;
    double moment[5] = {};
    for (int i = 0; i < n; ++i) {
        const double x = generator.normal();
        REQUIRE(std::isfinite(x));
        for (int k = 1; k <= 4; ++k) moment[k] += std::pow(x, k) / n;
    }
    // The variance of the k-th sample moment is (E x^2k - (E x^k)^2) / n: 1, 2, 15, 96.
    CHECK(std::abs(moment[1]) < 4 * std::sqrt(1.0 / n));
    CHECK(std::abs(moment[2] - 1) < 4 * std::sqrt(2.0 / n));
    CHECK(std::abs(moment[3]) < 4 * std::sqrt(15.0 / n));
    CHECK(std::abs(moment[4] - 3) < 4 * std::sqrt(96.0 / n));
}

TEST_CASE("below(n) is even and stays below n") {
    Generator generator{3, 0, 0};
    int counts[6] = {};
    for (int i = 0; i < 60000; ++i) ++counts[generator.below(6)];
    for (const int count : counts) CHECK(std::abs(count - 10000) < 4 * std::sqrt(10000 * 5.0 / 6));
    CHECK(generator.below(1) == 0);
    CHECK_THROWS_AS(generator.below(0), Error);
}

TEST_CASE("a permutation holds every index once and is even") {
    Generator generator{4, 0, 0};
    std::vector<Index> order = generator.permutation(1000);
    CHECK(!std::is_sorted(order.begin(), order.end()));
    std::sort(order.begin(), order.end());
    for (std::size_t i = 0; i < order.size(); ++i) REQUIRE(order[i] == static_cast<Index>(i));
    CHECK(generator.permutation(0).empty());
    int counts[6] = {};  // of the six orders of three
    for (int i = 0; i < 60000; ++i) {
        const std::vector<Index> p = generator.permutation(3);
        ++counts[p[0] * 2 + (p[1] > p[2] ? 1 : 0)];
    }
    for (const int count : counts) CHECK(std::abs(count - 10000) < 4 * std::sqrt(10000 * 5.0 / 6));
}

TEST_CASE("manual_seed restarts the default generator") {
    manual_seed(11);
    const std::uint64_t first = default_generator().next();
    default_generator().next();
    manual_seed(11);
    CHECK(default_generator().next() == first);
    CHECK(default_generator() == Generator{11, 0, 1});
}
