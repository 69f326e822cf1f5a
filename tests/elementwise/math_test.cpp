#include "gradus/elementwise/math.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "worst_difference.hpp"

using namespace gradus;

namespace {

// The error of a register's first lane against the library's double function, in units of the last place of a float.
template <class Vector, class Exact>
double worst_error(const Vector& vector, const Exact& exact, float from, float to, float smallest = 0x1p-126f) {
    double worst = 0;
    const int steps = 100000;
    for (int i = 0; i <= steps; ++i) {
        const float x = from + (to - from) * static_cast<float>(i) / static_cast<float>(steps);
        const Vec y = vector(broadcast(x));
        const double y_exact = exact(static_cast<double>(x));
        if (std::abs(y_exact) < static_cast<double>(smallest) || std::abs(y_exact) > 3.4e38) continue;
        const double unit = std::ldexp(1.0, std::ilogb(y_exact) - 23);
        worst = worse(worst, std::abs(static_cast<double>(y[vec_floats - 1]) - y_exact) / unit);
    }
    return worst;
}

float exp_of(float x) { return Math::exp(broadcast(x))[0]; }
float log_of(float x) { return Math::log(broadcast(x))[0]; }
float tanh_of(float x) { return Math::tanh(broadcast(x))[0]; }
float erfc_of(float x) { return Math::erfc(broadcast(x))[0]; }

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

}  // namespace

TEST_CASE("functions of a register are accurate") {
    const auto exp = [](Vec x) { return Math::exp(x); };
    const auto log = [](Vec x) { return Math::log(x); };
    const auto log1p = [](Vec x) { return Math::log1p(x); };
    const auto tanh = [](Vec x) { return Math::tanh(x); };
    const auto erfc = [](Vec x) { return Math::erfc(x); };
    CHECK(worst_error(
              exp, [](double x) { return std::exp(x); }, -88, 89) < 1.2);
    CHECK(worst_error(
              log, [](double x) { return std::log(x); }, 1e-3f, 4) < 1.2);
    CHECK(worst_error(
              log, [](double x) { return std::log(x); }, 1, 1e30f) < 1.2);
    CHECK(worst_error(
              log1p, [](double x) { return std::log1p(x); }, 0, 1) < 2.5);
    CHECK(worst_error(
              tanh, [](double x) { return std::tanh(x); }, -10, 10) < 2);
    for (float x = -5; x < 9; x += 0.5f) {
        INFO("erfc from " << x);
        const float far = std::max(std::abs(x), std::abs(x + 0.5f));
        CHECK(worst_error(
                  erfc, [](double t) { return std::erfc(t); }, x, x + 0.5f) < 6 + 2 * far * far);
    }
}

TEST_CASE("functions of a register at the ends of their range") {
    CHECK(exp_of(0) == 1);
    CHECK(exp_of(-infinity) == 0);
    CHECK(exp_of(infinity) == infinity);
    CHECK(exp_of(-200) == 0);
    CHECK(exp_of(89) == infinity);
    CHECK(exp_of(88.7f) == doctest::Approx(std::exp(static_cast<double>(88.7f))).epsilon(1e-6));
    CHECK(exp_of(-100) == doctest::Approx(std::exp(-100.0)).epsilon(0.1));  // a subnormal float has few digits
    CHECK(std::isnan(exp_of(not_a_number)));
    CHECK(log_of(1) == 0);
    CHECK(log_of(0) == -infinity);
    CHECK(log_of(infinity) == infinity);
    CHECK(log_of(0x1p-149f) == doctest::Approx(-149 * std::log(2.0)).epsilon(1e-6));
    CHECK(std::isnan(log_of(-1)));
    CHECK(std::isnan(log_of(not_a_number)));
    CHECK(tanh_of(0) == 0);
    CHECK(tanh_of(-infinity) == -1);
    CHECK(tanh_of(100) == 1);
    CHECK(std::isnan(tanh_of(not_a_number)));
    CHECK(erfc_of(-infinity) == 2);
    CHECK(erfc_of(infinity) == 0);
    CHECK(std::isnan(erfc_of(not_a_number)));
}
