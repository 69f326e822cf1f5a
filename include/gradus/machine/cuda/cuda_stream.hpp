// machine/cuda/cuda_stream.hpp   Streams and events as objects.
//     CudaEvent copied;
//     copied.record(copies);          marks what has been queued in one stream so far
//     copied.make_wait(compute);      what is queued in another from now on happens after it; the host goes on
#pragma once

#include <utility>

#include "gradus/machine/cuda/cuda_allocator.hpp"
#include "gradus/machine/cuda/current_stream.hpp"

namespace gradus::inline GRADUS_ABI {

// A stream beside the default one. Non-blocking: only events order the two; a stream of the other kind would wait for
// the default stream with all it does, and the default stream for it.
class CudaStream {
public:
    CudaStream() {
        check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    }
    ~CudaStream() {
        if (stream_ == nullptr) return;
        cuda_allocator().forget(stream_);
        static_cast<void>(cudaStreamDestroy(stream_));  // when its work is done
    }
    CudaStream(CudaStream&& other) noexcept : stream_(std::exchange(other.stream_, nullptr)) {}
    CudaStream& operator=(CudaStream&&) = delete;
    cudaStream_t get() const { return stream_; }

private:
    cudaStream_t stream_ = nullptr;
};

class CudaEvent {
public:
    // Who waits on the host sleeps: it has a thread of its own.
    CudaEvent() {
        check_cuda(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming | cudaEventBlockingSync),
                   "cudaEventCreateWithFlags");
    }
    ~CudaEvent() { static_cast<void>(cudaEventDestroy(event_)); }
    CudaEvent(const CudaEvent&) = delete;
    CudaEvent& operator=(const CudaEvent&) = delete;

    void record(cudaStream_t stream) { check_cuda(cudaEventRecord(event_, stream), "cudaEventRecord"); }
    // An event that was never recorded lets everybody pass.
    void make_wait(cudaStream_t stream) const {
        check_cuda(cudaStreamWaitEvent(stream, event_, 0), "cudaStreamWaitEvent");
    }
    cudaEvent_t get() const { return event_; }
    void wait_on_host() const { check_cuda(cudaEventSynchronize(event_), "cudaEventSynchronize"); }

private:
    cudaEvent_t event_ = nullptr;
};

}  // namespace gradus::inline GRADUS_ABI
