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
struct CudaVector1 {
    T x;
};
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

// char1 to char4 with make_char1 to make_char4, and so on.
#define GRADUS_VECTORS_OF(name, T)                                        \
    using name##1 = CudaVector1<T>;                                       \
    using name##2 = CudaVector2<T>;                                       \
    using name##3 = CudaVector3<T>;                                       \
    using name##4 = CudaVector4<T>;                                       \
    constexpr name##1 make_##name##1(T x) { return {x}; }                 \
    constexpr name##2 make_##name##2(T x, T y) { return {x, y}; }         \
    constexpr name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; } \
    constexpr name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
GRADUS_VECTORS_OF(char, signed char)
GRADUS_VECTORS_OF(uchar, unsigned char)
GRADUS_VECTORS_OF(short, short)
GRADUS_VECTORS_OF(ushort, unsigned short)
GRADUS_VECTORS_OF(int, int)
GRADUS_VECTORS_OF(uint, unsigned)
GRADUS_VECTORS_OF(long, long)
GRADUS_VECTORS_OF(ulong, unsigned long)
GRADUS_VECTORS_OF(longlong, long long)
GRADUS_VECTORS_OF(ulonglong, unsigned long long)
GRADUS_VECTORS_OF(float, float)
GRADUS_VECTORS_OF(double, double)

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
