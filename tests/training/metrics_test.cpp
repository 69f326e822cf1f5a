#include "gradus/training/metrics.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <limits>

using namespace gradus;

namespace {

using Labels = Tensor<std::int64_t>;
Tensor<double> sample_logits() { return Tensor<double>::from({4, 3}, {2, 1, .1, .5, 2.5, -1, -.3, .2, 1.7, 1, -1, 0}); }

}  // namespace

TEST_CASE("accuracy and top-k") {
    const Labels labels = Labels::from({4}, {0, 1, 2, 1});
    CHECK(accuracy(sample_logits(), labels) == 0.75);
    CHECK(accuracy(sample_logits(), labels, 2) == 0.75);  // in the last row the label has the lowest score
    CHECK(accuracy(sample_logits(), labels, 3) == 1);
    CHECK(accuracy(sample_logits().as<Half>(), labels) == 0.75);
    CHECK(predicted_classes(sample_logits().read<2>()) == std::vector<Index>{0, 1, 2, 0});
}

TEST_CASE("of equal scores the lower class comes first, and NaN is never right") {
    const Tensor<float> equal = Tensor<float>::zeros({3, 3});
    const Labels labels = Labels::from({3}, {0, 1, 2});
    CHECK(count_correct(equal.read<2>(), labels.read<1>(), 1) == 1);
    CHECK(count_correct(equal.read<2>(), labels.read<1>(), 2) == 2);
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const Tensor<float> bad = Tensor<float>::from({3, 3}, {nan, nan, nan, 0, 1, nan, nan, nan, nan});
    CHECK(count_correct(bad.read<2>(), labels.read<1>(), 1) == 0);
}

TEST_CASE("wrong labels are errors") {
    CHECK_THROWS_WITH_AS(accuracy(sample_logits(), Labels::from({4}, {0, 1, 3, 1})),
                         "count_correct: label 3 of 3 classes", Error);
    CHECK_THROWS_WITH_AS(accuracy(sample_logits(), Labels::from({3}, {0, 1, 2})),
                         "count_correct: 3 labels for logits of shape (4, 3)", Error);
}

TEST_CASE("running average weighs") {
    RunningAverage loss;
    CHECK(loss.value() == 0);
    loss.add(1, 128);
    loss.add(4, 64);
    CHECK(loss.value() == 2);
    CHECK(loss.weight() == 192);
}

TEST_CASE("confusion matrix") {
    ConfusionMatrix confusion(3);
    confusion.add(0, 0);
    confusion.add(1, 1);
    confusion.add(2, 1);
    confusion.add(2, 1);
    CHECK(confusion.count(2, 1) == 2);
    CHECK(confusion.count(1, 2) == 0);
    CHECK(confusion.total() == 4);
    CHECK(confusion.accuracy() == 0.5);
    CHECK_THROWS_AS(confusion.add(3, 0), Error);
}

TEST_CASE("metrics.csv keeps every bit and no time") {
    const double loss = 2.0 / 3, tiny = 5e-324;
    const std::vector<EpochMetrics> history = {{1, 0.1, loss, 0.5, 1.25, 0.75, 12.3},
                                               {2, tiny, 1, 1, 0, 1, 4.5, 32768, 2}};
    const std::string csv = metrics_csv(history);
    CHECK(csv ==
          "epoch,lr,train_loss,train_accuracy,test_loss,test_accuracy,loss_scale,skipped_steps\n"
          "1,0.1,0.6666666666666666,0.5,1.25,0.75,1,0\n"
          "2,5e-324,1,1,0,1,32768,2\n");
    for (const double value : {loss, tiny, 0.1, 1e300, 123456789.123456789, -0.0})
        CHECK(std::strtod(shortest(value).c_str(), nullptr) == value);
}
