// evaluate.hpp and model_summary.hpp.
#include "gradus/training/evaluate.hpp"

#include <doctest/doctest.h>

#include "gradus/nn/linear_layer.hpp"
#include "gradus/shaping/reshape.hpp"
#include "gradus/training/model_summary.hpp"

using namespace gradus;

namespace {

// Two pixels; the brighter one is the class, up to a bias.
struct Brighter final : Module<float> {
    Linear<float> scores{2, 2, {.bias = false}};
    bool saw_training = false;
    Brighter() {
        child("scores", scores);
        scores.weight.mutable_value().copy_from(Tensor<float>::from({2, 2}, {1, 0, 0, 1}));
    }
    Variable<float> forward(const Variable<float>& x) override {
        saw_training = saw_training || is_training();
        return scores(reshape(x, {x.shape()[0], 2}));
    }
};

Dataset five_images() {
    Dataset data;
    data.name = "pairs";
    data.classes = {"left", "right"};
    data.images = Tensor<std::uint8_t>::from({5, 1, 2, 1}, {255, 0, 0, 255, 255, 51, 102, 0, 0, 204});
    data.labels = Tensor<std::int64_t>::from({5}, {0, 1, 1, 1, 1});
    return data;
}

}  // namespace

TEST_CASE("evaluate: accuracy, confusion and mistakes, the surest first, across batches") {
    Brighter model;
    const Loader<float> loader(five_images(), {.batch_size = 2});
    const Evaluation result = evaluate(model, loader);
    CHECK(result.accuracy() == doctest::Approx(0.6));
    CHECK(result.confusion.count(1, 0) == 2);
    REQUIRE(result.mistakes.size() == 2);
    CHECK(result.mistakes[0].index == 2);  // scores 1 and 0.2
    CHECK(result.mistakes[0].confidence == doctest::Approx(1 / (1 + std::exp(-0.8))));
    CHECK(result.mistakes[1].index == 3);  // scores 0.4 and 0
    double loss = 0;                       // log(1 + exp(wrong - right)) of each image
    for (double margin : {1.0, 1.0, -0.8, -0.4, 0.8}) loss += std::log1p(std::exp(-margin)) / 5;
    CHECK(result.loss == doctest::Approx(loss));
    CHECK_FALSE(model.saw_training);
    CHECK(model.is_training());
}

TEST_CASE("model summary: a row for every layer, without a change to the model") {
    Brighter model;
    const std::vector<SummaryRow> rows = summary_rows(model, {1, 1, 2, 1});
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].name == "scores");
    CHECK(rows[0].output == Shape{1, 2});
    CHECK(rows[0].parameters == 4);
    CHECK(rows[0].macs == 4);
    CHECK(model.is_training());
}

TEST_CASE("evaluate: a model with other classes than the data set is refused, and is left in training mode") {
    Brighter model;
    Dataset data = five_images();
    data.classes.push_back("middle");
    const Loader<float> loader(data, {.batch_size = 2});
    CHECK_THROWS_WITH_AS(evaluate(model, loader),
                         "evaluate: the model returns (2, 2) for 2 images of a data set with 3 classes", Error);
    CHECK(model.is_training());
    CHECK_THROWS_AS(summary_rows(model, {1, 5}), Error);
    CHECK(model.is_training());
}
