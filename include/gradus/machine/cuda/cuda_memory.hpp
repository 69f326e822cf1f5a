// machine/cuda/cuda_memory.hpp   What core asks of a device, for Cuda: memory, copies, constants.
// Everything is queued in the current stream. A copy between the card and the host waits for that stream, so that the
// host may use its own memory again at once; copies that overlap with kernels are those from pinned memory
// (pinned_memory.hpp).
#pragma once

#include "gradus/core/storage.hpp"
#include "gradus/machine/cuda/card.hpp"
#include "gradus/machine/cuda/cuda_allocator.hpp"
#include "gradus/machine/cuda/grid_stride.hpp"

namespace gradus::inline GRADUS_ABI {

inline void* allocate_bytes(Cuda, std::size_t bytes) { return cuda_allocator().allocate(bytes); }
inline void release_bytes(Cuda, void* data, std::size_t bytes) { cuda_allocator().release(data, bytes); }
inline MemoryStats memory_stats(Cuda) { return cuda_allocator().stats(); }
inline void reset_peak_memory(Cuda) { cuda_allocator().reset_peak(); }

inline void queue_copy(void* target, const void* source, std::size_t bytes, cudaMemcpyKind kind) {
    if (bytes == 0) return;
    check_cuda(cudaMemcpyAsync(target, source, bytes, kind, current_stream()), "cudaMemcpyAsync", " of ", bytes,
               " bytes");
}

template <HostDevice From>
void copy_bytes(Cuda, void* target, From, const void* source, std::size_t bytes) {
    queue_copy(target, source, bytes, cudaMemcpyHostToDevice);
    synchronize();
}
template <HostDevice To>
void copy_bytes(To, void* target, Cuda, const void* source, std::size_t bytes) {
    queue_copy(target, source, bytes, cudaMemcpyDeviceToHost);
    synchronize();
}
inline void copy_bytes(Cuda, void* target, Cuda, const void* source, std::size_t bytes) {
    queue_copy(target, source, bytes, cudaMemcpyDeviceToDevice);
}

inline void zero_bytes(Cuda, void* target, std::size_t bytes) {
    if (bytes == 0) return;
    check_cuda(cudaMemsetAsync(target, 0, bytes, current_stream()), "cudaMemsetAsync", " of ", bytes, " bytes");
}

template <class T>
__global__ void __launch_bounds__(stride_threads) fill_kernel(T* x, T value, Index n) {
    Pack<T> pack;
    for (int k = 0; k < vector_length<T>; ++k) pack[k] = value;
    for (Index i = first_pack<T>(); i < n; i += pack_stride<T>()) store_pack(x + i, pack, n - i);
}
template <class T>
void fill_elements(Cuda, T* target, Index count, T value) {
    if (count == 0) return;
    launch(fill_kernel<T>, pack_blocks<T>(count), stride_threads, 0, current_stream(), target, value, count);
}

// Scratch memory of kernels: `count` uninitialised elements, given back at the end of the scope; what is queued by then
// still has them.
template <class T>
class CudaBuffer {
public:
    explicit CudaBuffer(Index count)
        : bytes_(static_cast<std::size_t>(count) * sizeof(T)),
          data_(static_cast<T*>(cuda_allocator().allocate(bytes_))) {}
    ~CudaBuffer() { cuda_allocator().release(data_, bytes_); }
    CudaBuffer(const CudaBuffer&) = delete;
    CudaBuffer& operator=(const CudaBuffer&) = delete;
    T* data() const { return data_; }

private:
    std::size_t bytes_;
    T* data_;
};

}  // namespace gradus::inline GRADUS_ABI
