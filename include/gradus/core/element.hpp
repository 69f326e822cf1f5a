// core/element.hpp   What a tensor may hold, and in what its sums are computed.
#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>

#include "gradus/core/half.hpp"

namespace gradus::inline GRADUS_ABI {

// Types that operations can differentiate. (One bool, not four alternatives: a compiler that lists all the alternatives
// of a concept makes a long message of a wrong type.)
template <class T>
inline constexpr bool is_float_double_half_or_bfloat16 =
    std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;
template <class T>
concept FloatingElement = is_float_double_half_or_bfloat16<T>;

// Types that a tensor can store: the floating ones, labels (int64), images and masks (uint8).
template <class T>
inline constexpr bool is_int64_or_uint8 = std::is_same_v<T, std::int64_t> || std::is_same_v<T, std::uint8_t>;
template <class T>
concept Element = FloatingElement<T> || is_int64_or_uint8<T>;

// Sums, statistics, losses and parameters are float where activations are float, Half or BFloat16, and double for
// double.
template <class T>
struct SumOf {
    using type = float;
};
template <>
struct SumOf<double> {
    using type = double;
};
template <class T>
using Sum = typename SumOf<T>::type;

template <class T>
constexpr const char* element_name() {
    if constexpr (std::same_as<T, float>) return "float";
    if constexpr (std::same_as<T, double>) return "double";
    if constexpr (std::same_as<T, Half>) return "Half";
    if constexpr (std::same_as<T, BFloat16>) return "BFloat16";
    if constexpr (std::same_as<T, std::int64_t>) return "int64";
    if constexpr (std::same_as<T, std::uint8_t>) return "uint8";
}

}  // namespace gradus::inline GRADUS_ABI
