// machine/cuda/cuda_memory.hpp   What core asks of a device, for Cuda: memory, copies, zeros.
// Everything is queued in the current stream. A copy between the card and the host waits for that stream, so that the
// host may use its own memory again at once; copies that overlap with kernels are those from pinned memory
// (pinned_memory.hpp).
#pragma once

#include "gradus/core/storage.hpp"
#include "gradus/machine/cuda/card.hpp"
#include "gradus/machine/cuda/cuda_allocator.hpp"

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
