// machine/emulator/intrinsics.hpp   Small functions that CUDA has and C++ lacks: fast mathematics, bits, cached loads.
// The fast functions (__expf, __fdividef, ...) are a few units in the last place off on a card (Programming Guide,
// "Intrinsic Functions"); here they are as exact as the C++ library. A test must allow for the card's error.
// fmaf, fminf, expf, sqrtf and the others without underscores are in <cmath> already.
#pragma once

#include "gradus/machine/emulator/diagnosis.hpp"

namespace gradus::inline GRADUS_ABI::cuda_names {

inline float fast_expf(float x) { return std::exp(x); }
inline float fast_exp10f(float x) { return std::pow(10.0f, x); }
inline float fast_logf(float x) { return std::log(x); }
inline float fast_log2f(float x) { return std::log2(x); }
inline float fast_log10f(float x) { return std::log10(x); }
inline float fast_powf(float x, float y) { return std::pow(x, y); }
inline float fast_sinf(float x) { return std::sin(x); }
inline float fast_cosf(float x) { return std::cos(x); }
inline float reciprocal_root(float x) { return 1 / std::sqrt(x); }
inline double reciprocal_root(double x) { return 1 / std::sqrt(x); }
// The C library declares functions of these names for itself, so here they are macros.
#define __expf(x) ::gradus::cuda_names::fast_expf(x)
#define __exp10f(x) ::gradus::cuda_names::fast_exp10f(x)
#define __logf(x) ::gradus::cuda_names::fast_logf(x)
#define __log2f(x) ::gradus::cuda_names::fast_log2f(x)
#define __log10f(x) ::gradus::cuda_names::fast_log10f(x)
#define __powf(x, y) ::gradus::cuda_names::fast_powf(x, y)
#define __sinf(x) ::gradus::cuda_names::fast_sinf(x)
#define __cosf(x) ::gradus::cuda_names::fast_cosf(x)
#define rsqrtf(x) ::gradus::cuda_names::reciprocal_root(static_cast<float>(x))
#define rsqrt(x) ::gradus::cuda_names::reciprocal_root(static_cast<double>(x))

inline float __fdividef(float x, float y) { return x / y; }
inline float __frcp_rn(float x) { return 1 / x; }
inline float __fsqrt_rn(float x) { return std::sqrt(x); }
inline float __frsqrt_rn(float x) { return 1 / std::sqrt(x); }
inline float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1) : 0; }  // NaN becomes 0

// Rounded once, and never joined with a neighbour into a multiply-add.
inline float __fmaf_rn(float x, float y, float z) { return std::fma(x, y, z); }
inline float __fadd_rn(float x, float y) {
    volatile float sum = x + y;
    return sum;
}
inline float __fmul_rn(float x, float y) {
    volatile float product = x * y;
    return product;
}

// CUDA has min and max without a namespace.
constexpr int min(int x, int y) { return y < x ? y : x; }
constexpr int max(int x, int y) { return x < y ? y : x; }
constexpr unsigned min(unsigned x, unsigned y) { return y < x ? y : x; }
constexpr unsigned max(unsigned x, unsigned y) { return x < y ? y : x; }
constexpr long min(long x, long y) { return y < x ? y : x; }
constexpr long max(long x, long y) { return x < y ? y : x; }
constexpr long long min(long long x, long long y) { return y < x ? y : x; }
constexpr long long max(long long x, long long y) { return x < y ? y : x; }
inline float min(float x, float y) { return std::fmin(x, y); }
inline float max(float x, float y) { return std::fmax(x, y); }
inline double min(double x, double y) { return std::fmin(x, y); }
inline double max(double x, double y) { return std::fmax(x, y); }

inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline long long __double_as_longlong(double x) { return std::bit_cast<long long>(x); }
inline double __longlong_as_double(long long x) { return std::bit_cast<double>(x); }
inline int __float2int_rn(float x) { return static_cast<int>(std::nearbyint(x)); }
inline int __float2int_rd(float x) { return static_cast<int>(std::floor(x)); }

inline int __popc(unsigned x) { return std::popcount(x); }
inline int __popcll(unsigned long long x) { return std::popcount(x); }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
inline int __clzll(long long x) { return std::countl_zero(static_cast<unsigned long long>(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }  // the lowest set bit, counted from 1; 0 where there is none
inline unsigned __umulhi(unsigned x, unsigned y) {
    return static_cast<unsigned>(static_cast<unsigned long long>(x) * y >> 32);
}

// Loads through the read-only cache, loads and stores of what is used once. Here: loads and stores.
template <class T>
__forceinline__ T __ldg(const T* address) {
    return *address;
}
template <class T>
__forceinline__ T __ldcs(const T* address) {
    return *address;
}
template <class T>
__forceinline__ void __stcs(T* address, std::type_identity_t<T> value) {
    *address = value;
}

inline long long clock64() { return std::chrono::steady_clock::now().time_since_epoch().count(); }
[[noreturn]] inline void __trap() { emulator::fail_in_kernel("__trap()"); }

}  // namespace gradus::inline GRADUS_ABI::cuda_names
