// machine/cuda/cuda_check.hpp   Every call of the runtime is checked.
//     check_cuda(cudaMemcpyAsync(target, source, bytes, kind, stream), "cudaMemcpyAsync", ": ", bytes, " bytes");
// Problem  A call of the runtime returns a code that is easily thrown away, and work that fails on the card shows only
//          at a later call.
// Answer   An Error that names the call and the operation that runs, and says what the runtime says. Where that is what
//          ends a kernel, an address out of bounds for instance, the fault is of some kernel queued before: mostly a
//          call that waits for the card reports it (a copy to the host, a synchronisation), but any other may, a launch
//          too. The Error says so. compute-sanitizer, which comes with the toolkit, names the kernel, and so does the
//          environment's CUDA_LAUNCH_BLOCKING=1, with which every launch waits.
#pragma once

#include <string>

#include "gradus/core/trace.hpp"
#include "gradus/machine/cuda/runtime.hpp"

namespace gradus::inline GRADUS_ABI {

// Whether this is how a kernel ends that went wrong. No call works any more in this process then.
inline bool ends_kernels(cudaError_t error) {
    for (const cudaError_t fault :
         {cudaErrorIllegalAddress, cudaErrorLaunchTimeout, cudaErrorAssert, cudaErrorHardwareStackError,
          cudaErrorIllegalInstruction, cudaErrorMisalignedAddress, cudaErrorInvalidAddressSpace, cudaErrorInvalidPc,
          cudaErrorLaunchFailure})
        if (error == fault) return true;
    return false;
}
inline std::string cuda_error_text(cudaError_t error) {
    const std::string text = cudaGetErrorString(error);
    return ends_kernels(error) ? text + " (in a kernel that was queued before)" : text;
}

template <class... Parts>
void check_cuda(cudaError_t error, const char* call, const Parts&... parts) {
    if (error == cudaSuccess) return;
    static_cast<void>(cudaGetLastError());  // or the next launch, which did nothing wrong, would report it again
    fail(text("cuda: ", call, parts..., in_operation(), ": ", cuda_error_text(error)));
}

}  // namespace gradus::inline GRADUS_ABI
