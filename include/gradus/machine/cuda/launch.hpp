// machine/cuda/launch.hpp   launch(kernel, grid, block, shared_bytes, stream, args...): all that a kernel needs.
//     template <class T>
//     __global__ void __launch_bounds__(256) scale_kernel(T* x, T factor, int n) {
//         const int i = blockIdx.x * blockDim.x + threadIdx.x;
//         if (i < n) x[i] *= factor;
//     }
//     gradus::launch(scale_kernel<float>, gradus::blocks_for(n, 256), 256, 0, stream, x, 2.0f, n);
// A whole program to begin with, and how to compile it both ways: tests/machine/emulator/user_kernel.cu.
// Problem  kernel<<<grid, block>>>(args...) is not C++, and the errors of a launch are easily lost.
// Answer   A function. Under nvcc it launches on the GPU, else it runs the kernel in the emulator. Arguments are
//          converted to the kernel's parameter types, as in a call. A launch that cannot start is an Error that names
//          the kernel, the operation, the grid and the place of the call. What goes wrong inside a kernel on a GPU
//          shows at a later call, whichever that is (cuda_check.hpp); in the emulator, here.
// In a debugger, with the emulator and -O0 -g, threadIdx and blockIdx are variables like others:
//     (gdb) break scale.cu:12 if threadIdx.x == 3 && blockIdx.x == 1
// At a barrier, a shuffle or a vote other threads run: not `next` leads over it but, with the line behind it,
//     (gdb) tbreak scale.cu:20 if threadIdx.x == 3 && blockIdx.x == 1
//     (gdb) continue
// examples/04_cuda_on_a_cpu.cpp has a whole session.
// The emulator runs the threads in another order when told so, which shows what depends on it (emulator/settings.hpp):
//     GRADUS_EMULATOR_ORDER=reverse or random:7   GRADUS_EMULATOR_BLOCKS=4   GRADUS_EMULATOR_STREAMS=deferred
// Without more it finds threads that wait in vain, wrong masks, launches over a limit and host access to device memory.
// Its race checker sees every access, and finds races, what was never written, and what is out of bounds or misaligned:
// machine/emulator/race_checker.hpp.
// Rules for kernels that run in both worlds:
//     1. Of CUDA's headers none: this one (and ptx.hpp) stands for them; Gradus' own as you like. Launch only with
//        launch(); shared memory only through GRADUS_SHARED, GRADUS_SHARED_ALIGNED and GRADUS_DYNAMIC_SHARED.
//     2. No early return before a barrier, and no barrier in a branch that not all threads of the block take: guard the
//        work instead.
//     3. *_sync forms with exact masks; __syncwarp() between dependent accesses in a warp.
//     4. No waiting for other blocks, no launches from kernels, no textures, no noexcept kernels, no extended lambdas
//        (functors instead), no __constant__ and no __device__ variables: what a kernel reads comes from its arguments.
//        (In the emulator a loop of atomics that waits is an error; one of volatile reads never ends.)
//     5. Always __launch_bounds__: the emulator does not see how many registers a kernel needs. Nor does it check the
//        bound: a card refuses a launch with more threads, here it runs.
//     6. Kernels are templates or static: an inline __global__ function draws a warning of nvcc.
#pragma once

#include <cstddef>
#include <utility>

#include "gradus/core/shape.hpp"
#include "gradus/machine/cuda/cuda_check.hpp"
#include "gradus/machine/cuda/runtime.hpp"

#if defined(__CUDACC__)
#include <cstdlib>
#include <string>

#include <cxxabi.h>

#define GRADUS_SHARED(type, name, ...) __shared__ type name __VA_ARGS__
#define GRADUS_SHARED_ALIGNED(alignment, type, name, ...) \
    __shared__ __align__(alignment)                       \
    type name __VA_ARGS__
// One array of bytes for all kernels: the same extern name with two types does not link.
#define GRADUS_DYNAMIC_SHARED(type, name)                                         \
    extern __shared__ __align__(16) unsigned char gradus_dynamic_shared_memory[]; \
    type* const name = reinterpret_cast<type*>(gradus_dynamic_shared_memory)
#endif

namespace gradus::inline GRADUS_ABI {

// How many blocks of `threads` threads it takes to have one thread for each of `count` elements.
constexpr unsigned blocks_for(Index count, unsigned threads) {
    return static_cast<unsigned>((count + threads - 1) / threads);
}

// The grid of a launch, and where the launch stands in the source. A number or a dim3 becomes one by itself.
struct LaunchGrid {
    template <class Size>
    requires std::convertible_to<Size, dim3> LaunchGrid(Size blocks, const char* in_file = __builtin_FILE(),
                                                        unsigned in_line = __builtin_LINE())
        : size(static_cast<dim3>(blocks)), file(in_file), line(in_line) {}
    dim3 size;
    const char* file;
    unsigned line;
};

#if defined(__CUDACC__)

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), LaunchGrid grid, dim3 block, std::size_t shared_bytes, cudaStream_t stream,
            Arguments&&... arguments) {
    cudaLaunchConfig_t config{};
    config.gridDim = grid.size;
    config.blockDim = block;
    config.dynamicSmemBytes = shared_bytes;
    config.stream = stream;
    const cudaError_t error =
        cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(std::forward<Arguments>(arguments))...);
    if (error == cudaSuccess) return;
    static_cast<void>(cudaGetLastError());  // or the next one to ask, after another launch, would find it
    const char* mangled = "a kernel";
    cudaFuncGetName(&mangled, reinterpret_cast<const void*>(kernel));
    char* const readable = abi::__cxa_demangle(mangled, nullptr, nullptr, nullptr);
    const std::string name = readable != nullptr ? readable : mangled;
    std::free(readable);
    fail(text(name, in_operation(), ": launch at ", grid.file, ':', grid.line, ": ", cuda_error_text(error), "; grid (",
              grid.size.x, ", ", grid.size.y, ", ", grid.size.z, "), block (", block.x, ", ", block.y, ", ", block.z,
              "), ", shared_bytes, " bytes of dynamic shared memory"));
}

#else

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), LaunchGrid grid, dim3 block, std::size_t shared_bytes, cudaStream_t stream,
            Arguments&&... arguments) {
    emulator::launch(kernel, grid.size, block, shared_bytes, stream, emulator::Site{grid.file, grid.line},
                     std::tuple<Parameters...>(std::forward<Arguments>(arguments)...));
}

#endif

}  // namespace gradus::inline GRADUS_ABI
