// machine/emulator/device_api.hpp   Calls of the CUDA runtime about the card: there is one, and it is like an A100.
// Compute capability 8.0: kernels for it may use bfloat16, wmma and cp.async, and 163 KB of shared memory a block, 48
// of them without asking.
#pragma once

#include "gradus/machine/emulator/error_codes.hpp"
#include "gradus/machine/emulator/grid.hpp"

namespace gradus::inline GRADUS_ABI::cuda_names {

enum cudaFuncAttribute {
    cudaFuncAttributeMaxDynamicSharedMemorySize = 8,
    cudaFuncAttributePreferredSharedMemoryCarveout = 9,
};
enum cudaDeviceAttr {
    cudaDevAttrMaxThreadsPerBlock = 1,
    cudaDevAttrMaxSharedMemoryPerBlock = 8,
    cudaDevAttrMultiProcessorCount = 16,
    cudaDevAttrComputeCapabilityMajor = 75,
    cudaDevAttrComputeCapabilityMinor = 76,
    cudaDevAttrMaxSharedMemoryPerBlockOptin = 97,
};
struct cudaDeviceProp {
    char name[256];
    std::size_t totalGlobalMem;
    std::size_t sharedMemPerBlock;
    std::size_t sharedMemPerBlockOptin;
    int regsPerBlock;
    int warpSize;
    int maxThreadsPerBlock;
    int maxThreadsDim[3];
    int maxGridSize[3];
    int major, minor;
    int multiProcessorCount;
    int maxThreadsPerMultiProcessor;
};

inline cudaError_t cudaGetDeviceCount(int* count) {
    *count = 1;
    return cudaSuccess;
}
inline cudaError_t cudaGetDevice(int* device) {
    *device = 0;
    return cudaSuccess;
}
inline cudaError_t cudaSetDevice(int device) {
    return emulator::remember(device == 0 ? cudaSuccess : cudaErrorInvalidDevice);
}
inline cudaError_t cudaDriverGetVersion(int* version) {
    *version = 13000;
    return cudaSuccess;
}
inline cudaError_t cudaRuntimeGetVersion(int* version) { return cudaDriverGetVersion(version); }

inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
    if (device != 0) return emulator::remember(cudaErrorInvalidDevice);
    *properties = cudaDeviceProp{"CPU emulator of Gradus",
                                 emulator::device_memory_bytes,
                                 emulator::static_shared_limit,
                                 emulator::shared_opt_in_limit,
                                 65536,
                                 32,
                                 1024,
                                 {1024, 1024, 64},
                                 {2147483647, 65535, 65535},
                                 8,
                                 0,
                                 108,
                                 2048};
    return cudaSuccess;
}
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
    cudaDeviceProp properties;
    if (const cudaError_t error = cudaGetDeviceProperties(&properties, device); error != cudaSuccess) return error;
    switch (attribute) {
        case cudaDevAttrMaxThreadsPerBlock:
            *value = properties.maxThreadsPerBlock;
            break;
        case cudaDevAttrMaxSharedMemoryPerBlock:
            *value = static_cast<int>(properties.sharedMemPerBlock);
            break;
        case cudaDevAttrMultiProcessorCount:
            *value = properties.multiProcessorCount;
            break;
        case cudaDevAttrComputeCapabilityMajor:
            *value = properties.major;
            break;
        case cudaDevAttrComputeCapabilityMinor:
            *value = properties.minor;
            break;
        case cudaDevAttrMaxSharedMemoryPerBlockOptin:
            *value = static_cast<int>(properties.sharedMemPerBlockOptin);
            break;
        default:
            return emulator::remember(cudaErrorInvalidValue);
    }
    return cudaSuccess;
}

// Of what the toolkit's has: the architecture that a kernel was compiled for, 80 for compute_80, and the one whose
// machine code runs. On a card the second may be newer, where the driver translates.
struct cudaFuncAttributes {
    int ptxVersion, binaryVersion;
};
template <class Function>
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, Function*) {
    cudaDeviceProp properties;
    const cudaError_t error = cudaGetDeviceProperties(&properties, 0);
    attributes->ptxVersion = attributes->binaryVersion = 10 * properties.major + properties.minor;
    return error;
}

// How much dynamic shared memory a kernel may ask for: without this call static and dynamic together 48 KB.
template <class Function>
cudaError_t cudaFuncSetAttribute(Function* kernel, cudaFuncAttribute attribute, int value) {
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
    if (value < 0 || static_cast<std::size_t>(value) > emulator::shared_opt_in_limit)
        return emulator::remember(cudaErrorInvalidValue);
    const std::lock_guard lock(emulator::streams().mutex);
    emulator::opted_in()[reinterpret_cast<const void*>(kernel)] = static_cast<std::size_t>(value);
    return cudaSuccess;
}

}  // namespace gradus::inline GRADUS_ABI::cuda_names
