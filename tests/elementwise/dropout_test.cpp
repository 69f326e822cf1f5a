#include "gradus/elementwise/dropout.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

using namespace gradus;

TEST_CASE("dropout keeps a share of 1 - p, scaled up") {
    Generator generator{5, 0, 0};
    const Index n = 100000;
    const Variable<float> x(Tensor<float>::ones({n}));
    for (const double p : {0.1, 0.5, 0.9}) {
        const std::vector<float> y = dropout(x, p, true, generator).value().to_vector();
        const auto kept = std::count_if(y.begin(), y.end(), [](float value) { return value != 0; });
        const double deviation = std::sqrt(static_cast<double>(n) * p * (1 - p));
        CHECK(std::abs(static_cast<double>(kept) - static_cast<double>(n) * (1 - p)) < 4 * deviation);
        for (const float value : y) REQUIRE((value == 0 || value == static_cast<float>(1 / (1 - p))));
    }
}

TEST_CASE("backward drops what forward dropped") {
    Generator generator{5, 0, 0};
    Variable<float> x(Tensor<float>::ones({1003}), true);
    const Variable<float> y = dropout(x, 0.4, true, generator);
    y.backward(Tensor<float>::ones({1003}));
    CHECK(x.grad().to_vector() == y.value().to_vector());
}

TEST_CASE("the mask is a function of the generator and the index") {
    const Generator start{9, 2, 6};
    const Variable<float> x(Tensor<float>::ones({70001}));
    const Variable<float, Reference> x_reference(Tensor<float, Reference>::ones({70001}));
    Generator generator = start;
    const std::vector<float> once = dropout(x, 0.3, true, generator).value().to_vector();
    CHECK(generator.position == 6 + 2 * 17501);
    CHECK(dropout(x, 0.3, true, generator).value().to_vector() != once);
    for (const int threads : {1, 2, 3}) {
        set_threads(threads);
        generator = start;
        const bool same = dropout(x, 0.3, true, generator).value().to_vector() == once;
        CHECK(same);
    }
    generator = start;
    CHECK(dropout(x_reference, 0.3, true, generator).value().to_vector() == once);
    for (std::size_t i = 0; i < 8; ++i) {  // straight from the words of the stream
        const std::uint64_t word = start.at(6 + i / 2) >> (32 * (i % 2)) & 0xffffffffu;
        CHECK((once[i] != 0) == (word >= static_cast<std::uint64_t>(0.3 * 0x1p32)));
    }
}

TEST_CASE("in evaluation, and with p = 0, dropout is the identity and draws nothing") {
    Generator generator{5, 0, 0};
    const Variable<float> x(Tensor<float>::ones({8}), true);
    CHECK(dropout(x, 0.5, false, generator).value().shares_storage_with(x.value()));
    CHECK(dropout(x, 0, true, generator).value().shares_storage_with(x.value()));
    CHECK(generator.position == 0);
    CHECK_THROWS_WITH_AS(dropout(x, 1, true, generator), "dropout: p must be at least 0 and below 1, got 1", Error);
}
