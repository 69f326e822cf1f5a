// The expected texts are what numpy 2.4 prints for arrays of the same numbers and type.
#include "gradus/core/print.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <sstream>

using namespace gradus;

namespace {

template <class T>
std::string printed(const Shape& shape, const std::vector<double>& numbers) {
    std::vector<T> values;
    for (const double number : numbers) values.push_back(static_cast<T>(number));
    std::ostringstream out;
    out << Tensor<T>::from(shape, values);
    return out.str();
}
std::vector<double> count_to(int n) {
    std::vector<double> numbers;
    for (int i = 0; i < n; ++i) numbers.push_back(i);
    return numbers;
}

constexpr double infinity = std::numeric_limits<double>::infinity();

}  // namespace

TEST_CASE("points stand below each other, digits are as few as possible") {
    CHECK(printed<float>({2, 2}, {1, 2.5, -3.125, 0}) == "[[ 1.     2.5  ]\n [-3.125  0.   ]]");
    CHECK(printed<float>({3}, {0.1, 1.0 / 3, -0.7}) == "[ 0.1         0.33333334 -0.7       ]");
    CHECK(printed<double>({3}, {0.1, 1.0 / 3, -0.7}) == "[ 0.1         0.33333333 -0.7       ]");
    CHECK(printed<Half>({3}, {0.1, 20, -7.25}) == "[ 0.1  20.   -7.25]");
    CHECK(printed<float>({2, 2}, {0, 0, 0, 0}) == "[[0. 0.]\n [0. 0.]]");
}

TEST_CASE("numbers of very different size have exponents") {
    CHECK(printed<float>({2}, {1e10, 2.5}) == "[1.0e+10 2.5e+00]");
    CHECK(printed<float>({2}, {1e-5, -2.5}) == "[ 1.0e-05 -2.5e+00]");
    CHECK(printed<float>({2}, {123456.789, 1}) == "[1.2345679e+05 1.0000000e+00]");
    CHECK(printed<float>({2}, {16777216, 123456.7}) == "[1.6777216e+07 1.2345670e+05]");
    CHECK(printed<double>({3}, {1e-300, 1e300, -0.0}) == "[ 1.e-300  1.e+300 -0.e+000]");
    CHECK(printed<Half>({3}, {0.1, 2049, -7e-5}) == "[ 9.998e-02  2.048e+03 -6.998e-05]");
    CHECK(printed<float>({2}, {1e-4, 0.05}) == "[0.0001 0.05  ]");
}

TEST_CASE("NaN and infinities") {
    CHECK(printed<float>({3}, {infinity - infinity, 1.5, -infinity}) == "[ nan  1.5 -inf]");
    CHECK(printed<float>({2}, {infinity - infinity, infinity}) == "[nan inf]");
}

TEST_CASE("scalars, nothing, and no tensor at all") {
    CHECK(printed<float>({}, {3}) == "3.0");
    CHECK(printed<float>({}, {0.1}) == "0.1");
    CHECK(printed<float>({}, {1e10}) == "1e+10");
    CHECK(printed<std::int64_t>({}, {5}) == "5");
    CHECK(printed<float>({0}, {}) == "[]");
    CHECK(printed<float>({0, 3}, {}) == "[]");
    std::ostringstream out;
    out << Tensor<float>() << ' ' << Shape{2, 3};
    CHECK(out.str() == "undefined (2, 3)");
}

TEST_CASE("integers stand at the right") {
    CHECK(printed<std::int64_t>({3}, {-5, 1000, 7}) == "[  -5 1000    7]");
    CHECK(printed<std::uint8_t>({2, 2}, {0, 20, 100, 255}) == "[[  0  20]\n [100 255]]");
}

TEST_CASE("blocks of a tensor of rank 3 are a blank line apart") {
    CHECK(printed<float>({2, 2, 2}, count_to(8)) == "[[[0. 1.]\n  [2. 3.]]\n\n [[4. 5.]\n  [6. 7.]]]");
    CHECK(printed<float>({1, 1, 1}, {1.5}) == "[[[1.5]]]");
}

TEST_CASE("more than 1,000 elements are abbreviated") {
    CHECK(printed<float>({1001}, count_to(1001)) == "[   0.    1.    2. ...  998.  999. 1000.]");
    CHECK(printed<std::int64_t>({10, 200}, count_to(2000)) ==
          "[[   0    1    2 ...  197  198  199]\n"
          " [ 200  201  202 ...  397  398  399]\n"
          " [ 400  401  402 ...  597  598  599]\n"
          " ...\n"
          " [1400 1401 1402 ... 1597 1598 1599]\n"
          " [1600 1601 1602 ... 1797 1798 1799]\n"
          " [1800 1801 1802 ... 1997 1998 1999]]");
}

TEST_CASE("long rows are cut at 75 columns") {
    CHECK(printed<std::int64_t>({30}, count_to(30)) ==
          "[ 0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 19 20 21 22 23\n"
          " 24 25 26 27 28 29]");
}
