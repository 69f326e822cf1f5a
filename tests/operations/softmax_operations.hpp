// operations/softmax_operations.hpp   The rows of include/gradus/softmax.
#pragma once

#include <cstdint>

#include "gradus/softmax/cross_entropy.hpp"
#include "gradus/softmax/softmax.hpp"
#include "operations/operation.hpp"

namespace operations {

struct SoftmaxOperations {
    // One label a row; with `ignores` every third row has none.
    template <class D>
    static Tensor<std::int64_t, D> labels(const Shape& logits, bool ignores) {
        std::vector<std::int64_t> values;
        for (Index n = 0; n < logits[0]; ++n) values.push_back(ignores && n % 3 == 1 ? -100 : (2 * n + 1) % logits[1]);
        return Tensor<std::int64_t, D>::from({logits[0]}, values);
    }
    // Weights of 1, 1.5, 2, 1, ... for the classes.
    static std::vector<double> weights(const Shape& logits) {
        std::vector<double> values;
        for (Index k = 0; k < logits[1]; ++k) values.push_back(1 + 0.5 * static_cast<double>(k % 3));
        return values;
    }
    template <class T, class D>
    static Variable<Sum<T>, D> loss(const Inputs<T, D>& in, const gradus::CrossEntropyOptions& options,
                                    bool ignores = false) {
        return cross_entropy(in.x[0], labels<D>(in.x[0].shape(), ignores), options);
    }
    template <class T, class D>
    static Variable<Sum<T>, D> soft_loss(const Inputs<T, D>& in, const gradus::CrossEntropyOptions& options) {
        const Shape shape = in.x[0].shape();
        std::vector<Sum<T>> q;
        for (Index i = 0; i < shape.numel(); ++i) q.push_back(static_cast<Sum<T>>(i % 4) / 4);
        return soft_cross_entropy(in.x[0], Tensor<Sum<T>, D>::from(shape, q), options);
    }

    template <class Visit>
    static void rows(const Visit& visit) {
        using gradus::Reduction;
        using gradus::SmoothingForm;
        // Sums run over 37 classes at most; exp, log and the products around them are some 10 roundings more.
        const std::vector<Sample> plain = {{.x = {{5, 7}}}, {.x = {{2, 2, 37}}}, {.x = {{3, 1}}}, {.x = {{0, 4}}}};
        const auto map = [&](const char* name) {
            return Row{
                .name = name, .samples = plain, .low = -4, .high = 4, .roundings = 37 + 10, .stored = 3, .keeps = "y"};
        };
        visit(map("softmax"), [](const auto& in) { return softmax(in.x[0]); });
        visit(map("log_softmax"), [](const auto& in) { return log_softmax(in.x[0]); });

        // Logits (N, K). p0 (N) and p1 (K) do not matter: they name the shapes of what is kept. That is the
        // logits, the maximum and the sum of each row, the labels of 8 bytes, one number (p2), and weights if given.
        const std::vector<Sample> logits = {{.x = {{5, 7}}, .p = {{5}, {7}, {}}},
                                            {.x = {{2, 37}}, .p = {{2}, {37}, {}}},
                                            {.x = {{3, 1}}, .p = {{3}, {1}, {}}},
                                            {.x = {{0, 4}}, .p = {{0}, {4}, {}}}};
        const auto row = [&](const char* name, const char* keeps) {
            return Row{.name = name, .samples = logits, .low = -4, .high = 4, .roundings = 37 + 5 + 15, .keeps = keeps};
        };
        visit(row("cross_entropy", "x0 p0 p0 p0:8 p2"),
              []<class T, class D>(const Inputs<T, D>& in) { return loss<T, D>(in, {}); });
        visit(row("cross_entropy summed, with rows to ignore", "x0 p0 p0 p0:8 p2"),
              []<class T, class D>(const Inputs<T, D>& in) {
                  return loss<T, D>(in, {.reduction = Reduction::sum}, true);
              });
        visit(row("cross_entropy of every row, smoothed", "x0 p0 p0 p0:8 p2"),
              []<class T, class D>(const Inputs<T, D>& in) {
                  return loss<T, D>(in, {.label_smoothing = 0.1, .reduction = Reduction::none}, true);
              });
        visit(row("cross_entropy weighted and smoothed", "x0 p0 p0 p0:8 p2 p1"),
              []<class T, class D>(const Inputs<T, D>& in) {
                  return loss<T, D>(in, {.label_smoothing = 0.1, .weights = weights(in.x[0].shape())}, true);
              });
        visit(row("soft_cross_entropy", "x0 x0 p0 p0 p2"),
              []<class T, class D>(const Inputs<T, D>& in) { return soft_loss<T, D>(in, {}); });
        visit(row("soft_cross_entropy weighted, of every row", "x0 x0 p0 p0 p2 p1"),
              []<class T, class D>(const Inputs<T, D>& in) {
                  return soft_loss<T, D>(in, {.weights = weights(in.x[0].shape()), .reduction = Reduction::none});
              });
        Row paper = row("cross_entropy smoothed as in the paper", "x0 p0 p0 p0:8 p2");
        paper.samples.resize(2);  // it needs more than one class
        visit(paper, []<class T, class D>(const Inputs<T, D>& in) {
            return loss<T, D>(in, {.label_smoothing = 0.1, .form = SmoothingForm::paper});
        });
    }
};

}  // namespace operations
