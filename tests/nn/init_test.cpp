// nn/init.hpp: fans, standard deviations and bounds.
#include "gradus/nn/init.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

using namespace gradus;

namespace {

double standard_deviation(const Variable<float>& parameter) {
    double sum = 0, squares = 0;
    for (float value : parameter.value().to_vector()) sum += value, squares += double(value) * value;
    const double n = static_cast<double>(parameter.value().numel());
    return std::sqrt(squares / n - sum / n * (sum / n));
}
double largest(const Variable<float>& parameter) {
    double bound = 0;
    for (float value : parameter.value().to_vector()) bound = std::max(bound, double(std::abs(value)));
    return bound;
}
Variable<float> weight(const Shape& shape) { return Variable<float>(Tensor<float>(shape), true); }

}  // namespace

TEST_CASE("init: fans of OHWI weights") {
    CHECK(fan_in({64, 7, 7, 3}) == 147);
    CHECK(fan_out({64, 7, 7, 3}) == 3136);
    CHECK(fan_in({10, 64}) == 64);
    CHECK(fan_out({10, 64}) == 10);
}

TEST_CASE("init: Kaiming's standard deviation is sqrt(2/fan_out)") {
    Generator generator{5, 0, 0};
    Variable<float> w = weight({64, 7, 7, 3});  // 9,408 draws: the deviation's own error is 0.7%
    kaiming_normal_(w, generator);
    CHECK(standard_deviation(w) == doctest::Approx(.0252538136).epsilon(.03));
    Variable<float> one = weight({256, 1, 1, 64});
    kaiming_normal_(one, generator);
    CHECK(standard_deviation(one) == doctest::Approx(.0883883476).epsilon(.03));
}

TEST_CASE("init: Xavier's bound, and PyTorch's default bound") {
    Generator generator{6, 0, 0};
    Variable<float> w = weight({64, 3, 3, 64});
    xavier_uniform_(w, generator);
    CHECK(largest(w) <= .0721687836);
    CHECK(largest(w) > .0721687836 * .999);
    default_uniform_(w, fan_in(w.shape()), generator);
    CHECK(largest(w) <= 1 / 24.0);
    CHECK(largest(w) > 1 / 24.0 * .999);
}

TEST_CASE("init: the same seed gives the same weights") {
    manual_seed(3);
    Variable<float> a = weight({5, 5});
    kaiming_normal_(a);
    manual_seed(3);
    Variable<float> b = weight({5, 5});
    kaiming_normal_(b);
    CHECK(a.value().to_vector() == b.value().to_vector());
}
