// gemm.hpp, with its parts gemm_double.hpp and convert.hpp, against three loops in double, for every type and
// transposition, and shapes on both sides of every block size.
// Tolerance: c * eps * (largest sum |a||b|) with c = 4; a result in 16 bits adds the rounding of that type.
#include "gradus/machine/cpu/gemm.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "worst_difference.hpp"

using namespace gradus;

namespace {

template <class T>
struct Numbers {  // a matrix with one vector of slack behind it
    HostBuffer<T> buffer;
    Index rows, columns;

    Numbers(Index rows_, Index columns_, unsigned seed) : buffer(rows_ * columns_), rows(rows_), columns(columns_) {
        unsigned state = seed * 2654435761u + 1;
        for (Index i = 0; i < rows * columns; ++i) {
            state = state * 1664525u + 1013904223u;
            buffer.data()[i] = static_cast<T>(static_cast<float>(state >> 8) / (1 << 23) - 1);
        }
    }
    double at(Index i, Index j) const { return static_cast<double>(buffer.data()[i * columns + j]); }
    Matrix<T> view() const { return {buffer.data(), {rows, columns}}; }
};

template <class A, class B, class C>
void compare(Index M, Index N, Index K, Transpose ta, Transpose tb, Write mode, double eps) {
    const Numbers<A> a(ta == Transpose::no ? M : K, ta == Transpose::no ? K : M, 1);
    const Numbers<B> b(tb == Transpose::no ? K : N, tb == Transpose::no ? N : K, 2);
    const Numbers<C> c(M, N, 3), before(M, N, 3);
    gemm(Cpu{}, Matrix<const A>(a.view()), ta, Matrix<const B>(b.view()), tb, c.view(), mode);
    double worst = 0, most = 1;
    for (Index i = 0; i < M; ++i)
        for (Index j = 0; j < N; ++j) {
            double sum = mode == Write::add ? before.at(i, j) : 0, magnitude = std::fabs(sum);
            for (Index k = 0; k < K; ++k) {
                const double product =
                    (ta == Transpose::no ? a.at(i, k) : a.at(k, i)) * (tb == Transpose::no ? b.at(k, j) : b.at(j, k));
                sum += product;
                magnitude += std::fabs(product);
            }
            most = std::max(most, magnitude);
            worst = worse(worst, std::fabs(c.at(i, j) - sum));
        }
    INFO("M " << M << ", N " << N << ", K " << K);
    CHECK(worst <= eps * most);
}

template <class A, class B, class C>
void compare_transpositions(Index M, Index N, Index K, double eps) {
    for (Transpose ta : {Transpose::no, Transpose::yes})
        for (Transpose tb : {Transpose::no, Transpose::yes})
            compare<A, B, C>(M, N, K, ta, tb, (M + N) % 2 == 0 ? Write::add : Write::overwrite, eps);
}

constexpr double float_tolerance = 4 * static_cast<double>(std::numeric_limits<float>::epsilon());

}  // namespace

TEST_CASE("gemm: float") {
    const Index sizes[][3] = {{1, 1, 1},    {3, 5, 7},     {14, 32, 16},   {15, 33, 17},  {2, 48, 600},  {113, 50, 30},
                              {64, 10, 64}, {10, 64, 128}, {256, 256, 64}, {130, 7, 513}, {40, 1030, 9}, {300, 144, 24},
                              {0, 3, 4},    {3, 0, 4},     {3, 4, 0},      {1, 200, 512}};
    for (const auto& [M, N, K] : sizes) compare_transpositions<float, float, float>(M, N, K, float_tolerance);
}

TEST_CASE("gemm: double") {
    const Index sizes[][3] = {{1, 1, 1}, {3, 5, 7}, {16, 16, 16}, {17, 33, 70}, {0, 3, 4}, {3, 4, 0}};
    for (const auto& [M, N, K] : sizes)
        compare_transpositions<double, double, double>(M, N, K, 4 * std::numeric_limits<double>::epsilon());
}

TEST_CASE("gemm: 16-bit activations with float parameters, and their gradients in float") {
    compare_transpositions<Half, float, Half>(9, 21, 40, float_tolerance + 0x1p-11);
    compare_transpositions<BFloat16, float, BFloat16>(9, 21, 40, float_tolerance + 0x1p-8);
    compare_transpositions<Half, Half, float>(9, 21, 40, float_tolerance);
    compare_transpositions<BFloat16, BFloat16, float>(9, 21, 40, float_tolerance);
}

TEST_CASE("gemm: the bias of a column starts its sums, once") {
    const Numbers<float> a(20, 700, 1), b(700, 40, 2), c(20, 40, 3), with_bias(20, 40, 3), bias(1, 40, 4);
    gemm(Cpu{}, Matrix<const float>(a.view()), Transpose::no, Matrix<const float>(b.view()), Transpose::no, c.view(),
         Write::overwrite);
    gemm(Cpu{}, Matrix<const float>(a.view()), Transpose::no, Matrix<const float>(b.view()), Transpose::no,
         with_bias.view(), Write::overwrite, bias.buffer.data());
    for (Index i = 0; i < 20; ++i)
        for (Index j = 0; j < 40; ++j)
            CHECK(with_bias.at(i, j) == doctest::Approx(c.at(i, j) + bias.at(0, j)).epsilon(1e-4));
}

TEST_CASE("gemm: the same bits with any number of threads") {
    for (Transpose transpose : {Transpose::no, Transpose::yes}) {
        const Numbers<float> a(300, 300, 1), b(300, 300, 2), first(300, 300, 3), other(300, 300, 3);
        set_threads(1);
        gemm(Cpu{}, Matrix<const float>(a.view()), transpose, Matrix<const float>(b.view()), transpose, first.view(),
             Write::overwrite);
        for (int threads : {2, 3, 7}) {
            set_threads(threads);
            gemm(Cpu{}, Matrix<const float>(a.view()), transpose, Matrix<const float>(b.view()), transpose,
                 other.view(), Write::overwrite);
            CHECK(std::memcmp(first.buffer.data(), other.buffer.data(), 300 * 300 * sizeof(float)) == 0);
        }
    }
}
