// machine/cuda/cuda_check.hpp   Every call of the runtime is checked.
//     check_cuda(cudaMemcpyAsync(target, source, bytes, kind, stream), "cudaMemcpyAsync", ": ", bytes, " bytes");
// Problem  A call of the runtime returns a code that is easily thrown away, and work that fails on the card shows only
//          at a later call.
// Answer   An Error that names the call and the operation that runs, and says what the runtime says. Where the call
//          waits for the card (a copy to the host, a synchronisation), the fault may be of any kernel queued before it;
//          the Error says so.
#pragma once

#include "gradus/machine/cuda/runtime.hpp"

namespace gradus::inline GRADUS_ABI {

template <class... Parts>
void check_cuda(cudaError_t error, const char* call, const Parts&... parts) {
    if (error == cudaSuccess) return;
    static_cast<void>(cudaGetLastError());  // or the next launch, which did nothing wrong, would report it again
    fail(text("cuda: ", call, parts..., in_operation(), ": ", cudaGetErrorString(error)));
}

}  // namespace gradus::inline GRADUS_ABI
