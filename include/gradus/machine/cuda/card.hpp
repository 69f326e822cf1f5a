// machine/cuda/card.hpp   Whether there is a card, and if not, why.
// Problem  A program for a GPU meets machines without one, or with a driver that is older than the toolkit. The runtime
//          then says "no CUDA-capable device is detected" at the first call, wherever that happens to be.
// Answer   Ask once, at the top (with_device() does), and say what to do.
#pragma once

#include <string>

#include "gradus/core/device.hpp"
#include "gradus/machine/cuda/runtime.hpp"

namespace gradus::inline GRADUS_ABI {

// 13020 is how the runtime writes version 13.2.
inline std::string cuda_version(int number) { return text(number / 1000, ".", number % 1000 / 10); }

// What a count of cards, and the error that came with it, mean for whoever wants to use one.
inline std::string card_problem(cudaError_t error, int cards, int driver, int runtime) {
    if (error == cudaSuccess && cards > 0) return "";
    if (driver == 0) return "no NVIDIA driver is installed";
    if (driver < runtime)
        return text("the driver is for CUDA ", cuda_version(driver), " at most, this program was compiled with ",
                    cuda_version(runtime), ": a newer driver or an older toolkit is needed");
    if (error == cudaSuccess || error == cudaErrorNoDevice) return "no GPU was found";
    return cudaGetErrorString(error);
}

inline std::string card_problem(Cuda) {
    int cards = 0, driver = 0, runtime = 0;
    const cudaError_t error = cudaGetDeviceCount(&cards);
    static_cast<void>(cudaGetLastError());  // what is answered here is not an error of the next call
    static_cast<void>(cudaDriverGetVersion(&driver));
    static_cast<void>(cudaRuntimeGetVersion(&runtime));
    return card_problem(error, cards, driver, runtime);
}

inline bool is_emulated(Cuda) {
#if defined(__CUDACC__)
    return false;
#else
    return true;
#endif
}

}  // namespace gradus::inline GRADUS_ABI
