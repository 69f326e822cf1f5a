// elementwise/math.hpp   Functions of one number, or of every number in a register.
// A formula written with Math:: is a template: for S = float or double it calls the standard library, and for S = Vec
// it computes a register of floats at once. So the table of derivatives is written once and is fast all the same.
// Accuracy on a Vec, in units of the last place, where the result is a normal number: exp, log 1.2; tanh 2; log1p 2.5;
// erfc 6 + 2x^2, because e^(-x^2) turns the rounding of x^2 into a relative error.
#pragma once

#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>

#include "gradus/machine/cpu/vector.hpp"

namespace gradus::inline GRADUS_ABI {

struct Math {
    template <class S>
    GRADUS_HOST_DEVICE static S constant(double value) {
        if constexpr (std::is_arithmetic_v<S>)  // nvcc does not let a function of the card name a Vec
            return static_cast<S>(value);
        else
            return broadcast(static_cast<float>(value));
    }
    template <class S>
    GRADUS_HOST_DEVICE static S select(bool condition, S yes, S no) {
        return condition ? yes : no;
    }
    template <class S>
    GRADUS_HOST_DEVICE static S exp(S x) {
        return std::exp(x);
    }
    template <class S>
    GRADUS_HOST_DEVICE static S log(S x) {
        return std::log(x);
    }
    template <class S>
    GRADUS_HOST_DEVICE static S log1p(S x) {  // log(1 + x) without cancellation
        return std::log1p(x);
    }
    template <class S>
    GRADUS_HOST_DEVICE static S sqrt(S x) {
        return std::sqrt(x);
    }
    template <class S>
    GRADUS_HOST_DEVICE static S tanh(S x) {
        return std::tanh(x);
    }
    template <class S>
    GRADUS_HOST_DEVICE static S erfc(S x) {  // 1 - erf(x) without cancellation
        return std::erfc(x);
    }

    static GRADUS_INLINE Vec select(IntVec condition, Vec yes, Vec no) { return condition ? yes : no; }

    // e^x = 2^k e^r with k = round(x / log 2), so |r| <= log(2)/2, where the series to r^7/7! is exact to 2^-26.
    static GRADUS_INLINE Vec exp(Vec x) {
        const Vec low = broadcast(-104.0f), high = broadcast(89.0f);  // 0 and infinity lie outside
        const Vec inside = select(x < low, low, select(x > high, high, x));
        const Vec shift = broadcast(0x1.8p23f);  // adding it leaves no bits for a fraction
        const Vec k = (inside * 1.442695041f + shift) - shift;
        const Vec r = (inside - k * 0.693359375f) + k * 2.12194440e-4f;  // log 2 in two parts, the first one short
        Vec series = broadcast(1.0f / 5040);
        series = series * r + 1.0f / 720;
        series = series * r + 1.0f / 120;
        series = series * r + 1.0f / 24;
        series = series * r + 1.0f / 6;
        series = series * r + 0.5f;
        series = series * r * r + r + 1.0f;
        // 2^k in two factors: for the largest and the smallest results k is beyond the exponents of a float.
        const IntVec exponent = __builtin_convertvector(select(x == x, k, Vec{}), IntVec);
        const IntVec half = exponent >> 1;
        const Vec first = std::bit_cast<Vec>((half + 127) << 23);
        const Vec second = std::bit_cast<Vec>((exponent - half + 127) << 23);
        return series * first * second;
    }

    // x = 2^e m with m in [sqrt 1/2, sqrt 2): log x = e log 2 + log m, and log(1 + f) = f - f^2/2 + f^3 P(f).
    // P, and the series of tanh below, are those of Moshier's Cephes library (logf, tanhf).
    static GRADUS_INLINE Vec log(Vec x) {
        const IntVec is_small = x < 0x1p-126f;  // subnormal numbers are scaled up first
        const IntVec bits = std::bit_cast<IntVec>(select(is_small, x * 0x1p23f, x));
        const IntVec shifted = bits - 0x3f3504f3;  // the bits of sqrt 1/2
        const Vec f = std::bit_cast<Vec>((shifted & 0x7fffff) + 0x3f3504f3) - 1.0f;
        const Vec e = __builtin_convertvector(shifted >> 23, Vec) - select(is_small, broadcast(23.0f), Vec{});
        Vec series = broadcast(7.0376836292e-2f);
        series = series * f - 1.1514610310e-1f;
        series = series * f + 1.1676998740e-1f;
        series = series * f - 1.2420140846e-1f;
        series = series * f + 1.4249322787e-1f;
        series = series * f - 1.6668057665e-1f;
        series = series * f + 2.0000714765e-1f;
        series = series * f - 2.4999993993e-1f;
        series = series * f + 3.3333331174e-1f;
        const Vec small_part = f * f * f * series - e * 2.12194440e-4f - 0.5f * f * f;
        const Vec result = f + small_part + e * 0.693359375f;
        const Vec infinity = broadcast(std::numeric_limits<float>::infinity());
        const Vec at_the_ends = select(x == 0, -infinity, select(x > 0, x, infinity - infinity));  // infinity, NaN
        return select(x > 0, select(x < infinity, result, at_the_ends), at_the_ends);
    }
    // For x >= -1/2: with w = 1 + x rounded, log(w) x / (w - 1) makes up for the rounding (Kahan).
    static GRADUS_INLINE Vec log1p(Vec x) {
        const Vec w = 1 + x;
        return select(w == 1, x, log(w) * x / (w - 1));
    }
    static GRADUS_INLINE Vec sqrt(Vec x) { return gradus::sqrt(x); }
    // Near 0 by its series; elsewhere (1 - e)/(1 + e) with e = e^-2|x|.
    static GRADUS_INLINE Vec tanh(Vec x) {
        const Vec magnitude = select(x < 0, -x, x), z = x * x;
        Vec series = broadcast(-5.70498872745e-3f);
        series = series * z + 2.06390887954e-2f;
        series = series * z - 5.37397155531e-2f;
        series = series * z + 1.33314422036e-1f;
        series = series * z - 3.33332819422e-1f;
        const Vec e = exp(-2 * magnitude);
        const Vec far = (1 - e) / (1 + e);
        return select(magnitude < 0.625f, x + x * z * series, select(x < 0, -far, far));
    }
    // Press et al., Numerical Recipes, section 6.2: t e^(-x^2 + P(t)) with t = 1/(1 + |x|/2), relative error 1.2e-7.
    static GRADUS_INLINE Vec erfc(Vec x) {
        const Vec magnitude = select(x < 0, -x, x);
        const Vec t = 1 / (1 + 0.5f * magnitude);
        Vec series = broadcast(0.17087277f);
        series = series * t - 0.82215223f;
        series = series * t + 1.48851587f;
        series = series * t - 1.13520398f;
        series = series * t + 0.27886807f;
        series = series * t - 0.18628806f;
        series = series * t + 0.09678418f;
        series = series * t + 0.37409196f;
        series = series * t + 1.00002368f;
        series = series * t - 1.26551223f;
        const Vec right = t * exp(series - x * x);
        return select(x < 0, 2 - right, right);
    }
};

}  // namespace gradus::inline GRADUS_ABI
