#include "gradus/autograd/gradcheck.hpp"

#include <doctest/doctest.h>

#include "gradus/elementwise/scalar.hpp"
#include "gradus/reduction/sum.hpp"

using namespace gradus;

namespace {

// A square whose derivative is wrong by one part in a thousand.
struct AlmostSquare {
    static constexpr const char* name = "almost_square";
    static constexpr From derivative_from = From::x;
    template <class S>
    S value(S x) const {
        return x * x;
    }
    template <class S>
    S derivative(S x) const {
        return 2.002 * x;
    }
};

}  // namespace

TEST_CASE("gradcheck accepts right gradients and leaves values as they were") {
    Variable<double> x(Tensor<double>::from({3}, {0.5, -1, 2}), true), y(Tensor<double>::from({1}, {3}), true);
    gradcheck([](const auto& in) { return exp(in[0]) * in[1] + in[0]; }, std::vector<Variable<double>>{x, y});
    CHECK(x.value().to_vector() == std::vector<double>{0.5, -1, 2});
    CHECK(x.grad().defined());
}

TEST_CASE("gradcheck names the input, the element and both numbers") {
    const Variable<double> x(Tensor<double>::from({2, 1}, {1, 2}), true), y(Tensor<double>::from({2, 1}, {1, 2}), true);
    const auto function = [](const auto& in) { return in[0] + unary(AlmostSquare{}, in[1]); };
    CHECK_THROWS_WITH_AS(gradcheck(function, std::vector<Variable<double>>{x, y}),
                         doctest::Contains("gradcheck: input 1 of shape (2, 1), element 0: backward gives "), Error);
}

TEST_CASE("gradcheck notices a gradient that never arrives") {
    const Variable<double> x(Tensor<double>::from({2}, {1, 2}), true);
    const auto function = [](const auto& in) { return in[0] * in[0].detach(); };
    CHECK_THROWS_AS(gradcheck(function, std::vector<Variable<double>>{x}), Error);
}

TEST_CASE("gradcheck takes leaves that require a gradient only") {
    const Variable<double> data(Tensor<double>::from({1}, {1}));
    CHECK_THROWS_WITH_AS(gradcheck([](const auto& in) { return sum(in[0]); }, std::vector<Variable<double>>{data}),
                         "gradcheck: an input is no leaf that requires a gradient", Error);
}
