// What the small samples of the table of operations do not reach: labels that are no class, rows without a softmax,
// long rows, and losses of more rows than a block adds up.
#include "gradus/softmax/cross_entropy_cuda.cuh"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "machine/emulator/emulator_checks.hpp"

using namespace gradus;

namespace {

using Labels = Tensor<std::int64_t, Cuda>;

// Four rows of three classes: the example of cross_entropy_test.cpp.
template <class T>
Variable<T, Cuda> example_logits() {
    const std::vector<double> z = {2, 1, .1, .5, 2.5, -1, -.3, .2, 1.7, 1, -1, 0};
    std::vector<T> values;
    for (const double value : z) values.push_back(static_cast<T>(value));
    return Variable<T, Cuda>(Tensor<T, Cuda>::from({4, 3}, values), true);
}

}  // namespace

TEST_CASE("cross_entropy on Cuda gives PyTorch's losses") {
    const Labels labels = Labels::from({4}, {0, 1, 2, 1}), with_ignored = Labels::from({4}, {0, -100, 2, 1});
    const auto loss = [](const CrossEntropyOptions& options, const Labels& of) {
        return cross_entropy(example_logits<double>(), of, options).item();
    };
    CHECK(std::abs(loss({}, labels) - .821042475) <= 1e-10);
    CHECK(std::abs(loss({}, with_ignored) - 1.0436638977) <= 1e-10);
    CHECK(std::abs(loss({.weights = {1, 2, .5}}, labels) - 1.0348684028) <= 1e-10);
    CHECK(std::abs(loss({.label_smoothing = .1, .weights = {1, 2, .5}}, labels) - 1.0568033483) <= 1e-10);
    CHECK(std::abs(loss({.label_smoothing = .1, .form = SmoothingForm::paper}, labels) - .932292475) <= 1e-10);
    const Tensor<double, Cuda> one_hot = Tensor<double, Cuda>::from({4, 3}, {1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0});
    CHECK(std::abs(soft_cross_entropy(example_logits<double>(), one_hot).item() - .821042475) <= 1e-10);
}

TEST_CASE("cross_entropy on Cuda: the first label that is no class, in the words of the host") {
    const Variable<float, Cuda> z = example_logits<float>();
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

// As cross_entropy_test.cpp has it for the host's devices.
template <class T>
void check_ignored_row(const std::vector<double>& row, bool has_softmax) {
    const Index K = static_cast<Index>(row.size());
    std::vector<T> values(row.size(), T(1));
    for (const double z : row) values.push_back(static_cast<T>(z));
    const Variable<T, Cuda> z(Tensor<T, Cuda>::from({2, K}, values), true);
    const Labels labels = Labels::from({2}, {0, -100});
    const Variable<Sum<T>, Cuda> loss = cross_entropy(z, labels, {.label_smoothing = 0.1});
    CHECK(loss.item() == doctest::Approx(std::log(static_cast<double>(K))));
    loss.backward();                                                     // writes
    cross_entropy(z, labels, {.reduction = Reduction::sum}).backward();  // adds
    const std::vector<T> dz = z.grad().to_vector();
    for (std::size_t k = 0; k < row.size(); ++k) {
        const float counted = static_cast<float>(dz[k]), ignored = static_cast<float>(dz[row.size() + k]);
        if (!std::isfinite(counted) || (has_softmax ? ignored != 0 : !std::isnan(ignored)))
            FAIL_CHECK("class " << k << " of " << K << ": " << counted << " and " << ignored);
    }
}

TEST_CASE("cross_entropy on Cuda: a row that does not count and has no softmax has the gradient NaN") {
    const double infinity = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
    for (const std::size_t K : {3u, 40u, 600u, 5000u}) {
        const auto check_all_types = [K](double first, double others, bool has_softmax) {
            std::vector<double> row(K, others);
            row[0] = first;
            check_ignored_row<float>(row, has_softmax);
            check_ignored_row<double>(row, has_softmax);
            check_ignored_row<Half>(row, has_softmax);
            check_ignored_row<BFloat16>(row, has_softmax);
        };
        check_all_types(nan, 1, false);
        check_all_types(1, nan, false);
        check_all_types(infinity, 1, false);
        check_all_types(-infinity, -infinity, false);
        check_all_types(-infinity, 1, true);
        check_all_types(5, 1, true);
    }
}

// In float against Reference in double, within the bounds of cross_entropy_test.cpp.
TEST_CASE("cross_entropy on Cuda agrees with Reference at every size, weighted and smoothed") {
    const double eps = std::numeric_limits<float>::epsilon();
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
                loss.backward(Tensor<float, Cuda>::ones({N}));
                exact_loss.backward(Tensor<double, Reference>::ones({N}));
                const double roundings = static_cast<double>(K + 4);
                const std::vector<float> losses = loss.value().to_vector(), dz = z.grad().to_vector();
                const std::vector<double> exact_losses = exact_loss.value().to_vector(),
                                          exact_dz = exact.grad().to_vector();
                double worst = 0, worst_slope = 0;
                for (std::size_t i = 0; i < losses.size(); ++i)
                    worst = std::max(worst, std::abs(losses[i] - exact_losses[i]));
                for (std::size_t i = 0; i < dz.size(); ++i)
                    worst_slope = std::max(worst_slope, std::abs(dz[i] - exact_dz[i]));
                CHECK(worst <= roundings * eps * (10 + std::log(static_cast<double>(K))));
                CHECK(worst_slope <= roundings * eps);
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
    const Variable<double, Cuda> unseen = example_logits<double>();
    const Variable<double, Cuda> loss = cross_entropy(unseen, Labels::from({4}, {9, 9, 9, 9}), {.ignore_index = 9});
    loss.backward();
    CHECK(loss.item() == 0);
    for (const double dz : unseen.grad().to_vector()) CHECK(dz == 0);
    const Variable<double, Cuda> empty(Tensor<double, Cuda>(Shape{0, 3}), true);
    const Variable<double, Cuda> nothing = cross_entropy(empty, Labels(Shape{0}));
    nothing.backward();
    CHECK(nothing.item() == 0);
}
