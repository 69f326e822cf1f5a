// What the small samples of the table of operations do not reach: labels that are no class, rows without a softmax,
// long rows, and losses of more rows than a block adds up.
#include "gradus/softmax/cross_entropy_cuda.cuh"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "machine/emulator/emulator_checks.hpp"
#include "softmax/cross_entropy_checks.hpp"

using namespace gradus;

namespace {

using Labels = Tensor<std::int64_t, Cuda>;

}  // namespace

TEST_CASE("cross_entropy on Cuda gives PyTorch's losses") {
    const Labels labels = Labels::from({4}, {0, 1, 2, 1}), with_ignored = Labels::from({4}, {0, -100, 2, 1});
    const auto loss = [](const CrossEntropyOptions& options, const Labels& of) {
        return cross_entropy(example_logits<double, Cuda>(), of, options).item();
    };
    CHECK(std::abs(loss({}, labels) - .821042475) <= 1e-10);
    CHECK(std::abs(loss({}, with_ignored) - 1.0436638977) <= 1e-10);
    CHECK(std::abs(loss({.weights = {1, 2, .5}}, labels) - 1.0348684028) <= 1e-10);
    CHECK(std::abs(loss({.label_smoothing = .1, .weights = {1, 2, .5}}, labels) - 1.0568033483) <= 1e-10);
    CHECK(std::abs(loss({.label_smoothing = .1, .form = SmoothingForm::paper}, labels) - .932292475) <= 1e-10);
    const Tensor<double, Cuda> one_hot = Tensor<double, Cuda>::from({4, 3}, {1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0});
    CHECK(std::abs(soft_cross_entropy(example_logits<double, Cuda>(), one_hot).item() - .821042475) <= 1e-10);
}

TEST_CASE("cross_entropy on Cuda: the first label that is no class, in the words of the host") {
    const Variable<float, Cuda> z = example_logits<float, Cuda>();
    CHECK_THROWS_WITH_AS(cross_entropy(z, Labels::from({4}, {0, 1, 3, -1})),
                         "cross_entropy: label 3 of row 2 is no class: the 4 rows of logits have the classes 0 to 2",
                         Error);
    CHECK_THROWS_WITH_AS(cross_entropy(z, Labels::from({4}, {0, 1, 2, 9}), {.ignore_index = 8}),
                         "cross_entropy: label 9 of row 3 is no class: the 4 rows of logits have the classes 0 to 2",
                         Error);
    CHECK_NOTHROW(cross_entropy(z, Labels::from({4}, {0, 1, 2, 9}), {.ignore_index = 9}));

    in_every_order([] {  // many blocks find one
        const Index rows = Index{40} * multiprocessors() * stride_threads;
        std::vector<std::int64_t> labels(static_cast<std::size_t>(rows), 1);
        for (Index n = 777; n < rows; n += 3) labels[static_cast<std::size_t>(n)] = 2;
        const Labels on_card = Labels::from({rows}, labels);
        CHECK(message_of([&] { check_labels(Cuda{}, "loss", on_card.read<1>(), 2, -100); }) ==
              text("loss: label 2 of row 777 is no class: the ", rows, " rows of logits have the classes 0 to 1"));
    });
}

TEST_CASE("cross_entropy on Cuda: a row that does not count and has no softmax has the gradient NaN") {
    for (const std::size_t K : {3u, 40u, 600u, 5000u}) check_ignored_rows<Cuda>(K);
}

TEST_CASE("cross_entropy on Cuda agrees with Reference at every size, weighted and smoothed") {
    for (const Index N : {1, 3, 70})
        for (const Index K : {1, 2, 10, 16, 33, 512, 1000, 4099, 9000}) {
            if (N * K > 100'000) continue;
            CAPTURE(N);
            CAPTURE(K);
            Generator generator{static_cast<std::uint64_t>(N + K), 0, 0};
            const Tensor<float> values = Tensor<float>::randn({N, K}, generator);
            std::vector<std::int64_t> numbers;
            std::vector<double> weights;
            for (Index n = 0; n < N; ++n) numbers.push_back(n % 7 == 5 ? -100 : (n * 37) % K);
            for (Index k = 0; k < K; ++k) weights.push_back(k % 2 == 0 ? 1 : 0.5);
            for (const bool is_soft : {false, true}) {
                const Variable<float, Cuda> z(values.to<Cuda>(), true);
                const Variable<double, Reference> exact(values.as<double>().to<Reference>(), true);
                const auto loss_of = [&]<class T, class D>(const Variable<T, D>& logits) {
                    const CrossEntropyOptions options{
                        .label_smoothing = is_soft ? 0 : 0.1, .weights = weights, .reduction = Reduction::none};
                    std::vector<T> q(static_cast<std::size_t>(N * K), T(1) / static_cast<T>(K));
                    return is_soft ? soft_cross_entropy(logits, Tensor<T, D>::from({N, K}, q), options)
                                   : cross_entropy(logits, Tensor<std::int64_t, D>::from({N}, numbers), options);
                };
                const Variable<float, Cuda> loss = loss_of(z);
                const Variable<double, Reference> exact_loss = loss_of(exact);
                check_losses(K, loss, z, exact_loss, exact);
            }
        }
}

TEST_CASE("cross_entropy on Cuda: a mean over more rows than a block adds up") {
    for (const Index N : {total_rows, 3 * total_rows + 5}) {
        Generator generator{6, 0, 0};
        const Tensor<float> values = Tensor<float>::randn({N, 3}, generator);
        std::vector<std::int64_t> numbers;
        for (Index n = 0; n < N; ++n) numbers.push_back(n % 5 == 0 ? -100 : n % 3);
        const auto mean = [&]<class D>(D) {
            return cross_entropy(Variable<float, D>(values.to<D>()), Tensor<std::int64_t, D>::from({N}, numbers))
                .item();
        };
        const float expected = static_cast<float>(mean(Cpu{}));
        in_every_order([&] { CHECK(mean(Cuda{}) == doctest::Approx(expected).epsilon(1e-5)); });
    }
}

TEST_CASE("cross_entropy on Cuda: no rows, or none that count, have the loss 0") {
    const Variable<double, Cuda> unseen = example_logits<double, Cuda>();
    const Variable<double, Cuda> loss = cross_entropy(unseen, Labels::from({4}, {9, 9, 9, 9}), {.ignore_index = 9});
    loss.backward();
    CHECK(loss.item() == 0);
    for (const double dz : unseen.grad().to_vector()) CHECK(dz == 0);
    const Variable<double, Cuda> empty(Tensor<double, Cuda>(Shape{0, 3}), true);
    const Variable<double, Cuda> nothing = cross_entropy(empty, Labels(Shape{0}));
    nothing.backward();
    CHECK(nothing.item() == 0);
}
