#include "worst_difference.hpp"

#include <limits>

using namespace gradus;

TEST_CASE("the worst difference: the largest, and a NaN wherever it stands") {
    const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
    CHECK(worst_difference(std::vector<float>{1, 2, 3}, std::vector<double>{1, 2.5, 2.75}) == 0.5);
    CHECK(worst_difference(std::vector<float>{}, std::vector<double>{}) == 0);
    CHECK(worst_difference(std::vector<double>{infinity, 2}, std::vector<double>{1, 2}) == infinity);
    for (std::size_t at = 0; at < 3; ++at) {
        std::vector<double> values = {1, 2, 3};
        values[at] = nan;
        CHECK(std::isnan(worst_difference(values, std::vector<double>{1, 1, 1})));
        CHECK(std::isnan(worst_difference(std::vector<double>{1, 1, 1}, values)));
    }
    CHECK_FALSE(nan <= 1e30);  // which is why it fails
    CHECK(largest(Tensor<Half>::from({2}, {Half(-3), Half(2)})) == 3);
}
