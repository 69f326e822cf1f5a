// machine/cuda/run.hpp   A run: N neighbours in memory, and in registers as numbers of type Sum<T>.
//     Sum<T> v[N];
//     load_run(x + k, v);  ...  put_run(y + k, v, Write::add);
// Problem  Kernels that walk along rows or down channels want packs of 16 bytes, but rows of 7 elements are not made of
//          packs; and a thread with a pack of 8 halves also needs 8 parameters in float (gamma and beta of batch norm),
//          which are two packs. Sum<T> is what a sum of Ts is computed in: double for double, else float.
// Answer   N is a template argument of the kernel: vector_length<T> where a row is a multiple of it, else 1; or, with
//          with_run_length, any power of two between. Memory that is not aligned to the words of a run, a slice of a
//          tensor, is read one element at a time, or in the shorter words that with_run_length finds.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <type_traits>

#include "gradus/machine/cuda/grid_stride.hpp"
#include "gradus/machine/cuda/ptx.hpp"

namespace gradus::inline GRADUS_ABI {

// N of a kernel that walks a matrix with rows of this length.
template <class T>
constexpr int run_length(Index row) {
    return row % vector_length<T> == 0 ? vector_length<T> : 1;
}
// Calls work(std::integral_constant<int, N>{}) with the largest N up to a pack that divides the row and to whose words
// all arrays are aligned, so that every row begins at a word: for rows that are no packs. 10 halves are 5 words of 4
// bytes, 100 are 25 of 8.
template <class T, int N = vector_length<T>, class Work>
void with_run_length(Index row, std::initializer_list<const T*> arrays, const Work& work) {
    if constexpr (N > 1) {
        const auto is_between_words = [](const T* p) {
            return reinterpret_cast<std::uintptr_t>(p) % (N * sizeof(T)) != 0;
        };
        if (row % N != 0 || std::any_of(arrays.begin(), arrays.end(), is_between_words))
            return with_run_length<T, N / 2>(row, arrays, work);
    }
    work(std::integral_constant<int, N>{});
}

// The elements of a run's words.
template <class T, int N>
inline constexpr int run_word = N < vector_length<T> ? N : vector_length<T>;

// Of memory that is aligned to the words.
template <class T, int N>
__device__ __forceinline__ void load_words(const T* p, Sum<T> (&value)[N]) {
    constexpr int V = run_word<T, N>;
    static_assert(N % V == 0);
    for (int first = 0; first < N; first += V) {
        const Packed<T, V> word = *reinterpret_cast<const Packed<T, V>*>(p + first);
        for (int i = 0; i < V; ++i) value[first + i] = to_float(word[i]);
    }
}
template <class T, int N>
__device__ __forceinline__ void store_words(T* p, const Sum<T> (&value)[N]) {
    constexpr int V = run_word<T, N>;
    for (int first = 0; first < N; first += V) {
        Packed<T, V> word;
        for (int i = 0; i < V; ++i) word[i] = from_float<T>(value[first + i]);
        store_word(p + first, word);
    }
}
// put() of core/view.hpp: replaces what is at p, or adds to it.
template <class T, int N>
__device__ __forceinline__ void put_words(T* p, const Sum<T> (&value)[N], Write mode) {
    Sum<T> sum[N];
    for (int i = 0; i < N; ++i) sum[i] = value[i];
    if (mode == Write::add) {
        load_words(p, sum);
        for (int i = 0; i < N; ++i) sum[i] += value[i];
    }
    store_words(p, sum);
}

// The same for memory that may begin anywhere.
template <class T, int N>
__device__ __forceinline__ bool is_run_aligned(const T* p) {
    return reinterpret_cast<std::uintptr_t>(p) % sizeof(Packed<T, run_word<T, N>>) == 0;
}
template <class T, int N>
__device__ __forceinline__ void load_run(const T* p, Sum<T> (&value)[N]) {
    if (is_run_aligned<T, N>(p))
        load_words(p, value);
    else
        for (int i = 0; i < N; ++i) value[i] = to_float(p[i]);
}
template <class T, int N>
__device__ __forceinline__ void put_run(T* p, const Sum<T> (&value)[N], Write mode) {
    if (is_run_aligned<T, N>(p))
        put_words(p, value, mode);
    else
        for (int i = 0; i < N; ++i) p[i] = from_float<T>(mode == Write::add ? to_float(p[i]) + value[i] : value[i]);
}

}  // namespace gradus::inline GRADUS_ABI
