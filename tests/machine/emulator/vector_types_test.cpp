// The vector types have CUDA's sizes and alignments, and the keywords compile.
#include "gradus/machine/emulator/vector_types.hpp"

#include <doctest/doctest.h>

#include "gradus/machine/emulator/keywords.hpp"

static_assert(sizeof(float2) == 8 && alignof(float2) == 8);
static_assert(sizeof(float3) == 12 && alignof(float3) == 4);
static_assert(sizeof(float4) == 16 && alignof(float4) == 16);
static_assert(sizeof(double2) == 16 && alignof(double2) == 16);
static_assert(sizeof(double4) == 32 && alignof(double4) == 16);
static_assert(sizeof(uchar4) == 4 && alignof(uchar4) == 4);
static_assert(sizeof(ushort2) == 4 && sizeof(short4) == 8 && alignof(short4) == 8);
static_assert(sizeof(uchar3) == 3 && alignof(uchar3) == 1 && sizeof(char1) == 1 && sizeof(short3) == 6);
static_assert(sizeof(longlong2) == 16 && alignof(ulonglong2) == 16 && sizeof(longlong4) == 32 && sizeof(long3) == 24);
static_assert(sizeof(int4) == 16 && alignof(int4) == 16 && sizeof(uint3) == 12);

namespace {

struct __align__(16) Aligned {
    float x;
};
__device__ __forceinline__ float twice(float x) { return 2 * x; }
__host__ __device__ float on_both(const float* __restrict__ x) { return twice(*x); }

}  // namespace

TEST_CASE("what is not given of a dim3 is 1") {
    const dim3 line(7), plane(3, 4), copy = plane;
    CHECK(line.x == 7);
    CHECK(line.y * line.z == 1);
    CHECK(copy.x * copy.y * copy.z == 12);
}

TEST_CASE("make functions and keywords") {
    const float4 v = make_float4(1, 2, 3, 4);
    CHECK(v.x + v.y + v.z + v.w == 10);
    CHECK(make_int3(1, 2, 3).z == 3);
    CHECK(make_uchar3(1, 2, 255).z == 255);
    CHECK(make_char4(1, 2, 3, -4).w == -4);
    CHECK(make_ulonglong2(1, ~0ull).y == ~0ull);
    CHECK(make_double1(2.5).x == 2.5);
    CHECK(alignof(Aligned) == 16);
    const float x = 4;
    CHECK(on_both(&x) == 8);
}
