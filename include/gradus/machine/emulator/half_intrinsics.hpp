// machine/emulator/half_intrinsics.hpp   CUDA's 16-bit types and functions, on Gradus' own Half and BFloat16.
// In the toolkit __half and gradus::Half are two types with the same bits; here they are one type. Code that goes from
// one to the other with reinterpret_cast works in both worlds.
// One difference is left: a * b of two halves is a float here and rounded when it is stored, and a __half in the
// toolkit. With these functions, or with conversions to float, a kernel says what it means and is the same in both.
// Arithmetic on 16-bit values rounds after every operation. __hfma computes in double and rounds from there; a card
// rounds the exact result, which may rarely differ in the last bit.
#pragma once

#include "gradus/core/half.hpp"
#include "gradus/machine/emulator/vector_types.hpp"

namespace gradus::inline GRADUS_ABI::cuda_names {

using __half = gradus::Half;
using __nv_bfloat16 = gradus::BFloat16;
using half = __half;
using nv_bfloat16 = __nv_bfloat16;

using __half2 = CudaVector2<__half>;
using __nv_bfloat162 = CudaVector2<__nv_bfloat16>;
using half2 = __half2;
using nv_bfloat162 = __nv_bfloat162;

inline float __half2float(__half x) { return x; }
inline __half __float2half(float x) { return __half(x); }
inline __half __float2half_rn(float x) { return __half(x); }
inline __half __ushort_as_half(unsigned short bits) { return __half::from_bits(bits); }
inline unsigned short __half_as_ushort(__half x) { return x.bits; }
inline __half2 __floats2half2_rn(float x, float y) { return {__half(x), __half(y)}; }
inline __half2 __float22half2_rn(float2 x) { return {__half(x.x), __half(x.y)}; }
inline __half2 __halves2half2(__half x, __half y) { return {x, y}; }
inline float2 __half22float2(__half2 x) { return {x.x, x.y}; }
inline float __low2float(__half2 x) { return x.x; }
inline float __high2float(__half2 x) { return x.y; }

inline __half2 __half2half2(__half x) { return {x, x}; }
inline __half __low2half(__half2 x) { return x.x; }
inline __half __high2half(__half2 x) { return x.y; }

inline float __bfloat162float(__nv_bfloat16 x) { return x; }
inline __nv_bfloat16 __float2bfloat16(float x) { return __nv_bfloat16(x); }
inline __nv_bfloat16 __float2bfloat16_rn(float x) { return __nv_bfloat16(x); }
inline __nv_bfloat16 __ushort_as_bfloat16(unsigned short bits) { return __nv_bfloat16::from_bits(bits); }
inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 x) { return x.bits; }
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) { return {__nv_bfloat16(x), __nv_bfloat16(y)}; }
inline float2 __bfloat1622float2(__nv_bfloat162 x) { return {x.x, x.y}; }
inline float __low2float(__nv_bfloat162 x) { return x.x; }
inline float __high2float(__nv_bfloat162 x) { return x.y; }

template <class T>
concept CudaHalf = std::same_as<T, __half> || std::same_as<T, __nv_bfloat16>;
template <CudaHalf T>
T __hadd(T x, T y) {
    return T(float(x) + float(y));
}
template <CudaHalf T>
T __hsub(T x, T y) {
    return T(float(x) - float(y));
}
template <CudaHalf T>
T __hmul(T x, T y) {
    return T(float(x) * float(y));
}
template <CudaHalf T>
T __hfma(T x, T y, T z) {
    return T(double(float(x)) * double(float(y)) + double(float(z)));
}
template <CudaHalf T>
T __hdiv(T x, T y) {
    return T(float(x) / float(y));
}
template <CudaHalf T>
T __hneg(T x) {
    return T::from_bits(static_cast<unsigned short>(x.bits ^ 0x8000u));
}
template <CudaHalf T>
T __habs(T x) {
    return T::from_bits(static_cast<unsigned short>(x.bits & 0x7fffu));
}
template <CudaHalf T>
T __hmax(T x, T y) {  // of a number and NaN, the number
    return T(std::fmax(float(x), float(y)));
}
template <CudaHalf T>
T __hmin(T x, T y) {
    return T(std::fmin(float(x), float(y)));
}

// Comparisons: none holds if one side is NaN, not even __hne.
template <CudaHalf T>
bool __heq(T x, T y) {
    return float(x) == float(y);
}
template <CudaHalf T>
bool __hne(T x, T y) {
    return float(x) < float(y) || float(x) > float(y);
}
template <CudaHalf T>
bool __hlt(T x, T y) {
    return float(x) < float(y);
}
template <CudaHalf T>
bool __hle(T x, T y) {
    return float(x) <= float(y);
}
template <CudaHalf T>
bool __hgt(T x, T y) {
    return float(x) > float(y);
}
template <CudaHalf T>
bool __hge(T x, T y) {
    return float(x) >= float(y);
}
template <CudaHalf T>
bool __hisnan(T x) {
    return float(x) != float(x);
}

// Computed in float and rounded once; a card may differ in the last bit.
template <CudaHalf T>
T hexp(T x) {
    return T(std::exp(float(x)));
}
template <CudaHalf T>
T hlog(T x) {
    return T(std::log(float(x)));
}
template <CudaHalf T>
T hsqrt(T x) {
    return T(std::sqrt(float(x)));
}
template <CudaHalf T>
T hrsqrt(T x) {
    return T(1.0f / std::sqrt(float(x)));
}
template <CudaHalf T>
T hrcp(T x) {
    return T(1.0f / float(x));
}

// Between integers and 16-bit values: _rn rounds to the nearest, _rz towards zero.
inline __half __int2half_rn(int x) { return __half(static_cast<double>(x)); }
inline int __half2int_rn(__half x) { return static_cast<int>(std::nearbyint(float(x))); }
inline int __half2int_rz(__half x) { return static_cast<int>(float(x)); }

// The same for pairs.
inline __half2 __float2half2_rn(float x) { return {__half(x), __half(x)}; }
inline __nv_bfloat162 __float2bfloat162_rn(float x) { return {__nv_bfloat16(x), __nv_bfloat16(x)}; }
inline __nv_bfloat162 __float22bfloat162_rn(float2 x) { return {__nv_bfloat16(x.x), __nv_bfloat16(x.y)}; }
inline __nv_bfloat162 __halves2bfloat162(__nv_bfloat16 x, __nv_bfloat16 y) { return {x, y}; }
inline __nv_bfloat162 __bfloat162bfloat162(__nv_bfloat16 x) { return {x, x}; }
inline __nv_bfloat16 __low2bfloat16(__nv_bfloat162 x) { return x.x; }
inline __nv_bfloat16 __high2bfloat16(__nv_bfloat162 x) { return x.y; }
inline __half2 __low2half2(__half2 x) { return {x.x, x.x}; }
inline __half2 __high2half2(__half2 x) { return {x.y, x.y}; }
inline __half2 __lows2half2(__half2 x, __half2 y) { return {x.x, y.x}; }
inline __half2 __highs2half2(__half2 x, __half2 y) { return {x.y, y.y}; }
inline __half2 __lowhigh2highlow(__half2 x) { return {x.y, x.x}; }

template <CudaHalf T>
CudaVector2<T> __hadd2(CudaVector2<T> x, CudaVector2<T> y) {
    return {__hadd(x.x, y.x), __hadd(x.y, y.y)};
}
template <CudaHalf T>
CudaVector2<T> __hsub2(CudaVector2<T> x, CudaVector2<T> y) {
    return {__hsub(x.x, y.x), __hsub(x.y, y.y)};
}
template <CudaHalf T>
CudaVector2<T> __hmul2(CudaVector2<T> x, CudaVector2<T> y) {
    return {__hmul(x.x, y.x), __hmul(x.y, y.y)};
}
template <CudaHalf T>
CudaVector2<T> __h2div(CudaVector2<T> x, CudaVector2<T> y) {
    return {__hdiv(x.x, y.x), __hdiv(x.y, y.y)};
}
template <CudaHalf T>
CudaVector2<T> __hfma2(CudaVector2<T> x, CudaVector2<T> y, CudaVector2<T> z) {
    return {__hfma(x.x, y.x, z.x), __hfma(x.y, y.y, z.y)};
}
template <CudaHalf T>
CudaVector2<T> __hneg2(CudaVector2<T> x) {
    return {__hneg(x.x), __hneg(x.y)};
}
template <CudaHalf T>
CudaVector2<T> __habs2(CudaVector2<T> x) {
    return {__habs(x.x), __habs(x.y)};
}
template <CudaHalf T>
CudaVector2<T> __hmax2(CudaVector2<T> x, CudaVector2<T> y) {
    return {__hmax(x.x, y.x), __hmax(x.y, y.y)};
}
template <CudaHalf T>
CudaVector2<T> __hmin2(CudaVector2<T> x, CudaVector2<T> y) {
    return {__hmin(x.x, y.x), __hmin(x.y, y.y)};
}

}  // namespace gradus::inline GRADUS_ABI::cuda_names
