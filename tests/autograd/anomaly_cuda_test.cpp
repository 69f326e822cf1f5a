#include "gradus/autograd/anomaly_cuda.cuh"

#include <doctest/doctest.h>

#include <limits>
#include <vector>

#include "gradus/softmax/softmax_cuda.cuh"
#include "machine/emulator/emulator_checks.hpp"

using namespace gradus;

namespace {

template <class T>
void check_finds() {
    const Index count = 40'000;
    in_every_order([&] {
        std::vector<T> values(static_cast<std::size_t>(count), T(1));
        const auto message = [&] {
            const Tensor<T, Cuda> x = Tensor<T, Cuda>::from({count}, values);
            return message_of([&] { check_finite("log", "the result", x); });
        };
        CHECK(message() == "");
        values.back() = static_cast<T>(-std::numeric_limits<float>::infinity());
        CHECK(message() == "log: the result of shape (40000,) holds an infinity at element 39999");
        for (std::size_t i = 12'345; i < values.size(); i += 100) values[i] = static_cast<T>(std::nanf(""));
        CHECK(message() == "log: the result of shape (40000,) holds a nan at element 12345");
    });
}

}  // namespace

TEST_CASE_TEMPLATE("the first value on the card that is not finite", T, float, double, Half, BFloat16) {
    check_finds<T>();
}

TEST_CASE("detect_anomaly names the operation on Cuda, and nothing comes to the host without one") {
    const float infinity = std::numeric_limits<float>::infinity();
    const Variable<float, Cuda> x(Tensor<float, Cuda>::from({1, 3}, {1, 0, -infinity}), true);
    const DetectAnomaly guard;
    CHECK_NOTHROW(softmax(x));
    CHECK_THROWS_WITH_AS(log_softmax(x), "log_softmax: the result of shape (1, 3) holds an infinity at element 2",
                         Error);
    const Variable<float, Cuda> empty(Tensor<float, Cuda>(Shape{0, 3}));
    CHECK_NOTHROW(softmax(empty));
}
