// elementwise/math.hpp   Functions of one number, or of every number in a register.
// A formula written with Math:: is a template: for S = float or double it calls the standard library, and for S = Vec it
// computes a register of floats at once. So the table of derivatives is written once and is fast all the same.
// Accuracy of exp on a Vec: at most 1 unit in the last place off, over all floats whose result is a normal number.
#pragma once

#include <bit>
#include <cmath>
#include <type_traits>

#include "gradus/machine/cpu/vector.hpp"

namespace gradus::inline GRADUS_ABI {

typedef int IntVec __attribute__((vector_size(vec_floats * sizeof(int))));  // what comparing two Vec gives

struct Math {
    template <class S>
    GRADUS_HOST_DEVICE static S constant(double value) {
        if constexpr (std::is_same_v<S, Vec>)
            return broadcast(static_cast<float>(value));
        else
            return static_cast<S>(value);
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

    // Lane by lane.
    static GRADUS_INLINE Vec log(Vec x) {
        for (int lane = 0; lane < vec_floats; ++lane) x[lane] = std::log(x[lane]);
        return x;
    }
    static GRADUS_INLINE Vec log1p(Vec x) {
        for (int lane = 0; lane < vec_floats; ++lane) x[lane] = std::log1p(x[lane]);
        return x;
    }
    static GRADUS_INLINE Vec sqrt(Vec x) {
        for (int lane = 0; lane < vec_floats; ++lane) x[lane] = std::sqrt(x[lane]);
        return x;
    }
    static GRADUS_INLINE Vec tanh(Vec x) {
        for (int lane = 0; lane < vec_floats; ++lane) x[lane] = std::tanh(x[lane]);
        return x;
    }
    static GRADUS_INLINE Vec erfc(Vec x) {
        for (int lane = 0; lane < vec_floats; ++lane) x[lane] = std::erfc(x[lane]);
        return x;
    }
};

}  // namespace gradus::inline GRADUS_ABI
