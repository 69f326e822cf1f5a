#include "gradus/softmax/cross_entropy.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "gradus/autograd/gradcheck.hpp"
#include "gradus/softmax/cross_entropy_cpu.hpp"
#include "softmax/cross_entropy_checks.hpp"

using namespace gradus;

namespace {

using Labels = std::vector<std::int64_t>;

template <class T, class D>
std::vector<double> losses(const CrossEntropyOptions& options, const Labels& labels = {0, 1, 2, 1}) {
    const Tensor<std::int64_t, D> label_tensor = Tensor<std::int64_t, D>::from({4}, labels);
    const std::vector<Sum<T>> loss = cross_entropy(example_logits<T, D>(), label_tensor, options).value().to_vector();
    return std::vector<double>(loss.begin(), loss.end());
}

template <class D>
void check_losses(const CrossEntropyOptions& options, const std::vector<double>& expected,
                  const Labels& labels = {0, 1, 2, 1}) {
    const std::vector<double> in_double = losses<double, D>(options, labels);
    const std::vector<double> in_float = losses<float, D>(options, labels);
    REQUIRE(in_double.size() == expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
        CHECK(std::abs(in_double[i] - expected[i]) <= 1e-10 * (1 + expected[i]));
        CHECK(std::abs(in_float[i] - expected[i]) <= 1e-6 * (1 + expected[i]));  // 8 roundings of eps = 1.2e-7
    }
}

}  // namespace

TEST_CASE_TEMPLATE("cross_entropy gives PyTorch's losses", D, Reference, Cpu) {
    const std::vector<double> weights = {1, 2, .5};
    const Reduction none = Reduction::none, sum = Reduction::sum;
    check_losses<D>({.reduction = none}, {.4170300163, .1531782071, .3063557122, 2.4076059644});
    check_losses<D>({}, {.821042475});
    check_losses<D>({.reduction = sum}, {3.2841699001});
    check_losses<D>({.weights = weights, .reduction = none}, {.4170300163, .3063564142, .1531778561, 4.8152119289});
    check_losses<D>({.weights = weights}, {1.0348684028});
    check_losses<D>({.weights = weights, .reduction = sum}, {5.6917762155});
    check_losses<D>({}, {1.0436638977}, {0, -100, 2, 1});
    check_losses<D>({.label_smoothing = .1, .reduction = none}, {.5136966829, .3365115405, .4230223789, 2.3076059644});
    check_losses<D>({.label_smoothing = .1}, {.8952091417});
    check_losses<D>({.label_smoothing = .1, .weights = weights}, {1.0568033483});
    check_losses<D>({.label_smoothing = .1, .weights = weights, .reduction = sum}, {5.8124184156});
    const SmoothingForm paper = SmoothingForm::paper;
    check_losses<D>({.label_smoothing = .1, .form = paper, .reduction = none},
                    {.5620300163, .4281782071, .4813557122, 2.2576059644});
    check_losses<D>({.label_smoothing = .1, .form = paper}, {.932292475});
}

TEST_CASE_TEMPLATE("the gradient of the mean is (softmax - onehot) / N", D, Reference, Cpu) {
    const Variable<double, D> z = example_logits<double, D>();
    cross_entropy(z, Tensor<std::int64_t, D>::from({4}, {0, 1, 2, 1})).backward();
    const double expected[] = {-.0852497153, .0606082427, .0246414726};
    for (std::size_t k = 0; k < 3; ++k) CHECK(std::abs(z.grad().to_vector()[k] - expected[k]) <= 1e-10);
}

TEST_CASE_TEMPLATE("cross_entropy of large and infinite logits", D, Reference, Cpu) {
    const auto loss = [](float a, float b, std::int64_t label) {
        const Variable<float, D> z(Tensor<float, D>::from({1, 2}, {a, b}), true);
        const Variable<float, D> f = cross_entropy(z, Tensor<std::int64_t, D>::from({1}, {label}));
        f.backward();
        for (const float dz : z.grad().to_vector()) CHECK(std::isfinite(dz));
        return f.item();
    };
    CHECK(loss(1000, 0, 0) == 0.0f);
    CHECK(loss(1000, 0, 1) == 1000.0f);
    CHECK(loss(-1000, -1000, 1) == doctest::Approx(std::log(2.0)));
    CHECK(loss(3, -std::numeric_limits<float>::infinity(), 0) == 0.0f);  // a class that has been ruled out
    const Variable<float, D> flat(Tensor<float, D>::zeros({1, 1000}));
    CHECK(cross_entropy(flat, Tensor<std::int64_t, D>::from({1}, {7})).item() == doctest::Approx(6.907755));
}

TEST_CASE_TEMPLATE("soft targets", D, Reference, Cpu) {
    const Variable<double, D> z(Tensor<double, D>::from({1, 3}, {2, 1, .1}), true);
    const Tensor<double, D> q = Tensor<double, D>::from({1, 3}, {.7, .3, 0});
    CHECK(soft_cross_entropy(z, q).item() == doctest::Approx(.7170300163).epsilon(1e-10));
    // One-hot targets are labels.
    const Tensor<double, D> one_hot = Tensor<double, D>::from({4, 3}, {1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0});
    CHECK(soft_cross_entropy(example_logits<double, D>(), one_hot).item() ==
          doctest::Approx(.821042475).epsilon(1e-10));
}

// The optimum of smoothed cross entropy: the gap between the label's logit and the others, the entropy of the target as
// the loss, and no gradient (He T. et al. 2018, section 5.2).
TEST_CASE_TEMPLATE("label smoothing is least at a finite gap", D, Reference, Cpu) {
    const struct {
        SmoothingForm form;
        double gap, entropy;
    } rows[] = {{SmoothingForm::paper, 9.103979, 1.0157584513}, {SmoothingForm::uniform, 9.105091, 1.0148479977}};
    for (const auto& row : rows) {
        std::vector<double> values(1000, 0.0);
        values[3] = row.gap;
        const Variable<double, D> z(Tensor<double, D>::from({1, 1000}, values), true);
        const Variable<double, D> loss =
            cross_entropy(z, Tensor<std::int64_t, D>::from({1}, {3}), {.label_smoothing = 0.1, .form = row.form});
        loss.backward();
        CHECK(std::abs(loss.item() - row.entropy) <= 1e-9);
        double steepest = 0;
        for (const double dz : z.grad().to_vector()) steepest = std::max(steepest, std::abs(dz));
        CHECK(steepest <= 1e-7);  // the gap is given to 7 digits: p (1 - p) * 5e-7 at most
    }
}

// The gaps ln((K-1)(1-eps)/eps) of the paper's form and ln((1-eps+eps/K)/(eps/K)) of the uniform one.
TEST_CASE("label smoothing is least at the gap that its formula gives, for many K and eps") {
    const struct {
        std::size_t classes;
        double eps, paper, uniform;
    } rows[] = {{10, .05, 5.141664, 5.252273},   {10, .1, 4.394449, 4.510860},   {10, .2, 3.583519, 3.713572},
                {100, .05, 7.539559, 7.550135},  {100, .1, 6.792344, 6.803505},  {100, .2, 5.981414, 5.993961},
                {1000, .05, 9.851194, 9.852247}, {1000, .1, 9.103979, 9.105091}, {1000, .2, 8.293049, 8.294300}};
    for (const auto& row : rows)
        for (const SmoothingForm form : {SmoothingForm::paper, SmoothingForm::uniform}) {
            std::vector<double> values(row.classes, 0.0);
            values[3] = form == SmoothingForm::paper ? row.paper : row.uniform;
            const Variable<double> z(Tensor<double>::from({1, static_cast<Index>(row.classes)}, values), true);
            cross_entropy(z, Tensor<std::int64_t>::from({1}, {3}), {.label_smoothing = row.eps, .form = form})
                .backward();
            for (const double dz : z.grad().to_vector()) CHECK(std::abs(dz) <= 5e-7 / 4);  // the gap's digits, p(1-p)
        }
}

TEST_CASE_TEMPLATE("the pixels of an image are rows", D, Reference, Cpu) {
    // PyTorch's logits are (1, 3, 2, 2), 0 to 11 modulo 5; its loss of the labels 0 1 2 1 is 3.0519146185.
    const Variable<double, D> z(Tensor<double, D>::from({4, 3}, {0, 4, 3, 1, 0, 4, 2, 1, 0, 3, 2, 1}), true);
    const Variable<double, D> loss = cross_entropy(z, Tensor<std::int64_t, D>::from({4}, {0, 1, 2, 1}));
    CHECK(std::abs(loss.item() - 3.0519146185) <= 1e-10);
}

TEST_CASE_TEMPLATE("cross_entropy: gradients", D, Reference, Cpu) {
    const std::vector<double> weights = {1, 2, .5};
    const Tensor<std::int64_t, D> labels = Tensor<std::int64_t, D>::from({4}, {0, -100, 2, 1});
    for (const Reduction reduction : {Reduction::mean, Reduction::sum, Reduction::none})
        for (const SmoothingForm form : {SmoothingForm::uniform, SmoothingForm::paper})
            for (const double eps : {0.0, 0.2}) {
                const CrossEntropyOptions options{
                    .label_smoothing = eps, .form = form, .weights = weights, .reduction = reduction};
                gradcheck([&](const auto& in) { return cross_entropy(in[0], labels, options); },
                          std::vector<Variable<double, D>>{example_logits<double, D>()});
            }
    const Tensor<double, D> q = Tensor<double, D>::from({4, 3}, {.2, .8, 0, 0, 0, 1, .1, .1, .8, .5, .25, .25});
    gradcheck([&](const auto& in) { return soft_cross_entropy(in[0], q, {.weights = weights}); },
              std::vector<Variable<double, D>>{example_logits<double, D>()});
}

TEST_CASE_TEMPLATE("rows that do not count have no gradient, a batch of them has loss 0", D, Reference, Cpu) {
    const Variable<double, D> z = example_logits<double, D>();
    cross_entropy(z, Tensor<std::int64_t, D>::from({4}, {0, -100, 2, 1})).backward();
    for (std::size_t i = 3; i < 6; ++i) CHECK(z.grad().to_vector()[i] == 0);
    const Variable<double, D> unseen = example_logits<double, D>();
    const Variable<double, D> loss =
        cross_entropy(unseen, Tensor<std::int64_t, D>::from({4}, {9, 9, 9, 9}), {.ignore_index = 9});
    loss.backward();
    CHECK(loss.item() == 0);
    for (const double dz : unseen.grad().to_vector()) CHECK(dz == 0);
    const Variable<double, D> empty(Tensor<double, D>(Shape{0, 3}));
    CHECK(cross_entropy(empty, Tensor<std::int64_t, D>(Shape{0})).item() == 0);
}

TEST_CASE_TEMPLATE("a row that does not count and has no softmax has the gradient NaN", D, Reference, Cpu) {
    for (const std::size_t K : {3u, 40u}) check_ignored_rows<D>(K);  // with and without whole vectors
}

// At sizes with and without whole vectors.
TEST_CASE("cross_entropy on Cpu agrees with Reference") {
    for (const Index N : {1, 3, 70})
        for (const Index K : {1, 2, 10, 16, 33, 1000}) {
            Generator generator{static_cast<std::uint64_t>(N + K), 0, 0};
            const Tensor<float> values = Tensor<float>::randn({N, K}, generator);
            Labels numbers;
            for (Index n = 0; n < N; ++n) numbers.push_back(n % 7 == 5 ? -100 : (n * 37) % K);
            const CrossEntropyOptions options{.label_smoothing = 0.1, .reduction = Reduction::none};
            const Variable<float> z(values, true);
            const Variable<double, Reference> exact(values.as<double>().to<Reference>(), true);
            const Variable<float> loss = cross_entropy(z, Tensor<std::int64_t>::from({N}, numbers), options);
            const Variable<double, Reference> exact_loss =
                cross_entropy(exact, Tensor<std::int64_t, Reference>::from({N}, numbers), options);
            check_losses(K, loss, z, exact_loss, exact);
        }
}

TEST_CASE("cross_entropy takes 16-bit logits and gives a float loss") {
    const Variable<Half> z = example_logits<Half, Cpu>();
    const Variable<float> loss = cross_entropy(z, Tensor<std::int64_t>::from({4}, {0, 1, 2, 1}));
    loss.backward();
    CHECK(std::abs(loss.item() - .821042475f) <= 2e-3f);  // the logits are rounded to 11 bits
    CHECK(z.grad().shape() == Shape{4, 3});
}

TEST_CASE("cross_entropy refuses what does not fit") {
    const Variable<float> z = example_logits<float, Cpu>();
    CHECK_THROWS_WITH_AS(cross_entropy(z, Tensor<std::int64_t>::from({4}, {0, 1, 3, 1})),
                         "cross_entropy: label 3 of row 2 is no class: the 4 rows of logits have the classes 0 to 2",
                         Error);
    CHECK_THROWS_WITH_AS(cross_entropy(z, Tensor<std::int64_t>::from({3}, {0, 1, 2})),
                         "cross_entropy: logits of shape (4, 3) need labels of shape (4,), got (3,)", Error);
    const Tensor<std::int64_t> labels = Tensor<std::int64_t>::from({4}, {0, 1, 2, 1});
    CHECK_THROWS_WITH_AS(cross_entropy(z, labels, {.label_smoothing = 1}),
                         "cross_entropy: label_smoothing must lie in [0, 1), got 1", Error);
    CHECK_THROWS_WITH_AS(cross_entropy(z, labels, {.weights = {1, 2}}),
                         "cross_entropy: 2 weights for logits of shape (4, 3)", Error);
    CHECK_THROWS_WITH_AS(soft_cross_entropy(z, Tensor<float>::ones({3, 4})),
                         "soft_cross_entropy: logits of shape (4, 3) need soft targets of the same shape, got (3, 4)",
                         Error);
}
