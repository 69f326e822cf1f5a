// core/print.hpp   Tensors as text, the way numpy prints them.
//     std::cout << x;        [[ 1.    2.5 ]
//                             [-3.125 0.  ]]
// Every number has the fewest digits that tell it from its neighbours in its own type, at most 8 behind the point; the
// points of a tensor stand below each other. Numbers of very different size are written with exponents. Of more than
// 1,000 elements only the first and the last three along each dimension are shown. Lines are cut at 75 columns.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ostream>
#include <string>
#include <type_traits>
#include <vector>

#include "gradus/core/tensor.hpp"

namespace gradus::inline GRADUS_ABI {

// The shortest decimal number d.ddd * 10^exponent that rounds to a value.
struct ShortestDecimal {
    int digits;  // behind the point
    int exponent;

    template <class T>
    static ShortestDecimal of(T value) {
        char buffer[40];
        ShortestDecimal decimal{0, 0};
        for (int digits = 0; digits <= 17; ++digits) {
            std::snprintf(buffer, sizeof buffer, "%.*e", digits, static_cast<double>(value));
            decimal = {digits, std::atoi(std::strchr(buffer, 'e') + 1)};
            if (static_cast<double>(static_cast<T>(std::strtod(buffer, nullptr))) == static_cast<double>(value)) break;
        }
        return decimal;
    }
};

// Formats a tensor's numbers to one width. Two passes: add() all of them, then cell() each.
class NumberFormat {
public:
    static constexpr int most_digits = 8;

    template <FloatingElement T>
    void add(T value) {
        const double x = static_cast<double>(value);
        if (!std::isfinite(x)) {
            other_width_ = std::max(other_width_, static_cast<int>(std::isnan(x) || x > 0 ? 3 : 4));
            return;
        }
        if (x != 0) {
            largest_ = std::max(largest_, std::abs(x));
            smallest_ = std::min(smallest_, std::abs(x));
            is_extreme_ = is_extreme_ || std::abs(x) >= first_too_large<T>() || std::abs(x) < rounded_to<T>(1e-4);
        }
        const ShortestDecimal shortest = ShortestDecimal::of(value);
        const std::string fixed = fixed_text(value);
        const int point = static_cast<int>(fixed.find('.'));
        before_ = std::max(before_, point);
        behind_ = std::max(behind_, static_cast<int>(fixed.size()) - point - 1);
        before_exponent_ = std::max(before_exponent_, std::signbit(x) ? 2 : 1);
        exponent_digits_ = std::max(exponent_digits_, std::min(shortest.digits, most_digits));
        exponent_size_ = std::max(exponent_size_, std::abs(shortest.exponent) >= 100 ? 3 : 2);
    }
    template <std::integral T>
    void add(T value) {
        width_ = std::max(width_, std::to_string(value).size());
    }

    template <FloatingElement T>
    std::string cell(T value) const {
        const double x = static_cast<double>(value);
        const bool scientific = uses_exponents();
        const int left = scientific ? before_exponent_ : before_;
        const int right = scientific ? exponent_digits_ + exponent_size_ + 2 : behind_;
        const int pad_left = std::max(left, other_width_ - right - 1);
        if (!std::isfinite(x)) {
            const std::string name = std::isnan(x) ? "nan" : x < 0 ? "-inf" : "inf";
            return std::string(
                       static_cast<std::size_t>(std::max(0, pad_left + right + 1 - static_cast<int>(name.size()))),
                       ' ') +
                   name;
        }
        const std::string number = scientific ? scientific_text(value) : fixed_text(value);
        const int point = static_cast<int>(number.find('.'));
        const int missing = scientific ? 0 : right - (static_cast<int>(number.size()) - point - 1);
        return std::string(static_cast<std::size_t>(pad_left - point), ' ') + number +
               std::string(static_cast<std::size_t>(missing), ' ');
    }
    template <std::integral T>
    std::string cell(T value) const {
        const std::string number = std::to_string(value);
        return std::string(width_ - number.size(), ' ') + number;
    }

private:
    bool uses_exponents() const { return is_extreme_ || largest_ > 1000 * smallest_; }

    // Whole numbers from here on would show more digits than a T has.
    template <class T>
    static double first_too_large() {
        if constexpr (std::is_same_v<T, BFloat16>) return 1e2;
        if constexpr (std::is_same_v<T, Half>) return 1e3;
        return std::is_same_v<T, float> ? 1e6 : 1e8;
    }
    template <class T>
    static double rounded_to(double x) {
        return static_cast<double>(static_cast<T>(x));
    }

    // "1.25", "3.": always with a point, never with zeros at the end.
    template <class T>
    static std::string fixed_text(T value) {
        const ShortestDecimal shortest = ShortestDecimal::of(value);
        const int digits = std::clamp(shortest.digits - shortest.exponent, 0, most_digits);
        char buffer[400];
        std::snprintf(buffer, sizeof buffer, "%.*f", digits, static_cast<double>(value));
        std::string text = buffer;
        if (digits == 0) return text + ".";
        return text.substr(0, text.find_last_not_of('0') + 1);
    }
    // "1.250e-03", all with the same number of digits.
    template <class T>
    std::string scientific_text(T value) const {
        char buffer[40];
        std::snprintf(buffer, sizeof buffer, "%.*e", exponent_digits_, static_cast<double>(value));
        std::string digits = buffer;
        std::string exponent = digits.substr(digits.find('e') + 2);
        const char sign = digits[digits.find('e') + 1];
        digits.resize(digits.find('e'));
        if (digits.find('.') == std::string::npos) digits += '.';
        exponent.insert(0, static_cast<std::size_t>(exponent_size_) - exponent.size(), '0');
        return digits + 'e' + sign + exponent;
    }

    double largest_ = 0, smallest_ = HUGE_VAL;  // of the numbers that are not 0
    bool is_extreme_ = false;
    int other_width_ = 0;          // of "nan" and "-inf"
    int before_ = 0, behind_ = 0;  // characters on the two sides of the point
    int before_exponent_ = 0, exponent_digits_ = 0, exponent_size_ = 2;
    std::size_t width_ = 0;  // of integers
};

template <class T>
class TensorText {
public:
    TensorText(const Shape& shape, const std::vector<T>& values)
        : shape_(shape), values_(values), shortens_(shape.numel() > most_elements) {
        visit(0, 0);
    }
    std::string text() const {
        if (shape_.rank() == 0) return scalar_text();
        return shape_.numel() == 0 ? "[]" : block(0, 0, " ", line_width);
    }

private:
    static constexpr Index most_elements = 1000;
    static constexpr Index at_the_ends = 3;
    static constexpr std::size_t line_width = 75;

    bool shortens(int dimension) const { return shortens_ && shape_[dimension] > 2 * at_the_ends; }

    // Shows every element that will be printed to the format.
    void visit(int dimension, Index first) {
        if (dimension == shape_.rank()) {
            if (shape_.numel() > 0) format_.add(values_[static_cast<std::size_t>(first)]);
            return;
        }
        const Index n = shape_[dimension];
        for (Index i = 0; i < n; ++i) {
            if (shortens(dimension) && i == at_the_ends) i = n - at_the_ends;
            visit(dimension + 1, first * n + i);
        }
    }

    std::string scalar_text() const {
        std::string text = format_.cell(values_[0]);
        if (text.back() == '.') return text + "0";  // "3.0", and "1e+10" for "1.e+10"
        const std::size_t empty = text.find(".e");
        return empty == text.npos ? text : text.erase(empty, 1);
    }

    // The part of the tensor whose leading indices are `first` in mixed radix. Its lines after the first one begin with
    // `indent`.
    std::string block(int dimension, Index first, const std::string& indent, std::size_t width) const {
        const Index n = shape_[dimension];
        if (n == 0) return "[]";
        const bool is_row = dimension == shape_.rank() - 1;
        std::string done, line = indent;
        for (Index i = 0; i < n; ++i) {
            std::string part;
            if (shortens(dimension) && i == at_the_ends) {
                part = "...";
                i = n - at_the_ends - 1;
            } else if (is_row) {
                part = format_.cell(values_[static_cast<std::size_t>(first * n + i)]);
            } else {
                part = block(dimension + 1, first * n + i, indent + " ", width - 1);
            }
            if (!is_row) {
                done += indent + part;
                if (i + 1 < n) done += std::string(static_cast<std::size_t>(shape_.rank() - 1 - dimension), '\n');
                continue;
            }
            if (line.size() + part.size() > width - 1 && line.size() > indent.size()) {
                done += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
                line = indent;
            }
            line += part;
            if (i + 1 < n) line += ' ';
        }
        if (is_row) done += line;
        return "[" + done.substr(indent.size()) + "]";
    }

    const Shape& shape_;
    const std::vector<T>& values_;
    bool shortens_;
    NumberFormat format_;
};

template <Element T, Device D>
std::ostream& operator<<(std::ostream& out, const Tensor<T, D>& x) {
    if (!x.defined()) return out << "undefined";
    const std::vector<T> values = x.to_vector();
    return out << TensorText<T>(x.shape(), values).text();
}

inline std::ostream& operator<<(std::ostream& out, const Shape& shape) { return out << text(shape); }

}  // namespace gradus::inline GRADUS_ABI
