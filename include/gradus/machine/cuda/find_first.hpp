// machine/cuda/find_first.hpp   find_first(n, test): the first i below n with test(i), n where there is none.
// For checks of data on the card: all of it is looked at there, and 8 bytes come back. Threads that find something take
// the minimum with an atomic on a whole number, whose result does not depend on their order.
// Cost     whatever test reads, and the host waits for the stream.
#pragma once

#include "gradus/machine/cuda/cuda_memory.hpp"
#include "gradus/machine/cuda/grid_stride.hpp"

namespace gradus::inline GRADUS_ABI {

template <class Test>
__global__ void __launch_bounds__(stride_threads) find_first_kernel(Test test, Index n, unsigned long long* first) {
    for (Index i = grid_thread(); i < n; i += grid_threads())
        if (test(i)) {
            atomicMin(first, static_cast<unsigned long long>(i));
            break;  // what follows lies behind
        }
}

// `test` is a functor with a __device__ operator().
template <class Test>
Index find_first(Index n, const Test& test) {
    if (n == 0) return 0;
    const CudaBuffer<unsigned long long> first(1);
    check_cuda(cudaMemsetAsync(first.data(), 0xFF, sizeof(unsigned long long), current_stream()), "cudaMemsetAsync");
    launch(find_first_kernel<Test>, stride_blocks(n), stride_threads, 0, current_stream(), test, n, first.data());
    unsigned long long found = 0;
    copy_bytes(Cpu{}, &found, Cuda{}, first.data(), sizeof found);
    return found < static_cast<unsigned long long>(n) ? static_cast<Index>(found) : n;
}

// One element on the host.
template <class T>
T element_on_host(const T* p) {
    T value{};
    copy_bytes(Cpu{}, &value, Cuda{}, p, sizeof value);
    return value;
}

}  // namespace gradus::inline GRADUS_ABI
