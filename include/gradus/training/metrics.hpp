// training/metrics.hpp   How good a classifier is: accuracy, top-k, the confusion matrix, and the record of a run.
// Ties     of equal scores the class with the lower number comes first. A NaN is never a right answer.
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <vector>

#include "gradus/core/tensor.hpp"

namespace gradus::inline GRADUS_ABI {

// The class with the highest score in each row of logits (N, K).
template <class T>
std::vector<Index> predicted_classes(Matrix<const T> logits) {
    const auto [N, K] = logits.shape();
    GRADUS_CHECK(K > 0, "predicted_classes: no classes, the logits are ", logits.shape());
    std::vector<Index> best(static_cast<std::size_t>(N), 0);
    for (Index n = 0; n < N; ++n)
        for (Index k = 1; k < K; ++k) {
            Index& b = best[static_cast<std::size_t>(n)];
            if (Sum<T>(logits(n, k)) > Sum<T>(logits(n, b))) b = k;
        }
    return best;
}

// How many rows of logits (N, K) have their label among the k highest scores. k = 1: the number of right answers.
template <class T>
Index count_correct(Matrix<const T> logits, Vector<const std::int64_t> labels, Index k = 1) {
    const auto [N, K] = logits.shape();
    GRADUS_CHECK(labels.size() == N, "count_correct: ", labels.size(), " labels for logits of shape ", logits.shape());
    Index correct = 0;
    for (Index n = 0; n < N; ++n) {
        const Index label = labels(n);
        GRADUS_CHECK(label >= 0 && label < K, "count_correct: label ", label, " of ", K, " classes");
        const Sum<T> score = logits(n, label);
        Index ahead = 0;
        for (Index c = 0; c < K; ++c) {
            const Sum<T> other = logits(n, c);
            const bool behind = other < score || (other == score && c >= label);
            if (!behind) ++ahead;
        }
        if (ahead < k) ++correct;
    }
    return correct;
}

// For tensors of any device: the share of rows with their label among the k highest scores.
template <FloatingElement T, Device D>
GRADUS_GLUE double accuracy(const Tensor<T, D>& logits, const Tensor<std::int64_t, D>& labels, Index k = 1) {
    GRADUS_CHECK(labels.numel() > 0, "accuracy: no labels");
    const Tensor<double, Cpu> host_logits = logits.template to<Cpu>().template as<double>();  // one function for all T
    const Tensor<std::int64_t, Cpu> host_labels = labels.template to<Cpu>();
    const Index correct = count_correct(host_logits.template read<2>(), host_labels.template read<1>(), k);
    return static_cast<double>(correct) / static_cast<double>(labels.numel());
}

// The mean of what was added so far, each value with its weight (a batch's loss with the number of its images).
class RunningAverage {
public:
    void add(double value, double weight = 1) {
        sum_ += value * weight;
        weight_ += weight;
    }
    double value() const { return weight_ > 0 ? sum_ / weight_ : 0; }
    double weight() const { return weight_; }

private:
    double sum_ = 0, weight_ = 0;
};

// How often class `label` was taken for class `prediction`.
class ConfusionMatrix {
public:
    explicit ConfusionMatrix(Index classes) : classes_(classes), counts_(static_cast<std::size_t>(classes * classes)) {}

    void add(Index label, Index prediction) { ++counts_[position(label, prediction)]; }
    Index count(Index label, Index prediction) const { return counts_[position(label, prediction)]; }
    Index classes() const { return classes_; }

    Index total() const {
        Index sum = 0;
        for (const Index count : counts_) sum += count;
        return sum;
    }
    double accuracy() const {
        Index correct = 0;
        for (Index c = 0; c < classes_; ++c) correct += count(c, c);
        return total() > 0 ? static_cast<double>(correct) / static_cast<double>(total()) : 0;
    }

private:
    std::size_t position(Index label, Index prediction) const {
        GRADUS_CHECK(0 <= label && label < classes_ && 0 <= prediction && prediction < classes_,
                     "confusion matrix: label ", label, ", prediction ", prediction, " of ", classes_, " classes");
        return static_cast<std::size_t>(label * classes_ + prediction);
    }

    Index classes_;
    std::vector<Index> counts_;
};

// What a training run records of an epoch.
struct EpochMetrics {
    Index epoch = 0;  // counted from 1
    double lr = 0;    // of the epoch's last step
    double train_loss = 0, train_accuracy = 0;
    double test_loss = 0, test_accuracy = 0;
    double seconds = 0;
    double loss_scale = 1;    // after the epoch (training/loss_scaler.hpp)
    Index skipped_steps = 0;  // in the epoch
};

// The shortest decimal that reads back as the same double: 0.1, not 0.10000000000000001.
inline std::string shortest(double value) {
    char buffer[32];
    const std::to_chars_result end = std::to_chars(buffer, buffer + sizeof buffer, value);
    return std::string(buffer, end.ptr);
}

// The run as comma-separated values, one line an epoch. The time is left out: what a resumed run writes is identical.
GRADUS_COLD inline std::string metrics_csv(const std::vector<EpochMetrics>& history) {
    std::string csv = "epoch,lr,train_loss,train_accuracy,test_loss,test_accuracy,loss_scale,skipped_steps\n";
    for (const EpochMetrics& m : history) {
        csv += std::to_string(m.epoch);
        for (const double value : {m.lr, m.train_loss, m.train_accuracy, m.test_loss, m.test_accuracy, m.loss_scale})
            csv += "," + shortest(value);
        csv += text(",", m.skipped_steps, "\n");
    }
    return csv;
}

}  // namespace gradus::inline GRADUS_ABI
