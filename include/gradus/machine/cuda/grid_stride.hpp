// machine/cuda/grid_stride.hpp   A loop over n elements, shared by all threads of a grid, 16 bytes at a time.
//     for (Index i = first_pack<T>(); i < n; i += pack_stride<T>()) {
//         const Pack<T> a = load_pack(x + i, n - i);
//         ... a[0] to a[N - 1] ...
//         store_pack(y + i, b, n - i);
//     }
// Problem  A kernel that does little to each element is as fast as the memory. Neighbouring threads must read
//          neighbouring words, and few wide loads are better than many narrow ones.
// Answer   Thread t takes pack t, then the pack that lies as many packs further on as the grid has threads (the
//          grid-stride loop: M. Harris, NVIDIA developer blog, 2013). So any grid is right for any n, and the grid can
//          be as large as the card and no larger. Behind the last whole pack, and where memory is not aligned to 16
//          bytes (a slice of a tensor), elements are read one by one; those that are not there count as 0.
#pragma once

#include <algorithm>
#include <cstdint>

#include "gradus/core/view.hpp"
#include "gradus/machine/cuda/cuda_check.hpp"
#include "gradus/machine/cuda/half_device.hpp"
#include "gradus/machine/cuda/packed.hpp"

namespace gradus::inline GRADUS_ABI {

inline constexpr unsigned stride_threads = 256;  // of a block

template <class T>
using Pack = Packed<T, vector_length<T>>;

// How many multiprocessors the card has.
inline int multiprocessors() {
    static const int count = [] {
        int device = 0, value = 0;
        check_cuda(cudaGetDevice(&device), "cudaGetDevice");
        check_cuda(cudaDeviceGetAttribute(&value, cudaDevAttrMultiProcessorCount, device), "cudaDeviceGetAttribute");
        return value;
    }();
    return count;
}

// One thread for each of `items`, but no more blocks than the card holds at once: a multiprocessor has room for 2048
// threads (1024 or 1536 on some), eight blocks.
inline unsigned stride_blocks(Index items) {
    const Index most = Index{8} * multiprocessors();
    return blocks_for(std::min<Index>(items, most * stride_threads), stride_threads);
}
// One thread for each pack of `elements`.
template <class T>
unsigned pack_blocks(Index elements) {
    return stride_blocks((elements + vector_length<T> - 1) / vector_length<T>);
}

__device__ __forceinline__ Index grid_thread() { return Index(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ __forceinline__ Index grid_threads() { return Index(gridDim.x) * blockDim.x; }
template <class T>
__device__ __forceinline__ Index first_pack() {
    return grid_thread() * vector_length<T>;
}
template <class T>
__device__ __forceinline__ Index pack_stride() {
    return grid_threads() * vector_length<T>;
}

template <class T>
__device__ __forceinline__ bool is_pack_aligned(const T* p) {
    return reinterpret_cast<std::uintptr_t>(p) % sizeof(Pack<T>) == 0;
}

// The pack at p, of whose elements the first `count` are there.
template <class T>
__device__ __forceinline__ Pack<T> load_pack(const T* p, Index count) {
    constexpr int N = vector_length<T>;
    if (count >= N && is_pack_aligned(p)) return *reinterpret_cast<const Pack<T>*>(p);
    Pack<T> pack;
    for (int k = 0; k < N; ++k) pack[k] = k < count ? p[k] : T(0);
    return pack;
}
template <class T>
__device__ __forceinline__ void store_pack(T* p, const Pack<T>& pack, Index count) {
    constexpr int N = vector_length<T>;
    if (count >= N && is_pack_aligned(p)) {
        *reinterpret_cast<Pack<T>*>(p) = pack;
        return;
    }
    for (int k = 0; k < N && k < count; ++k) p[k] = pack[k];
}

// put() of core/view.hpp for a pack: replaces what is at p, or adds to it.
template <class T>
__device__ __forceinline__ void put_pack(T* p, const Sum<T> (&value)[vector_length<T>], Index count, Write mode) {
    Pack<T> pack{};
    if (mode == Write::add) pack = load_pack(p, count);
    for (int k = 0; k < vector_length<T>; ++k)
        pack[k] = from_float<T>(mode == Write::add ? to_float(pack[k]) + value[k] : value[k]);
    store_pack(p, pack, count);
}

}  // namespace gradus::inline GRADUS_ABI
