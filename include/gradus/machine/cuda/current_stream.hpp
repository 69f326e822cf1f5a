// machine/cuda/current_stream.hpp   The stream that kernels and copies of this thread go to.
//     { const StreamScope scope(stream);  y = relu(x); }    relu runs in `stream`
// Work of one stream runs in the order in which it was queued. Work of two streams is ordered only by events or by
// waiting, and so is memory: a tensor that was made in one stream is used in another only after such a wait, and
// is freed only after the first one waits for the other: what comes next in the first one may get its memory.
#pragma once

#include "gradus/core/device.hpp"
#include "gradus/machine/cuda/cuda_check.hpp"

namespace gradus::inline GRADUS_ABI {

// The default stream, null, unless a StreamScope says otherwise. It is the same for all threads (runtime.hpp refuses
// the nvcc option that gives each its own): the loader's thread queues copies behind the steps of the one that trains.
inline cudaStream_t& current_stream() {
    static thread_local cudaStream_t stream = nullptr;
    return stream;
}

class StreamScope {
public:
    explicit StreamScope(cudaStream_t stream) : before_(current_stream()) { current_stream() = stream; }
    ~StreamScope() { current_stream() = before_; }
    StreamScope(const StreamScope&) = delete;
    StreamScope& operator=(const StreamScope&) = delete;

private:
    cudaStream_t before_;
};

// Whether the current stream records its work for a graph. The default stream cannot.
inline bool is_capturing(Cuda) {
    if (current_stream() == nullptr) return false;
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    check_cuda(cudaStreamIsCapturing(current_stream(), &status), "cudaStreamIsCapturing");
    return status != cudaStreamCaptureStatusNone;
}

// Returns when all work of the current stream is done. A fault of one of its kernels is an Error here.
inline void synchronize() {
    check_cuda(cudaStreamSynchronize(current_stream()), "cudaStreamSynchronize: a kernel queued before");
}

}  // namespace gradus::inline GRADUS_ABI
