#include "gradus/training/loss_scaler.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace gradus;

TEST_CASE("loss scaler: the trace of an interval of 3, with overflow in steps 1, 2 and 7") {
    LossScaler scaler({.interval = 3});
    CHECK(scaler.scale() == 65536);
    const std::vector<double> expected = {32768, 16384, 16384, 16384, 32768, 32768, 16384,
                                          16384, 16384, 32768, 32768, 32768, 65536, 65536};
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const bool finite = i != 0 && i != 1 && i != 6;
        CHECK(scaler.update(finite) == finite);
        CHECK(scaler.scale() == expected[i]);
    }
    CHECK(scaler.skipped() == 3);
}

TEST_CASE("loss scaler: by default 2000 good steps in a row double the scale") {
    LossScaler scaler;
    for (int i = 0; i < 1999; ++i) scaler.update(true);
    CHECK(scaler.scale() == 65536);
    scaler.update(true);
    CHECK(scaler.scale() == 131072);
    for (int i = 0; i < 1999; ++i) scaler.update(true);
    scaler.update(false);  // the count begins anew
    for (int i = 0; i < 1999; ++i) scaler.update(true);
    CHECK(scaler.scale() == 65536);
    scaler.update(true);
    CHECK(scaler.scale() == 131072);
}

TEST_CASE("loss scaler: a static scale stays, and skips all the same") {
    LossScaler scaler({.scale = 1024, .interval = 2, .dynamic = false});
    CHECK(!scaler.update(false));
    for (int i = 0; i < 5; ++i) CHECK(scaler.update(true));
    CHECK(scaler.scale() == 1024);
    CHECK(scaler.skipped() == 1);
}

TEST_CASE("loss scaler: a restored one goes on where the other stopped") {
    LossScaler one({.interval = 3}), other({.interval = 3});
    for (const bool finite : {false, true, true}) one.update(finite);
    other.restore(one.state());
    one.update(true);
    other.update(true);
    CHECK(one.scale() == 65536);
    CHECK(other.scale() == 65536);
    CHECK(other.skipped() == 1);
}

TEST_CASE("loss scaler: gradients that never become finite are an error, not an endless search") {
    LossScaler scaler;
    int steps = 0;
    const auto search = [&] {
        for (; steps < 1000; ++steps) scaler.update(false);
    };
    CHECK_THROWS_AS(search(), Error);
    CHECK(steps == 40);  // 2^16 to 2^-24
}

TEST_CASE(
    "loss scaler: with a static scale neither, also where a resume comes between; a good step in between will do") {
    LossScaler scaler({.scale = 1024, .dynamic = false});
    for (int i = 0; i < 39; ++i) CHECK(!scaler.update(false));
    CHECK(scaler.update(true));
    for (int i = 0; i < 20; ++i) CHECK(!scaler.update(false));
    LossScaler resumed({.scale = 1024, .dynamic = false});
    resumed.restore(scaler.state());
    for (int i = 20; i < 39; ++i) CHECK(!resumed.update(false));
    CHECK_THROWS_WITH_AS(resumed.update(false),
                         "loss_scaler: the gradients of 40 steps in a row are not finite with the static scale 1024; "
                         "try a smaller one, or DetectAnomaly, which finds the operation",
                         Error);
}

TEST_CASE("loss scaler: settings that make no sense are refused") {
    CHECK_THROWS_AS(LossScaler({.scale = 0}), Error);
    CHECK_THROWS_AS(LossScaler({.growth = 0.5}), Error);
    CHECK_THROWS_AS(LossScaler({.backoff = 1}), Error);
    CHECK_THROWS_AS(LossScaler({.interval = 0}), Error);
}
