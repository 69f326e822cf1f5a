// machine/cuda/card.hpp   Whether there is a card, and if not, why.
// Problem  A program for a GPU meets machines without one, or with a driver that is older than the toolkit. The runtime
//          then says "no CUDA-capable device is detected" at the first call, wherever that happens to be.
// Answer   Ask once, at the top (with_device() does), and say what to do. That the card is there is not all: the
//          program must have kernels for it, machine code for just this kind of card, or code for an older one
//          (compute_75 where nvcc is not told) that the driver translates.
// Which    Every thread uses the first card that CUDA shows; the environment's CUDA_VISIBLE_DEVICES says which that is.
#pragma once

#include <string>

#include "gradus/core/device.hpp"
#include "gradus/machine/cuda/cuda_check.hpp"
#include "gradus/machine/cuda/runtime.hpp"

namespace gradus::inline GRADUS_ABI {

// 13020 is how the runtime writes version 13.2.
inline std::string cuda_version(int number) { return text(number / 1000, ".", number % 1000 / 10); }

// What a count of cards, and the error that came with it, mean for whoever wants to use one.
inline std::string card_problem(cudaError_t error, int cards, int driver, int runtime) {
    if (error == cudaSuccess && cards > 0) return "";
    if (driver == 0) return "no NVIDIA driver is installed";
    // A driver that is older, but of the same first number, does; so ask the error first.
    if (error == cudaErrorNoDevice) return "no GPU was found";
    if (driver < runtime)
        return text("the driver is for CUDA ", cuda_version(driver), " at most, this program was compiled with ",
                    cuda_version(runtime), ": a newer driver or an older toolkit is needed");
    if (error == cudaSuccess) return "no GPU was found";
    return cudaGetErrorString(error);
}

// What the error of a question about a kernel means.
inline std::string kernel_problem(cudaError_t error) {
    if (error == cudaSuccess) return "";
    if (error == cudaErrorNoKernelImageForDevice || error == cudaErrorInvalidDeviceFunction)
        return "this program has no kernels for the card: compile it with nvcc -arch=native, for sm_75 or later";
    if (error == cudaErrorUnsupportedPtxVersion)
        return "the driver cannot translate this program's kernels for the card: compile it with nvcc -arch=native, or "
               "install a newer driver";
    return cudaGetErrorString(error);
}

// What a kernel was compiled for, 80 for sm_80 or compute_80. The card may be a later one.
template <class... Parameters>
int kernel_architecture(void (*kernel)(Parameters...)) {
    cudaFuncAttributes attributes{};
    check_cuda(cudaFuncGetAttributes(&attributes, kernel), "cudaFuncGetAttributes");
    return attributes.ptxVersion;
}

// To be asked about.
template <int>
__global__ void __launch_bounds__(32) idle_kernel() {}

inline std::string card_problem(Cuda) {
    int cards = 0, driver = 0, runtime = 0;
    const cudaError_t error = cudaGetDeviceCount(&cards);
    static_cast<void>(cudaGetLastError());  // what is answered here is not an error of the next call
    static_cast<void>(cudaDriverGetVersion(&driver));
    static_cast<void>(cudaRuntimeGetVersion(&runtime));
    const std::string problem = card_problem(error, cards, driver, runtime);
    if (!problem.empty()) return problem;
    cudaFuncAttributes attributes{};
    const cudaError_t kernel_error = cudaFuncGetAttributes(&attributes, idle_kernel<0>);
    static_cast<void>(cudaGetLastError());
    return kernel_problem(kernel_error);
}

inline bool is_emulated(Cuda) {
#if defined(__CUDACC__)
    return false;
#else
    return true;
#endif
}

}  // namespace gradus::inline GRADUS_ABI
