// machine/emulator/runtime_api.hpp   The calls of the CUDA runtime that the library makes: memory and copies.
// The same names, arguments and rules as the toolkit's cuda_runtime.h; every copy is checked against the buffer that it
// reads and writes. Streams, events and graphs: stream_api.hpp. The card itself: device_api.hpp.
// How a copy and the host's memory meet (Runtime API, "API synchronization behavior"): a copy from pageable memory has
// read its source when the call returns; one to pageable memory has finished; only pinned memory (cudaMallocHost) is
// copied later, while the host goes on. In deferred mode (stream.hpp) that is what happens here too.
#pragma once

#include "gradus/machine/emulator/stream.hpp"

namespace gradus::inline GRADUS_ABI::emulator {

inline void copy_bytes(void* target, const void* source, std::size_t bytes) {
    const DeviceAccess access;
    std::memmove(target, source, bytes);
    if (current_observer != nullptr) current_observer->written(target, bytes);
}

}  // namespace gradus::inline GRADUS_ABI::emulator

namespace gradus::inline GRADUS_ABI::cuda_names {

enum cudaMemcpyKind {
    cudaMemcpyHostToHost = 0,
    cudaMemcpyHostToDevice = 1,
    cudaMemcpyDeviceToHost = 2,
    cudaMemcpyDeviceToDevice = 3,
    cudaMemcpyDefault = 4,
};
inline constexpr unsigned cudaHostAllocDefault = 0;

template <class T>
cudaError_t cudaMalloc(T** pointer, std::size_t bytes) {
    const std::lock_guard lock(emulator::streams().mutex);
    *pointer = nullptr;
    if (emulator::streams().disturbs_capture()) return emulator::remember(cudaErrorStreamCaptureUnsupported);
    if (bytes == 0) return cudaSuccess;
    ++emulator::call_counts().allocations;
    *pointer = static_cast<T*>(emulator::device_memory().allocate(bytes));
    return emulator::remember(*pointer != nullptr ? cudaSuccess : cudaErrorMemoryAllocation);
}
inline cudaError_t cudaFree(void* pointer) {  // waits for all work: some of it may use the buffer
    const std::lock_guard lock(emulator::streams().mutex);
    if (emulator::streams().disturbs_capture()) return emulator::remember(cudaErrorStreamCaptureUnsupported);
    ++emulator::call_counts().waits;
    const cudaError_t error = emulator::run_all_without_throwing();
    if (pointer != nullptr && !emulator::device_memory().release(pointer))
        return emulator::remember(cudaErrorInvalidDevicePointer);
    return error;
}
// In the order of the stream: memory that is freed there may be used again by what follows there. On a card both can be
// part of a graph; not here.
template <class T>
cudaError_t cudaMallocAsync(T** pointer, std::size_t bytes, cudaStream_t stream) {
    const std::lock_guard lock(emulator::streams().mutex);
    if (!emulator::streams().is_known(stream)) return emulator::remember(cudaErrorInvalidResourceHandle);
    *pointer = nullptr;
    if (emulator::streams().disturbs_capture_of(stream)) return emulator::remember(cudaErrorStreamCaptureUnsupported);
    return cudaMalloc(pointer, bytes);
}
inline cudaError_t cudaFreeAsync(void* pointer, cudaStream_t stream) {
    const std::lock_guard lock(emulator::streams().mutex);
    if (!emulator::streams().is_known(stream)) return emulator::remember(cudaErrorInvalidResourceHandle);
    if (emulator::streams().disturbs_capture_of(stream)) return emulator::remember(cudaErrorStreamCaptureUnsupported);
    if (pointer != nullptr && emulator::device_memory().find(pointer).address != pointer)
        return emulator::remember(cudaErrorInvalidDevicePointer);
    emulator::streams().enqueue(stream, [pointer] { emulator::device_memory().release(pointer); });
    return cudaSuccess;
}
inline cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* total_bytes) {
    *total_bytes = emulator::device_memory_bytes;
    *free_bytes = *total_bytes - emulator::device_memory().live_bytes();
    return cudaSuccess;
}

template <class T>
cudaError_t cudaMallocHost(T** pointer, std::size_t bytes, unsigned = cudaHostAllocDefault) {
    const std::lock_guard lock(emulator::streams().mutex);
    if (emulator::streams().disturbs_capture()) return emulator::remember(cudaErrorStreamCaptureUnsupported);
    ++emulator::call_counts().allocations;
    char* memory = static_cast<char*>(std::aligned_alloc(4096, emulator::round_up(bytes + 1, 4096)));
    if (memory == nullptr) return emulator::remember(cudaErrorMemoryAllocation);
    emulator::pinned_buffers()[memory] = bytes;
    *pointer = reinterpret_cast<T*>(memory);
    return cudaSuccess;
}
template <class T>
cudaError_t cudaHostAlloc(T** pointer, std::size_t bytes, unsigned flags) {
    return cudaMallocHost(pointer, bytes, flags);
}
inline cudaError_t cudaFreeHost(void* pointer) {
    const std::lock_guard lock(emulator::streams().mutex);
    if (pointer == nullptr) return cudaSuccess;
    if (emulator::streams().disturbs_capture()) return emulator::remember(cudaErrorStreamCaptureUnsupported);
    ++emulator::call_counts().waits;
    const cudaError_t error = emulator::run_all_without_throwing();
    if (emulator::pinned_buffers().erase(static_cast<const char*>(pointer)) == 0)
        return emulator::remember(cudaErrorInvalidValue);
    std::free(pointer);
    return error;
}

inline cudaError_t cudaMemcpyAsync(void* target, const void* source, std::size_t bytes, cudaMemcpyKind kind,
                                   cudaStream_t stream = nullptr) {
    const std::lock_guard lock(emulator::streams().mutex);
    if (!emulator::streams().is_known(stream)) return emulator::remember(cudaErrorInvalidResourceHandle);
    if (bytes > 0 && (target == nullptr || source == nullptr)) return emulator::remember(cudaErrorInvalidValue);
    emulator::DeviceMemory& memory = emulator::device_memory();
    const bool to_device = memory.contains(target), from_device = memory.contains(source);
    if (kind != cudaMemcpyDefault && kind != (from_device ? 2 : 0) + (to_device ? 1 : 0))
        return emulator::remember(cudaErrorInvalidMemcpyDirection);
    if ((to_device && !memory.holds(target, bytes)) || (from_device && !memory.holds(source, bytes)))
        return emulator::remember(cudaErrorInvalidValue);
    const bool is_pageable =
        (!from_device && !emulator::is_pinned(source)) || (!to_device && !emulator::is_pinned(target));
    if (is_pageable && emulator::streams().disturbs_capture_of(stream))
        return emulator::remember(cudaErrorStreamCaptureUnsupported);
    const bool is_staged = !from_device && !emulator::is_pinned(source) && emulator::settings().deferred_streams;
    std::vector<char> stage;
    if (is_staged) stage.assign(static_cast<const char*>(source), static_cast<const char*>(source) + bytes);
    const std::uint64_t ticket =
        emulator::streams().enqueue(stream, [target, source, bytes, is_staged, stage = std::move(stage)] {
            emulator::copy_bytes(target, is_staged ? stage.data() : source, bytes);
        });
    const bool is_finished = !to_device && !emulator::is_pinned(target);
    if (is_finished) {
        ++emulator::call_counts().waits;
        emulator::streams().run(emulator::streams().resolve(stream), ticket);
    }
    return cudaSuccess;
}
inline cudaError_t cudaMemcpy(void* target, const void* source, std::size_t bytes, cudaMemcpyKind kind) {
    const std::lock_guard lock(emulator::streams().mutex);
    if (emulator::streams().disturbs_capture()) return emulator::remember(cudaErrorStreamCaptureUnsupported);
    ++emulator::call_counts().waits;
    const cudaError_t error = cudaMemcpyAsync(target, source, bytes, kind, nullptr);
    emulator::streams().run(emulator::streams().default_stream(), emulator::everything);
    return error;
}

inline cudaError_t cudaMemsetAsync(void* target, int value, std::size_t bytes, cudaStream_t stream = nullptr) {
    const std::lock_guard lock(emulator::streams().mutex);
    if (!emulator::streams().is_known(stream)) return emulator::remember(cudaErrorInvalidResourceHandle);
    if (!emulator::device_memory().holds(target, bytes)) return emulator::remember(cudaErrorInvalidValue);
    emulator::streams().enqueue(stream, [target, value, bytes] {
        const emulator::DeviceAccess access;
        std::memset(target, value, bytes);
        if (emulator::current_observer != nullptr) emulator::current_observer->written(target, bytes);
    });
    return cudaSuccess;
}
inline cudaError_t cudaMemset(void* target, int value, std::size_t bytes) {
    return cudaMemsetAsync(target, value, bytes, nullptr);
}

}  // namespace gradus::inline GRADUS_ABI::cuda_names
