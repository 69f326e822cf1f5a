// Intrinsics against the C++ library and against their definitions.
#include "gradus/machine/emulator/intrinsics.hpp"

#include <cmath>

#include "emulator_checks.hpp"
#include "gradus/machine/emulator/half_intrinsics.hpp"

using namespace gradus;

namespace {

template <int>
__global__ void trap_kernel(int) {
    if (threadIdx.x == 3) __trap();
}

template <int>
__global__ void load_kernel(const float4* x, float* y) {
    const float4 v = __ldg(x);
    __stcs(y, v.x + v.y + v.z + __ldcs(&x->w));
}

}  // namespace

TEST_CASE("fast mathematics") {
    CHECK(__expf(1.0f) == doctest::Approx(2.718281828));
    CHECK(__logf(10.0f) == doctest::Approx(2.302585093));
    CHECK(__powf(2.0f, 10.0f) == doctest::Approx(1024));
    CHECK(__fdividef(1.0f, 4.0f) == 0.25f);
    CHECK(rsqrtf(16.0f) == 0.25f);
    CHECK(rsqrt(4.0) == 0.5);
    CHECK(__saturatef(-1.0f) == 0.0f);
    CHECK(__saturatef(0.5f) == 0.5f);
    CHECK(__saturatef(7.0f) == 1.0f);
    CHECK(__saturatef(std::nanf("")) == 0.0f);
    CHECK(__fmaf_rn(2.0f, 3.0f, 4.0f) == 10.0f);
    CHECK(__fadd_rn(1.0f, 2.0f) == 3.0f);
    CHECK(__fmul_rn(1.5f, 2.0f) == 3.0f);
    CHECK(__float2int_rn(2.5f) == 2);
    CHECK(__float2int_rd(-0.5f) == -1);
}

TEST_CASE("min and max, a NaN gives way to a number") {
    CHECK(min(3, -4) == -4);
    CHECK(max(3u, 4u) == 4u);
    CHECK(max(std::nanf(""), 1.0f) == 1.0f);
    CHECK(min(2.0, 1.0) == 1.0);
}

TEST_CASE("bits") {
    CHECK(__popc(0xf0f0u) == 8);
    CHECK(__popcll(~0ull) == 64);
    CHECK(__clz(0) == 32);
    CHECK(__clz(1) == 31);
    CHECK(__clzll(1) == 63);
    CHECK(__ffs(0) == 0);
    CHECK(__ffs(8) == 4);
    CHECK(__umulhi(0x80000000u, 4u) == 2u);
    CHECK(__float_as_int(1.0f) == 0x3f800000);
    CHECK(__int_as_float(0x40000000) == 2.0f);
    CHECK(__uint_as_float(__float_as_uint(-3.5f)) == -3.5f);
    CHECK(__longlong_as_double(__double_as_longlong(0.1)) == 0.1);
}

TEST_CASE("cached loads, and a trap that names its thread") {
    const DeviceArray<float4> x(std::vector<float4>{make_float4(1, 2, 3, 4)});
    const DeviceArray<float> y(1);
    launch(load_kernel<0>, 1, 1, 0, nullptr, x.data(), y.data());
    CHECK(y.host()[0] == 10.0f);
    const std::string message = message_of([] { launch(trap_kernel<0>, 1, 8, 0, nullptr, 0); });
    CHECK(contains(message, "trap_kernel<0>: __trap()"));
    CHECK(contains(message, "thread (3, 0, 0)"));
}

TEST_CASE("16-bit types") {
    CHECK(__half2float(__float2half(0.1f)) == static_cast<float>(Half(0.1f)));
    CHECK(__half_as_ushort(__float2half_rn(1.0f)) == 0x3c00);
    CHECK(__half2float(__ushort_as_half(0x4000)) == 2.0f);
    CHECK(__bfloat162float(__float2bfloat16(3.0f)) == 3.0f);
    CHECK(__bfloat16_as_ushort(__float2bfloat16_rn(1.0f)) == 0x3f80);
    const __half2 x = __floats2half2_rn(1.0f, 2.0f), y = __halves2half2(Half(3.0f), Half(4.0f));
    CHECK(__low2float(__hadd2(x, y)) == 4.0f);
    CHECK(__high2float(__hmul2(x, y)) == 8.0f);
    CHECK(__half22float2(__hfma2(x, y, x)).y == 10.0f);
    CHECK(static_cast<float>(__hadd(Half(1.0f), Half(2.0f))) == 3.0f);
    CHECK(static_cast<float>(__hsub(BFloat16(1.0f), BFloat16(2.0f))) == -1.0f);
    CHECK(static_cast<float>(__hfma(Half(2.0f), Half(3.0f), Half(1.0f))) == 7.0f);
    CHECK(__bfloat1622float2(__floats2bfloat162_rn(1.0f, 2.0f)).x == 1.0f);
    CHECK(static_cast<float>(__hdiv(Half(1.0f), Half(4.0f))) == 0.25f);
    CHECK(static_cast<float>(__hneg(BFloat16(2.0f))) == -2.0f);
    CHECK(__half_as_ushort(__hneg(Half(0.0f))) == 0x8000);
    CHECK(static_cast<float>(__habs(Half(-3.0f))) == 3.0f);
    const Half nan = Half::from_bits(0x7e00);
    CHECK(static_cast<float>(__hmax(Half(1.0f), Half(2.0f))) == 2.0f);
    CHECK(static_cast<float>(__hmin(BFloat16(1.0f), BFloat16(2.0f))) == 1.0f);
    CHECK(static_cast<float>(__hmax(nan, Half(2.0f))) == 2.0f);  // a NaN loses, as in fmaxf
    CHECK(__hlt(Half(1.0f), Half(2.0f)));
    CHECK(__hle(Half(2.0f), Half(2.0f)));
    CHECK(!__hgt(Half(1.0f), Half(2.0f)));
    CHECK(__hge(BFloat16(2.0f), BFloat16(2.0f)));
    CHECK(__heq(Half(1.0f), Half(1.0f)));
    CHECK(__hne(Half(1.0f), Half(2.0f)));
    CHECK((!__hlt(nan, nan) && !__hge(nan, nan) && !__heq(nan, nan) && !__hne(nan, nan)));  // no comparison holds
    CHECK(__hisnan(nan));
    CHECK(static_cast<float>(hexp(Half(1.0f))) == static_cast<float>(Half(std::exp(1.0f))));
    CHECK(static_cast<float>(hlog(Half(2.0f))) == static_cast<float>(Half(std::log(2.0f))));
    CHECK(static_cast<float>(hsqrt(BFloat16(9.0f))) == 3.0f);
    CHECK(static_cast<float>(hrsqrt(Half(16.0f))) == 0.25f);
    CHECK(static_cast<float>(hrcp(Half(8.0f))) == 0.125f);
    CHECK(__high2float(__half2half2(Half(5.0f))) == 5.0f);
    CHECK(static_cast<float>(__low2half(x)) == 1.0f);
    CHECK(static_cast<float>(__high2half(x)) == 2.0f);
    CHECK(__half2float(__hadd(Half(65504.0f), Half(65504.0f))) == INFINITY);  // rounded after every operation
    CHECK(__half2int_rn(Half(2.75f)) == 3);
    CHECK(__half2int_rz(Half(2.75f)) == 2);
    CHECK(static_cast<float>(__int2half_rn(2049)) == 2048.0f);
    CHECK(sizeof(__half2) == 4);
    CHECK(alignof(__half2) == 4);
}

TEST_CASE("pairs of 16-bit values, both types") {
    const __half2 x = __floats2half2_rn(1.0f, -2.0f), y = __float2half2_rn(4.0f);
    CHECK(__half22float2(__hsub2(x, y)).y == -6.0f);
    CHECK(__half22float2(__h2div(x, y)).y == -0.5f);
    CHECK(__half22float2(__hneg2(x)).y == 2.0f);
    CHECK(__half22float2(__habs2(x)).y == 2.0f);
    CHECK(__half22float2(__hmax2(x, y)).x == 4.0f);
    CHECK(__half22float2(__hmin2(x, y)).y == -2.0f);
    CHECK(__half22float2(__low2half2(x)).y == 1.0f);
    CHECK(__half22float2(__high2half2(x)).x == -2.0f);
    CHECK(__half22float2(__lows2half2(x, y)).y == 4.0f);
    CHECK(__half22float2(__highs2half2(x, y)).x == -2.0f);
    CHECK(__half22float2(__lowhigh2highlow(x)).x == -2.0f);
    const __nv_bfloat162 u = __floats2bfloat162_rn(3.0f, 5.0f), v = __float2bfloat162_rn(2.0f);
    CHECK(__bfloat1622float2(__hadd2(u, v)).y == 7.0f);
    CHECK(__bfloat1622float2(__hmul2(u, v)).x == 6.0f);
    CHECK(__bfloat1622float2(__hfma2(u, v, u)).y == 15.0f);
    CHECK(__bfloat1622float2(__float22bfloat162_rn(make_float2(1, 2))).y == 2.0f);
    CHECK(__bfloat162float(__low2bfloat16(__halves2bfloat162(__nv_bfloat16(1.0f), __nv_bfloat16(2.0f)))) == 1.0f);
    CHECK(__bfloat162float(__high2bfloat16(__bfloat162bfloat162(__nv_bfloat16(9.0f)))) == 9.0f);
}
