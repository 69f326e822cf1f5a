// machine/cuda/half_device.hpp   Half and BFloat16 inside kernels: one instruction to float and back.
// Problem  core/half.hpp converts with integer arithmetic, a dozen instructions; a GPU has one for it, but only for the
//          toolkit's own types __half and __nv_bfloat16.
// Answer   The two kinds have the same bits, so a pointer to one may be read as a pointer to the other (CudaType), and
//          to_float and from_float go through the toolkit's functions. Both round to nearest, ties to even, so results
//          equal those of core/half.hpp; only NaN may have other bits.
#pragma once

#include "gradus/core/element.hpp"
#include "gradus/machine/cuda/launch.hpp"

namespace gradus::inline GRADUS_ABI {

// The toolkit's type with the same bits.
template <class T>
struct CudaTypeOf {
    using type = T;
};
template <>
struct CudaTypeOf<Half> {
    using type = __half;
};
template <>
struct CudaTypeOf<BFloat16> {
    using type = __nv_bfloat16;
};
template <class T>
using CudaType = typename CudaTypeOf<T>::type;

template <class T>
__device__ __forceinline__ CudaType<T>* as_cuda(T* pointer) {
    return reinterpret_cast<CudaType<T>*>(pointer);
}
template <class T>
__device__ __forceinline__ const CudaType<T>* as_cuda(const T* pointer) {
    return reinterpret_cast<const CudaType<T>*>(pointer);
}

// An element as what sums are computed in: float, and double for double.
__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ double to_float(double x) { return x; }
__device__ __forceinline__ float to_float(Half x) { return __half2float(__ushort_as_half(x.bits)); }
__device__ __forceinline__ float to_float(BFloat16 x) { return __bfloat162float(__ushort_as_bfloat16(x.bits)); }

template <class T>
__device__ __forceinline__ T from_float(Sum<T> x) {
    return x;
}
template <>
__device__ __forceinline__ Half from_float<Half>(float x) {
    return Half::from_bits(__half_as_ushort(__float2half_rn(x)));
}
template <>
__device__ __forceinline__ BFloat16 from_float<BFloat16>(float x) {
    return BFloat16::from_bits(__bfloat16_as_ushort(__float2bfloat16_rn(x)));
}

}  // namespace gradus::inline GRADUS_ABI
