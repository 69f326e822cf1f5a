// machine/cuda/ptx.hpp   The one place with inline PTX: asynchronous copies to shared memory, stores of whole words.
// PTX ISA, "Data Movement and Conversion Instructions: cp.async". The copy goes past the registers and runs while the
// thread computes: the double-buffered tiles of a matrix product live on it.
//     cp_async<16>(target, source);     starts a copy of 4, 8 or 16 bytes, all of them aligned to that size
//     cp_async<16>(target, source, n);  copies n bytes and fills the rest with zeros: padding without a branch
//     cp_async_commit();                closes a group: the copies since the last commit
//     cp_async_wait<1>();               waits until at most 1 group, the newest, is still on its way
// A thread waits for its own copies only: a __syncthreads() must follow before others read the tile. Cards before sm_80
// have no such instruction; there it is a plain copy. In the emulator the target is NaN until the wait
// (async_copy.hpp).
//     store_word(target, word);         a Packed to global memory, aligned to its size, in one instruction
// An assignment is most often compiled to the same, but nvcc 13 makes it three stores in softmax's forward kernel.
#pragma once

#include <type_traits>

#include "gradus/machine/cuda/launch.hpp"
#include "gradus/machine/cuda/packed.hpp"

namespace gradus::inline GRADUS_ABI {

#if defined(__CUDACC__)

template <int Bytes>
__device__ __forceinline__ void cp_async(void* target, const void* source, int used = Bytes) {
    static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16);
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    const unsigned shared_address = static_cast<unsigned>(__cvta_generic_to_shared(target));
    if constexpr (Bytes == 16)  // past the first-level cache: a tile is read once
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address), "l"(source), "r"(used)
                     : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared_address), "l"(source), "n"(Bytes),
                     "r"(used)
                     : "memory");
#else
    using Word = Packed<unsigned, Bytes / 4>;
    Word word{};
    if (used == Bytes)
        word = *static_cast<const Word*>(source);
    else
        for (int i = 0; i < Bytes; ++i)
            if (i < used) word[i / 4] |= unsigned{static_cast<const unsigned char*>(source)[i]} << (i % 4 * 8);
    *static_cast<Word*>(target) = word;
#endif
}

__device__ __forceinline__ void cp_async_commit() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

template <int StillOpen>
__device__ __forceinline__ void cp_async_wait() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(StillOpen) : "memory");
#endif
}

template <class T, int N>
__device__ __forceinline__ void store_word(T* target, const Packed<T, N>& word) {
    [[maybe_unused]] const std::size_t address = __cvta_generic_to_global(target);
    if constexpr (sizeof(word) == 16) {
        const uint4 w = *reinterpret_cast<const uint4*>(&word);
        asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(address), "r"(w.x), "r"(w.y), "r"(w.z), "r"(w.w)
                     : "memory");
    } else if constexpr (sizeof(word) == 8) {
        const uint2 w = *reinterpret_cast<const uint2*>(&word);
        asm volatile("st.global.v2.u32 [%0], {%1, %2};" ::"l"(address), "r"(w.x), "r"(w.y) : "memory");
    } else if constexpr (sizeof(word) == 4) {
        asm volatile("st.global.u32 [%0], %1;" ::"l"(address), "r"(*reinterpret_cast<const unsigned*>(&word))
                     : "memory");
    } else {
        *reinterpret_cast<Packed<T, N>*>(target) = word;
    }
}

#else

template <class T, int N>
void store_word(T* target, const Packed<T, N>& word) {
    *reinterpret_cast<Packed<T, N>*>(target) = word;
}
template <int Bytes>
GRADUS_EMULATOR_QUIET void cp_async(void* target, const void* source, int used = Bytes,
                                    const char* file = __builtin_FILE(), unsigned line = __builtin_LINE()) {
    static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16);
    emulator::start_copy(target, source, Bytes, static_cast<unsigned>(used), {file, line});
}
inline void cp_async_commit() { emulator::commit_copies(); }
template <int StillOpen>
void cp_async_wait() {
    emulator::wait_for_copies(StillOpen);
}

#endif

}  // namespace gradus::inline GRADUS_ABI
