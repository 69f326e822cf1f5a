#include "gradus/linear/matmul.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "gradus/autograd/gradcheck.hpp"
#include "gradus/linear/matmul_cpu.hpp"
#include "worst_difference.hpp"

using namespace gradus;

namespace {

const MatmulOptions all_options[] = {{false, false}, {false, true}, {true, false}, {true, true}};

// The shape of a (rows, columns) operand as it is stored.
Shape stored(Index rows, Index columns, bool transposed) {
    return transposed ? Shape{columns, rows} : Shape{rows, columns};
}

}  // namespace

TEST_CASE_TEMPLATE("matmul of small integers", D, Reference, Cpu) {
    const Variable<float, D> a(Tensor<float, D>::from({2, 3}, {1, 2, 3, 4, 5, 6}));
    const Variable<float, D> b(Tensor<float, D>::from({3, 2}, {1, 0, 2, 1, 0, 3}));
    CHECK(matmul(a, b).value().to_vector() == std::vector<float>{5, 11, 14, 23});
    CHECK(matmul(a, a, {.transpose_b = true}).value().to_vector() == std::vector<float>{14, 32, 32, 77});
    CHECK(matmul(b, b, {.transpose_a = true}).value().to_vector() == std::vector<float>{5, 2, 2, 10});
    CHECK(matmul(b, a, {.transpose_a = true, .transpose_b = true}).value().to_vector() ==
          std::vector<float>{5, 14, 11, 23});
}

TEST_CASE_TEMPLATE("matmul: gradients", D, Reference, Cpu) {
    Generator generator{3, 0, 0};
    const auto leaf = [&](const Shape& shape) {
        return Variable<double, D>(Tensor<double, D>::randn(shape, generator), true);
    };
    for (const MatmulOptions& options : all_options) {
        const auto product = [&](const auto& in) { return matmul(in[0], in[1], options); };
        for (const Index K : {1, 5})
            gradcheck(product, std::vector<Variable<double, D>>{leaf(stored(3, K, options.transpose_a)),
                                                                leaf(stored(K, 4, options.transpose_b))});
        const auto square = [&](const auto& in) { return matmul(in[0], in[0], options); };
        gradcheck(square, std::vector<Variable<double, D>>{leaf({3, 3})});  // both gradients go to one variable
    }
}

// Float on Cpu against double on Reference: a sum of K products of values in [-1, 1] is off by at most (K + 1) eps K.
TEST_CASE("matmul on Cpu agrees with Reference at every size") {
    const double eps = std::numeric_limits<float>::epsilon();
    const auto check = [&](Index M, Index N, Index K, const MatmulOptions& options) {
        Generator generator{4, 0, 0};
        const auto draw = [&](const Shape& shape) { return Tensor<float>::uniform(shape, -1, 1, generator); };
        const Tensor<float> a_values = draw(stored(M, K, options.transpose_a));
        const Tensor<float> b_values = draw(stored(K, N, options.transpose_b)), dc = draw({M, N});
        const Variable<float> a(a_values, true), b(b_values, true);
        const Variable<double, Reference> exact_a(a_values.as<double>().to<Reference>(), true);
        const Variable<double, Reference> exact_b(b_values.as<double>().to<Reference>(), true);
        const Variable<float> c = matmul(a, b, options);
        const Variable<double, Reference> exact_c = matmul(exact_a, exact_b, options);
        c.backward(dc);
        exact_c.backward(dc.as<double>().to<Reference>());
        const auto bound = [&](Index terms) { return static_cast<double>(terms * (terms + 1)) * eps; };
        INFO(M << " x " << N << " x " << K);
        CHECK(worst_difference(c.value(), exact_c.value()) <= bound(K));
        CHECK(worst_difference(a.grad(), exact_a.grad()) <= bound(N));
        CHECK(worst_difference(b.grad(), exact_b.grad()) <= bound(M));
    };
    for (const MatmulOptions& options : all_options) {
        for (const Index M : {0, 1, 7, 130})
            for (const Index N : {1, 16, 45})
                for (const Index K : {0, 1, 33}) check(M, N, K, options);
        check(3, 5, 1100, options);
    }
}

TEST_CASE("matmul refuses what does not fit") {
    const Variable<float> a(Tensor<float>::zeros({2, 3})), b(Tensor<float>::zeros({2, 3, 4}));
    CHECK_THROWS_WITH_AS(matmul(a, b), "matmul: a and b must be matrices, got (2, 3) and (2, 3, 4)", Error);
    CHECK_THROWS_WITH_AS(matmul(a, a, {.transpose_a = true, .transpose_b = true}),
                         "matmul: (2, 3) transposed times (2, 3) transposed", Error);
    CHECK_NOTHROW(matmul(a, a, {.transpose_b = true}));
}
