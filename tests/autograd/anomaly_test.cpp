#include "gradus/autograd/anomaly.hpp"

#include <doctest/doctest.h>

#include "gradus/autograd/backward.hpp"
#include "gradus/elementwise/scalar.hpp"

using namespace gradus;

TEST_CASE("detect_anomaly names the operation, the layer and the shape of the first bad result") {
    const Variable<float> x(Tensor<float>::from({1, 3}, {1, 0, -1}), true);
    log(x);  // nobody looks
    const DetectAnomaly guard;
    const LayerScope head("head"), fc("fc");
    CHECK_THROWS_WITH_AS(log(x), "log (head.fc): the result of shape (1, 3) holds an infinity at element 1", Error);
    CHECK_THROWS_WITH_AS(sqrt(scale(x, -1)), "sqrt (head.fc): the result of shape (1, 3) holds a nan at element 0",
                         Error);
}

TEST_CASE("detect_anomaly finds a bad gradient of a good result") {
    Variable<float> x(Tensor<float>::from({2}, {4, 0}), true);
    const DetectAnomaly guard;
    Variable<float> y;
    {
        const LayerScope layer("norm");
        y = sqrt(x);
    }
    const Variable<float> z = scale(y, 2);
    CHECK_THROWS_WITH_AS(z.backward(Tensor<float>::ones({2})),
                         "sqrt (norm): the gradient of input 0 of shape (2,) holds an infinity at element 1", Error);
}

TEST_CASE("detection ends with its guard") {
    { const DetectAnomaly guard; }
    CHECK(!anomaly_detection());
    const Variable<float> x(Tensor<float>::from({1}, {0}));
    CHECK_NOTHROW(log(x));
}
