// training/evaluate.hpp   How a classifier does on a data set: loss, accuracy, confusion matrix and its worst mistakes.
#pragma once

#include <cmath>

#include "gradus/core/sort.hpp"
#include "gradus/data/loader.hpp"
#include "gradus/nn/module.hpp"
#include "gradus/softmax/cross_entropy.hpp"
#include "gradus/training/metrics.hpp"

namespace gradus::inline GRADUS_ABI {

// An image that was taken for something else, and how sure the network was of it.
struct Misclassified {
    Index index = 0;  // in the data set
    Index truth = 0, prediction = 0;
    double confidence = 0;  // the probability of the prediction
};

struct Evaluation {
    double loss = 0;  // mean cross-entropy, without smoothing
    ConfusionMatrix confusion{0};
    std::vector<Misclassified> mistakes;  // the most confident first

    double accuracy() const { return confusion.accuracy(); }
};

// Counts a batch: the logits (N, K) that the network gave, labels (N), and which images of the data set these are.
// Whatever precision and device the network has, this is on the host and in double. The prediction's probability is
// softmax's at the largest logit m, 1 / sum over k of exp(z(k) - m).
GRADUS_COLD inline void count_batch(Evaluation& result, const Tensor<double, Cpu>& logits,
                                    const std::vector<std::int64_t>& labels, const std::vector<Index>& indices) {
    const Matrix<const double> z = logits.read<2>();
    const std::vector<Index> predictions = predicted_classes(z);
    for (std::size_t i = 0; i < labels.size(); ++i) {
        result.confusion.add(labels[i], predictions[i]);
        if (predictions[i] == labels[i]) continue;
        const Index n = static_cast<Index>(i);
        double sum = 0;
        for (Index k = 0; k < z.shape()[1]; ++k) sum += std::exp(z(n, k) - z(n, predictions[i]));
        result.mistakes.push_back({indices[i], labels[i], predictions[i], 1 / sum});
    }
}
GRADUS_COLD inline void sort_mistakes(std::vector<Misclassified>& mistakes) {
    sort_stably(mistakes, [](const Misclassified& a, const Misclassified& b) { return a.confidence > b.confidence; });
}

// Runs the model over the loader's first epoch in evaluation mode, and leaves it in the mode in which it was.
template <FloatingElement T, Device D>
GRADUS_COLD Evaluation evaluate(Module<T, D>& model, const Loader<T, D>& loader) {
    const NoGrad no_grad;
    const EvaluationScope evaluation(model);
    const Index classes = static_cast<Index>(loader.dataset().classes.size());
    Evaluation result{0, ConfusionMatrix(classes), {}};
    RunningAverage loss;
    for (const Batch<T, D>& batch : loader.epoch(0)) {
        const Variable<T, D> logits = model(Variable<T, D>(batch.images));
        GRADUS_CHECK(logits.shape().rank() == 2 && logits.shape()[1] == classes, "evaluate: the model returns ",
                     logits.shape(), " for ", batch.size(), " images of a data set with ", classes, " classes");
        loss.add(static_cast<double>(cross_entropy(logits, batch.labels).item()), static_cast<double>(batch.size()));
        count_batch(result, logits.value().template to<Cpu>().template as<double>(), batch.labels.to_vector(),
                    batch.indices);
    }
    sort_mistakes(result.mistakes);
    result.loss = loss.value();
    return result;
}

}  // namespace gradus::inline GRADUS_ABI
