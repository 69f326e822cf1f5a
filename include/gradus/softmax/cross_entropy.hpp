// softmax/cross_entropy.hpp   The loss of classification: cross entropy of the softmax of the logits.
// Problem  Logits z are any numbers; labels are classes. Softmax turns logits into probabilities p, and the loss is
//          -log of the probability of the label: maximum likelihood (Bridle 1990; Goodfellow et al. 2016, 6.2.2).
// Shapes   logits z, targets t (N, K); labels (N), 0 <= label < K, or ignore_index; loss: one number, or (N)
// Targets  t(n, k) = w(k) * q(n, k) with class weights w (1 where none are given) and a distribution q:
//              labels                          q = 1 at the label, else 0
//              smoothing eps, uniform form     q = 1 - eps + eps/K at the label, else eps/K       (as PyTorch)
//              smoothing eps, paper form       q = 1 - eps at the label, else eps/(K-1)
//                                              Szegedy et al. 2016, arXiv 1512.00567, section 7; He T. et al. 2018,
//                                              arXiv 1812.01187, eq. 4
//              soft targets                    q as given: mixup, cutmix
// Forward  p(k) = exp(z(k) - m) / s,  m = max z,  s = sum over k of exp(z(k) - m): nothing overflows
//          loss(n) = sum over k of t(k) * -log p(k) = sum over k of t(k) * ((m - z(k)) + log s)
//          No term is negative, so nothing cancels.
//          A row with the label ignore_index has loss 0 and gradient 0; where its logits have no softmax (a NaN,
//          +infinity, nothing but -infinity) its gradient is NaN all the same, as in PyTorch: that does not hide what
//          went wrong before.
//          mean divides by the sum of w(label) over the rows that count (by N for soft targets), as PyTorch does.
// Backward of f = sum dloss*loss. With d(-log p(k)) / dz(j) = p(j) - [j = k]:
//   (1) dz(n, j) = dloss(n) * (p(j) * sum over k of t(k) - t(j));   for their mean or sum dloss(n) is dloss of that
//                  number times `scale`: one over the mean's divisor, or 1
// Saved    the logits, m and s. The probabilities are computed again.
// Deviates a batch in which no row counts has loss 0 and gradient 0; PyTorch gives NaN.
// Cost     K exponentials a row, forward and backward. Twins: cross_entropy_cpu.hpp, cross_entropy_cuda.cuh
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "gradus/autograd/variable.hpp"

namespace gradus::inline GRADUS_ABI {

enum class SmoothingForm { uniform, paper };
enum class Reduction { mean, sum, none };

struct CrossEntropyOptions {
    double label_smoothing = 0;  // eps, in [0, 1)
    SmoothingForm form = SmoothingForm::uniform;
    std::vector<double> weights = {};  // one a class, none for 1
    std::int64_t ignore_index = -100;  // rows with this label do not count
    Reduction reduction = Reduction::mean;
};

// t(n, k), from labels or from soft targets, whichever is there. The other one and absent weights have no elements.
template <class S>
struct CrossEntropyTargets {
    Vector<const std::int64_t> labels;
    Matrix<const S> soft;
    Vector<const S> weights;
    S on, off;  // q at the label and elsewhere
    std::int64_t ignore_index;

    GRADUS_HOST_DEVICE bool counts(Index n) const { return labels.size() == 0 || labels(n) != ignore_index; }
    GRADUS_HOST_DEVICE S operator()(Index n, Index k) const {
        const S q = labels.size() == 0 ? soft(n, k) : k == labels(n) ? on : off;
        return weights.size() == 0 ? q : weights(k) * q;
    }
    // The share of row n in the divisor of the mean.
    GRADUS_HOST_DEVICE S row_weight(Index n) const {
        if (!counts(n)) return 0;
        return labels.size() == 0 || weights.size() == 0 ? S(1) : weights(labels(n));
    }
};

// loss(n), and m(n) and s(n) for the backward pass. A row that does not count has loss 0.
template <class T>
void cross_entropy_forward(Reference, Matrix<const T> z, const CrossEntropyTargets<Sum<T>>& t, Vector<Sum<T>> m,
                           Vector<Sum<T>> s, Vector<Sum<T>> loss) {
    const auto [N, K] = z.shape();
    for (Index n = 0; n < N; ++n) {
        m(n) = z(n, 0);
        for (Index k = 1; k < K; ++k) m(n) = std::max(m(n), Sum<T>(z(n, k)));
        s(n) = loss(n) = 0;
        for (Index k = 0; k < K; ++k) s(n) += std::exp(z(n, k) - m(n));
        for (Index k = 0; k < K; ++k)  // a class of target 0 does not matter, even where its logit is -infinity
            if (t.counts(n) && t(n, k) != 0) loss(n) += t(n, k) * ((m(n) - z(n, k)) + std::log(s(n)));
    }
}

// total = scale * sum of loss, where scale = 1 for a sum, and 1 / (sum of the rows' weights) for a mean, or 0 where no
// row counts.
template <class S>
void cross_entropy_total(Reference, Vector<const S> loss, const CrossEntropyTargets<S>& t, Reduction reduction,
                         Vector<S> scale, Vector<S> total) {
    S sum = 0, weight = 0;
    for (Index n = 0; n < loss.size(); ++n) {
        sum += loss(n);
        weight += t.row_weight(n);
    }
    scale(0) = reduction == Reduction::sum ? S(1) : weight != 0 ? 1 / weight : S(0);
    total(0) = scale(0) * sum;
}

// dloss has one element for each row, or one for their total.
template <class T>
void cross_entropy_backward(Reference, Matrix<const T> z, const CrossEntropyTargets<Sum<T>>& t, Vector<const Sum<T>> m,
                            Vector<const Sum<T>> s, Vector<const Sum<T>> scale, Vector<const Sum<T>> dloss,
                            Matrix<T> dz, Write mode) {
    const auto [N, K] = z.shape();
    for (Index n = 0; n < N; ++n) {
        const Sum<T> d = t.counts(n) ? scale(0) * dloss(dloss.size() == 1 ? 0 : n) : Sum<T>(0);
        Sum<T> mass = 0;
        for (Index k = 0; k < K; ++k) mass += t(n, k);
        for (Index k = 0; k < K; ++k)
            put(dz(n, k), d * (std::exp(z(n, k) - m(n)) / s(n) * mass - t(n, k)), mode);  // (1)
    }
}

inline void check_label(const char* operation, std::int64_t label, Index row, Index rows, Index classes,
                        std::int64_t ignore_index) {
    GRADUS_CHECK((0 <= label && label < classes) || label == ignore_index, operation, ": label ", label, " of row ",
                 row, " is no class: the ", rows, " rows of logits have the classes 0 to ", classes - 1);
}
template <HostDevice D>
void check_labels(D, const char* operation, Vector<const std::int64_t> labels, Index classes,
                  std::int64_t ignore_index) {
    for (Index n = 0; n < labels.size(); ++n)
        check_label(operation, labels(n), n, labels.size(), classes, ignore_index);
}

// The tensors behind CrossEntropyTargets.
template <class T, class D>
struct CrossEntropyData {
    Saved<std::int64_t, D> labels;
    Saved<Sum<T>, D> soft;
    Tensor<Sum<T>, D> weights;
    Sum<T> on = 1, off = 0;
    std::int64_t ignore_index = 0;

    GRADUS_GLUE CrossEntropyTargets<Sum<T>> targets() const {
        using S = Sum<T>;
        return {labels.get().defined() ? labels.get().template read<1>() : Vector<const std::int64_t>(nullptr, {0}),
                soft.get().defined() ? soft.get().template read<2>() : Matrix<const S>(nullptr, {0, 0}),
                weights.defined() ? weights.template read<1>() : Vector<const S>(nullptr, {0}),
                on,
                off,
                ignore_index};
    }
};

template <class T, class D>
struct CrossEntropyNode final : NodeOf<Sum<T>, D> {
    Edge<T, D> logits;
    Saved<T, D> saved_logits;
    CrossEntropyData<T, D> data;
    Tensor<Sum<T>, D> m, s, scale;

    const char* name() const override { return data.soft.get().defined() ? "soft_cross_entropy" : "cross_entropy"; }
    GRADUS_GLUE void backward(const Tensor<Sum<T>, D>& dloss) override {
        GradientTarget<T, D> dlogits = logits.target();
        cross_entropy_backward(D{}, saved_logits.get().template read<2>(), data.targets(), m.template read<1>(),
                               s.template read<1>(), scale.template read<1>(), dloss.template read<1>(),
                               dlogits.template write<2>(), dlogits.mode);
    }

    // The loss, recorded where the logits need a gradient.
    GRADUS_GLUE static Variable<Sum<T>, D> record(const Variable<T, D>& logits, const CrossEntropyData<T, D>& data,
                                                  Reduction reduction) {
        using S = Sum<T>;
        const Index N = logits.shape()[0];
        Tensor<S, D> m({N}), s({N}), loss({N});
        Tensor<S, D> scale = reduction == Reduction::none ? Tensor<S, D>::ones({1}) : Tensor<S, D>({1});
        cross_entropy_forward(D{}, logits.value().template read<2>(), data.targets(), m.template write<1>(),
                              s.template write<1>(), loss.template write<1>());
        if (reduction != Reduction::none) {
            Tensor<S, D> total(Shape{});
            cross_entropy_total(D{}, loss.template read<1>(), data.targets(), reduction, scale.template write<1>(),
                                total.template write<1>());
            loss = total;
        }
        if (!needs_gradient(logits)) return Variable<S, D>(loss, nullptr);
        auto node = make_node<CrossEntropyNode>();
        node->logits = node->input(logits);
        node->saved_logits = logits.value();
        node->data = data;
        node->m = m;
        node->s = s;
        node->scale = scale;
        return Variable<S, D>(loss, std::move(node));
    }
};

GRADUS_COLD inline void check_cross_entropy(const char* operation, const Shape& logits,
                                            const CrossEntropyOptions& options) {
    GRADUS_CHECK(logits.rank() == 2 && logits[1] > 0, operation, ": logits must be (N, classes), got ", logits);
    const Index K = logits[1];
    const double eps = options.label_smoothing;
    GRADUS_CHECK(eps >= 0 && eps < 1, operation, ": label_smoothing must lie in [0, 1), got ", eps);
    GRADUS_CHECK(eps == 0 || options.form == SmoothingForm::uniform || K > 1, operation,
                 ": the paper's form of smoothing needs at least 2 classes");
    GRADUS_CHECK(options.weights.empty() || static_cast<Index>(options.weights.size()) == K, operation, ": ",
                 options.weights.size(), " weights for logits of shape ", logits);
}

template <class T, class D>
GRADUS_GLUE CrossEntropyData<T, D> cross_entropy_data(const char* operation, const Variable<T, D>& logits,
                                                      const CrossEntropyOptions& options) {
    check_cross_entropy(operation, logits.shape(), options);
    const Index K = logits.shape()[1];
    const double eps = options.label_smoothing;
    CrossEntropyData<T, D> data;
    const double off = options.form == SmoothingForm::uniform ? eps / static_cast<double>(K)
                       : eps > 0                              ? eps / static_cast<double>(K - 1)
                                                              : 0.0;
    data.off = static_cast<Sum<T>>(off);
    data.on = static_cast<Sum<T>>(options.form == SmoothingForm::uniform ? 1 - eps + off : 1 - eps);
    data.ignore_index = options.ignore_index;
    if (!options.weights.empty()) {
        const std::vector<Sum<T>> weights(options.weights.begin(), options.weights.end());
        data.weights = Tensor<Sum<T>, D>::from({K}, weights);
    }
    return data;
}

// The loss of logits (N, K) against labels (N). Errors: shapes that do not fit, a label that is no class.
template <FloatingElement T, Device D>
GRADUS_GLUE Variable<Sum<T>, D> cross_entropy(const Variable<T, D>& logits, const Tensor<std::int64_t, D>& labels,
                                              const CrossEntropyOptions& options = {}) {
    const OperationScope operation("cross_entropy");
    CrossEntropyData<T, D> data = cross_entropy_data("cross_entropy", logits, options);
    GRADUS_CHECK(labels.shape() == Shape{logits.shape()[0]}, "cross_entropy: logits of shape ", logits.shape(),
                 " need labels of shape (", logits.shape()[0], ",), got ", labels.shape());
    check_labels(D{}, "cross_entropy", labels.template read<1>(), logits.shape()[1], options.ignore_index);
    data.labels = labels;
    return CrossEntropyNode<T, D>::record(logits, data, options.reduction);
}

// The loss of logits (N, K) against soft targets q (N, K), of which no gradient is taken. There is no smoothing here:
// mix it into q. Errors: shapes that do not fit, label_smoothing.
template <FloatingElement T, Device D>
GRADUS_GLUE Variable<Sum<T>, D> soft_cross_entropy(const Variable<T, D>& logits, const Tensor<Sum<T>, D>& targets,
                                                   const CrossEntropyOptions& options = {}) {
    const OperationScope operation("soft_cross_entropy");
    CrossEntropyData<T, D> data = cross_entropy_data("soft_cross_entropy", logits, options);
    GRADUS_CHECK(targets.shape() == logits.shape(), "soft_cross_entropy: logits of shape ", logits.shape(),
                 " need soft targets of the same shape, got ", targets.shape());
    GRADUS_CHECK(options.label_smoothing == 0, "soft_cross_entropy: soft targets take no label_smoothing, got ",
                 options.label_smoothing);
    data.soft = targets;
    return CrossEntropyNode<T, D>::record(logits, data, options.reduction);
}

}  // namespace gradus::inline GRADUS_ABI

#include "gradus/softmax/cross_entropy_cpu.hpp"
