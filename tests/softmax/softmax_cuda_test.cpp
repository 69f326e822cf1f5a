// Covers softmax_cuda.cuh and row_teams_cuda.cuh, with what the small samples of the table of operations do not reach:
// rows of every kind of team, rows of several tiles, infinities in them, and memory that is not aligned to a pack.
#include "gradus/softmax/softmax_cuda.cuh"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "machine/emulator/emulator_checks.hpp"
#include "worst_difference.hpp"

using namespace gradus;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

bool all_nan(const Tensor<float, Cuda>& x) {
    for (const float value : x.to_vector())
        if (!std::isnan(value)) return false;
    return true;
}

}  // namespace

TEST_CASE("teams: short rows share a warp, long ones have a block") {
    const auto threads = [](Index K, int N) { return RowTeams(100, K, N).threads; };
    CHECK(threads(1, 1) == 1);
    CHECK(threads(10, 1) == 16);
    CHECK(threads(16, 4) == 4);
    CHECK(threads(512, 4) == 32);
    CHECK(threads(516, 4) == 256);
    CHECK(threads(255, 1) == 32);
    CHECK(threads(257, 1) == 256);
    CHECK(RowTeams(100, 10, 1).blocks() == 7);  // of 16 rows
    CHECK(RowTeams(100, 1000, 4).blocks() == 100);
    CHECK(RowTeams(100, 4096, 4).last_tile() == 0);
    CHECK(RowTeams(100, 4100, 4).last_tile() == 4096);
    CHECK(RowTeams(100, 2049, 1).last_tile() == 2048);
}

// Float on Cuda against double on Reference, within the bounds of softmax_test.cpp.
TEST_CASE("softmax and log_softmax on Cuda agree with Reference at every size") {
    const double eps = std::numeric_limits<float>::epsilon();
    const auto check = [&](const auto& function, Index M, Index K, double scale) {
        Generator generator{9, 0, 0};
        const Variable<float, Cuda> x(Tensor<float, Cuda>::uniform({M, K}, -5, 5, generator), true);
        const Tensor<float, Cuda> dy = Tensor<float, Cuda>::uniform({M, K}, -1, 1, generator);
        const Variable<double, Reference> exact(in_double(x.value()), true);
        const double roundings = static_cast<double>(K + 8) * eps;
        INFO(M << " x " << K);
        for (int times = 0; times < 2; ++times) {  // the second time the gradient is added
            const Variable<float, Cuda> y = function(x);
            const Variable<double, Reference> exact_y = function(exact);
            y.backward(dy);
            exact_y.backward(in_double(dy));
            CHECK(worst_difference(y.value(), exact_y.value()) <= roundings * scale);
            CHECK(worst_difference(x.grad(), exact.grad()) <= 2 * roundings * scale);
        }
    };
    for (const Index K : {1, 2, 10, 16, 37, 255, 257, 512, 516, 1000, 2049, 4096, 4100, 9001})
        for (const Index M : {1, 5, 40}) {
            check([](const auto& x) { return softmax(x); }, M, K, 1);
            check([](const auto& x) { return log_softmax(x); }, M, K, 10 + std::log(static_cast<double>(K)));
        }
}

TEST_CASE("softmax on Cuda of large and infinite numbers") {
    const Variable<float, Cuda> x(Tensor<float, Cuda>::from({2, 2}, {1000, 0, 3, -infinity}), true);
    CHECK(softmax(x).value().to_vector() == std::vector<float>{1, 0, 1, 0});
    CHECK(log_softmax(x).value().to_vector() == std::vector<float>{0, -1000, 0, -infinity});
    log_softmax(x).backward(Tensor<float, Cuda>::ones({2, 2}));
    CHECK(x.grad().to_vector() == std::vector<float>{-1, 1, -1, 1});
}

TEST_CASE("softmax on Cuda: a row without a softmax is NaN, whichever tile shows it") {
    for (const Index K : {3, 40, 600, 9000})
        for (const Index shown : {Index{0}, K - 1}) {
            const auto row = [&](float special, float others) {
                std::vector<float> values(static_cast<std::size_t>(K), others);
                values[static_cast<std::size_t>(shown)] = special;
                return Variable<float, Cuda>(Tensor<float, Cuda>::from({1, K}, values));
            };
            CAPTURE(K);
            CAPTURE(shown);
            CHECK(all_nan(softmax(row(not_a_number, 1)).value()));
            CHECK(all_nan(softmax(row(not_a_number, -infinity)).value()));
            CHECK(all_nan(log_softmax(row(infinity, 1)).value()));
            CHECK(all_nan(softmax(row(-infinity, -infinity)).value()));
            // All the others ruled out: the first tiles, or the last ones, have no maximum of their own.
            const std::vector<float> y = softmax(row(5, -infinity)).value().to_vector();
            std::vector<float> expected(static_cast<std::size_t>(K), 0.0f);
            expected[static_cast<std::size_t>(shown)] = 1;
            CHECK((y == expected));
        }
}

TEST_CASE("softmax on Cuda: slices that are not aligned to a pack") {
    Generator generator{4, 0, 0};
    const Tensor<float, Cuda> whole = Tensor<float, Cuda>::uniform({1700}, -5, 5, generator);
    for (Index begin = 0; begin < 5; ++begin) {
        const Variable<float, Cuda> x(whole.slice(begin, begin + 3 * 560).reshape({3, 560}));
        const Variable<double, Reference> exact(in_double(x.value()));
        CHECK(worst_difference(softmax(x).value(), softmax(exact).value()) <= 1e-6);
    }
}

TEST_CASE("softmax on Cuda: the same bits in every order of threads") {
    Generator generator{5, 0, 0};
    for (const Index K : {10, 300, 5000}) {
        const Tensor<float, Cuda> values = Tensor<float, Cuda>::uniform({6, K}, -5, 5, generator);
        std::vector<float> y, dx;
        in_every_order([&] {
            const Variable<float, Cuda> x(values, true);
            const Variable<float, Cuda> result = softmax(x);
            result.backward(values);
            if (y.empty()) {
                y = result.value().to_vector();
                dx = x.grad().to_vector();
            }
            CHECK((result.value().to_vector() == y));
            CHECK((x.grad().to_vector() == dx));
        });
    }
}
