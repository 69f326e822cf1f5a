// machine/cpu/vector.hpp   Vec: as many floats as one register of this machine holds, in the compiler's own vector
//                          type.
//     Vec y = a * load(x) + b;   store(p, y);              + - * / and comparisons work lane by lane
// g++ and clang turn these into SSE, AVX, AVX-512 or NEON at -O2, without a library; the square root and incomplete
// vectors take builtins of the compilers, those that <immintrin.h> wraps: that header alone takes 0.4 s to compile.
// Vectors never cross a function that is not inlined: how they are passed would depend on the instruction set.
#pragma once

#include <bit>
#include <cmath>
#include <cstring>

#include "gradus/core/shape.hpp"

#if defined(__aarch64__)
#include <arm_neon.h>
#endif

// Loops over the registers of a block have constant bounds and must disappear.
#define GRADUS_UNROLL _Pragma("GCC unroll 32")
#if defined(__CUDACC__)
#pragma nv_diag_suppress 1675  // nvcc does not know that pragma, and hands it on to g++
#endif

namespace gradus::inline GRADUS_ABI {

#if defined(__AVX512F__)
inline constexpr int vec_floats = 16;
inline constexpr int vec_registers = 32;
#elif defined(__AVX__)
inline constexpr int vec_floats = 8;
inline constexpr int vec_registers = 16;
#elif defined(__aarch64__)
inline constexpr int vec_floats = 4;
inline constexpr int vec_registers = 32;
#else
inline constexpr int vec_floats = 4;
inline constexpr int vec_registers = 16;
#endif

typedef float Vec __attribute__((vector_size(vec_floats * sizeof(float))));
typedef int IntVec __attribute__((vector_size(vec_floats * sizeof(int))));  // what comparing two Vec gives
typedef float UnalignedVec __attribute__((vector_size(vec_floats * sizeof(float)), aligned(alignof(float)), may_alias));

GRADUS_INLINE Vec load(const float* p) { return *reinterpret_cast<const UnalignedVec*>(p); }
GRADUS_INLINE void store(float* p, Vec v) { *reinterpret_cast<UnalignedVec*>(p) = v; }
GRADUS_INLINE Vec broadcast(float value) { return value - Vec{}; }

// Correctly rounded, NaN of a negative number. A loop over std::sqrt, which sets errno, would become a call a lane.
GRADUS_INLINE Vec sqrt(Vec x) {
#if defined(__AVX512F__) && defined(__clang__)
    return __builtin_ia32_sqrtps512(x, 4);  // 4: round as is set, to the nearest
#elif defined(__AVX512F__)
    return __builtin_ia32_sqrtps512_mask(x, Vec{}, -1, 4);  // -1: all lanes
#elif defined(__AVX__)
    return __builtin_ia32_sqrtps256(x);
#elif defined(__SSE2__)
    return __builtin_ia32_sqrtps(x);
#elif defined(__aarch64__)
    return vsqrtq_f32(x);
#else
    for (int lane = 0; lane < vec_floats; ++lane) x[lane] = std::sqrt(x[lane]);
    return x;
#endif
}

// The first `count` lanes, 1 to vec_floats. Memory behind them is not touched: it may be another thread's.
GRADUS_INLINE void store_some(float* p, Vec v, Index count) {
    if (count == vec_floats) {
        store(p, v);
        return;
    }
#if defined(__AVX512F__)
    __builtin_ia32_storeups512_mask(p, v, static_cast<unsigned short>((1u << count) - 1));
#else
    alignas(sizeof(Vec)) float lanes[vec_floats];
    store(lanes, v);
    const float* from = lanes;
    for (Index part = vec_floats / 2; part > 0; part /= 2) {  // a constant size each: the compiler emits plain moves
        if (!(count & part)) continue;
        std::memcpy(p, from, static_cast<std::size_t>(part) * sizeof(float));
        p += part;
        from += part;
    }
#endif
}
// The same way in; the other lanes are 0.
GRADUS_INLINE Vec load_some(const float* p, Index count) {
    if (count == vec_floats) return load(p);
#if defined(__AVX512F__)
    return __builtin_ia32_loadups512_mask(p, Vec{}, static_cast<unsigned short>((1u << count) - 1));
#else
    alignas(sizeof(Vec)) float lanes[vec_floats] = {};
    float* to = lanes;
    for (Index part = vec_floats / 2; part > 0; part /= 2) {
        if (!(count & part)) continue;
        std::memcpy(to, p, static_cast<std::size_t>(part) * sizeof(float));
        p += part;
        to += part;
    }
    return load(lanes);
#endif
}

// One number from all lanes, in the order of a tree: first those that lie half a vector apart. op takes two floats, or
// two vectors of any number of lanes.
template <int count>
struct Lanes {
    typedef float Type __attribute__((vector_size(count * sizeof(float))));
};
template <int count, class Op>
GRADUS_INLINE float fold_lanes(typename Lanes<count>::Type v, const Op& op) {
    if constexpr (count == 4) {
        return op(op(v[0], v[2]), op(v[1], v[3]));
    } else {
        struct Halves {
            typename Lanes<count / 2>::Type low, high;
        };
        const Halves halves = std::bit_cast<Halves>(v);
        return fold_lanes<count / 2>(op(halves.low, halves.high), op);
    }
}
GRADUS_INLINE float add_lanes(Vec v) {
    return fold_lanes<vec_floats>(v, [](auto a, auto b) { return a + b; });
}
GRADUS_INLINE float max_lanes(Vec v) {
    return fold_lanes<vec_floats>(v, [](auto a, auto b) { return a > b ? a : b; });
}

constexpr Index round_up(Index n, Index unit) { return (n + unit - 1) / unit * unit; }
constexpr Index ceil_div(Index n, Index unit) { return (n + unit - 1) / unit; }

}  // namespace gradus::inline GRADUS_ABI
