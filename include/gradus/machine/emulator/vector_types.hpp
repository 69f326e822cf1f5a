// machine/emulator/vector_types.hpp   dim3, float4 and their relatives.
// Problem  A GPU loads 2, 4, 8 or 16 bytes a thread with one instruction, if the address is a multiple of that size.
//          CUDA has a struct for each: a float4 is four floats, aligned to 16 bytes.
// Here the same structs, with the same size and alignment: sizeof(float3) is 12, float4 is aligned to 16, double4 too.
// A misaligned float4 is undefined behaviour in C++ as in CUDA: -fsanitize=alignment finds it, and so does the race
// checker (race_checker.hpp).
// A compiler for the CPU may split the copy of a float4 into four. So that the race checker sees one access of 16
// bytes, as a card makes it, copies in instrumented code go through a function that tells it so (GRADUS_OBSERVED_COPY).
#pragma once

#include "gradus/machine/emulator/keywords.hpp"

#if defined(__SANITIZE_THREAD__)
extern "C" void gradus_observe_copy(const void* target, const void* source, std::size_t bytes, const void* caller);
#define GRADUS_OBSERVED_COPY(Type)                                                            \
    Type() = default;                                                                         \
    GRADUS_EMULATOR_QUIET __attribute__((noinline)) Type(const Type& other) {                 \
        gradus_observe_copy(this, &other, sizeof(Type), __builtin_return_address(0));         \
        __builtin_memcpy(static_cast<void*>(this), &other, sizeof(Type));                     \
    }                                                                                         \
    GRADUS_EMULATOR_QUIET __attribute__((noinline)) Type& operator=(const Type& other) {      \
        gradus_observe_copy(this, &other, sizeof(Type), __builtin_return_address(0));         \
        if (this != &other) __builtin_memcpy(static_cast<void*>(this), &other, sizeof(Type)); \
        return *this;                                                                         \
    }
#define GRADUS_OBSERVED_VECTOR2 \
    GRADUS_OBSERVED_COPY(CudaVector2) constexpr CudaVector2(T first, T second) : x(first), y(second) {}
#define GRADUS_OBSERVED_VECTOR4       \
    GRADUS_OBSERVED_COPY(CudaVector4) \
    constexpr CudaVector4(T first, T second, T third, T fourth) : x(first), y(second), z(third), w(fourth) {}
#else
#define GRADUS_OBSERVED_COPY(Type)
#define GRADUS_OBSERVED_VECTOR2
#define GRADUS_OBSERVED_VECTOR4
#endif

namespace gradus::inline GRADUS_ABI::cuda_names {

template <class T>
struct alignas(2 * sizeof(T)) CudaVector2 {
    T x, y;
    GRADUS_OBSERVED_VECTOR2
};
template <class T>
struct CudaVector3 {
    T x, y, z;
};
template <class T>
struct alignas(sizeof(T) < 4 ? 4 * sizeof(T) : 16) CudaVector4 {
    T x, y, z, w;
    GRADUS_OBSERVED_VECTOR4
};

using char2 = CudaVector2<signed char>;
using char4 = CudaVector4<signed char>;
using uchar2 = CudaVector2<unsigned char>;
using uchar4 = CudaVector4<unsigned char>;
using short2 = CudaVector2<short>;
using short4 = CudaVector4<short>;
using ushort2 = CudaVector2<unsigned short>;
using ushort4 = CudaVector4<unsigned short>;
using int2 = CudaVector2<int>;
using int3 = CudaVector3<int>;
using int4 = CudaVector4<int>;
using uint2 = CudaVector2<unsigned>;
using uint3 = CudaVector3<unsigned>;
using uint4 = CudaVector4<unsigned>;
using longlong2 = CudaVector2<long long>;
using ulonglong2 = CudaVector2<unsigned long long>;
using float2 = CudaVector2<float>;
using float3 = CudaVector3<float>;
using float4 = CudaVector4<float>;
using double2 = CudaVector2<double>;
using double3 = CudaVector3<double>;
using double4 = CudaVector4<double>;

constexpr uchar4 make_uchar4(unsigned char x, unsigned char y, unsigned char z, unsigned char w) {
    return {x, y, z, w};
}
constexpr int2 make_int2(int x, int y) { return {x, y}; }
constexpr int3 make_int3(int x, int y, int z) { return {x, y, z}; }
constexpr int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
constexpr uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
constexpr uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }
constexpr uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
constexpr float2 make_float2(float x, float y) { return {x, y}; }
constexpr float3 make_float3(float x, float y, float z) { return {x, y, z}; }
constexpr float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
constexpr double2 make_double2(double x, double y) { return {x, y}; }
constexpr double3 make_double3(double x, double y, double z) { return {x, y, z}; }
constexpr double4 make_double4(double x, double y, double z, double w) { return {x, y, z, w}; }

// The extent of a grid or a block: what is not given is 1.
struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_size = 1, unsigned y_size = 1, unsigned z_size = 1) : x(x_size), y(y_size), z(z_size) {}
    constexpr dim3(uint3 size) : x(size.x), y(size.y), z(size.z) {}
    constexpr operator uint3() const { return {x, y, z}; }
};

}  // namespace gradus::inline GRADUS_ABI::cuda_names

// Kernels use CUDA's names without a namespace. They live in one all the same, so that translation units that were
// compiled for different processors can link into one program (core/abi.hpp).
using namespace gradus::cuda_names;
