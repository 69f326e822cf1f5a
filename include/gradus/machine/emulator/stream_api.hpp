// machine/emulator/stream_api.hpp   Calls of the CUDA runtime for streams, events and graphs.
// A graph is recorded work: between cudaStreamBeginCapture and cudaStreamEndCapture a stream's launches and copies are
// noted, not done; cudaGraphLaunch then queues them all at once, as often as wanted (Programming Guide, "CUDA Graphs").
// On a card this saves the cost of every single launch; here it is the meaning that counts. Since nothing is done
// before the graph is launched, nobody may wait for it: such calls fail with cudaErrorStreamCaptureUnsupported, and the
// capture is then invalid. Whose calls these are depends on the capture's mode (Runtime API,
// "cudaThreadExchangeStreamCaptureMode"). Branches, made on a card by events between streams, cannot be captured here.
#pragma once

#include "gradus/machine/emulator/runtime_api.hpp"

namespace gradus::inline GRADUS_ABI::cuda_names {

inline constexpr unsigned cudaStreamDefault = 0, cudaStreamNonBlocking = 1;
inline constexpr unsigned cudaEventDefault = 0, cudaEventBlockingSync = 1, cudaEventDisableTiming = 2;

inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
    const std::lock_guard lock(emulator::streams().mutex);
    *stream = emulator::streams().create(flags != cudaStreamNonBlocking);
    return cudaSuccess;
}
inline cudaError_t cudaStreamCreate(cudaStream_t* stream) {
    return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}
inline cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    const std::lock_guard lock(emulator::streams().mutex);
    if (stream == nullptr || !emulator::streams().is_known(stream))
        return emulator::remember(cudaErrorInvalidResourceHandle);
    const cudaError_t error = emulator::run_all_without_throwing();
    emulator::streams().destroy(stream);
    return error;
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    const std::lock_guard lock(emulator::streams().mutex);
    if (!emulator::streams().is_known(stream)) return emulator::remember(cudaErrorInvalidResourceHandle);
    if (emulator::streams().disturbs_capture_of(stream)) return emulator::remember(cudaErrorStreamCaptureUnsupported);
    ++emulator::call_counts().waits;
    emulator::streams().run(emulator::streams().resolve(stream), emulator::everything);
    return cudaSuccess;
}
// Asking often enough must get the work done: every question does one piece.
inline cudaError_t cudaStreamQuery(cudaStream_t stream) {
    const std::lock_guard lock(emulator::streams().mutex);
    if (!emulator::streams().is_known(stream)) return emulator::remember(cudaErrorInvalidResourceHandle);
    if (emulator::streams().disturbs_capture_of(stream)) return emulator::remember(cudaErrorStreamCaptureUnsupported);
    cudaStream_t asked = emulator::streams().resolve(stream);
    if (asked->queue.empty()) return cudaSuccess;
    emulator::streams().run_first(asked);
    return cudaErrorNotReady;
}
inline cudaError_t cudaDeviceSynchronize() {
    const std::lock_guard lock(emulator::streams().mutex);
    if (emulator::streams().disturbs_capture()) return emulator::remember(cudaErrorStreamCaptureUnsupported);
    ++emulator::call_counts().waits;
    emulator::streams().run_all();
    return cudaSuccess;
}
inline cudaError_t cudaLaunchHostFunc(cudaStream_t stream, void (*function)(void*), void* argument) {
    const std::lock_guard lock(emulator::streams().mutex);
    if (!emulator::streams().is_known(stream)) return emulator::remember(cudaErrorInvalidResourceHandle);
    emulator::streams().enqueue(stream, [function, argument] { function(argument); });
    return cudaSuccess;
}

inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
    const std::lock_guard lock(emulator::streams().mutex);
    *event = new CUevent_st;
    emulator::streams().events.insert(*event);
    return cudaSuccess;
}
inline cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }
inline cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream = nullptr) {
    const std::lock_guard lock(emulator::streams().mutex);
    if (!emulator::streams().is_known(event) || !emulator::streams().is_known(stream))
        return emulator::remember(cudaErrorInvalidResourceHandle);
    if (emulator::streams().disturbs_capture_of(stream)) return emulator::remember(cudaErrorStreamCaptureUnsupported);
    event->stream = emulator::streams().resolve(stream);
    event->is_done = false;
    const std::uint64_t recording = ++event->recordings;
    event->ticket = emulator::streams().enqueue(stream, [event, recording] {
        event->time = std::chrono::steady_clock::now();
        if (recording == event->recordings) event->is_done = true;
        if (++event->reached == event->recordings && event->is_destroyed) delete event;
    });
    return cudaSuccess;
}
inline cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    const std::lock_guard lock(emulator::streams().mutex);
    if (!emulator::streams().is_known(event)) return emulator::remember(cudaErrorInvalidResourceHandle);
    ++emulator::call_counts().waits;
    if (!event->is_done) emulator::streams().run(event->stream, event->ticket);
    return cudaSuccess;
}
inline cudaError_t cudaEventQuery(cudaEvent_t event) {
    const std::lock_guard lock(emulator::streams().mutex);
    if (!emulator::streams().is_known(event)) return emulator::remember(cudaErrorInvalidResourceHandle);
    if (event->is_done) return cudaSuccess;
    if (!event->stream->queue.empty()) emulator::streams().run_first(event->stream);  // else it is part of a graph
    return cudaErrorNotReady;
}
inline cudaError_t cudaEventDestroy(cudaEvent_t event) {
    const std::lock_guard lock(emulator::streams().mutex);
    if (emulator::streams().events.erase(event) == 0) return emulator::remember(cudaErrorInvalidResourceHandle);
    event->is_destroyed = true;  // at once or, without a wait, when its last stream comes to it
    if (event->reached == event->recordings) delete event;
    return cudaSuccess;
}
inline cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
    const std::lock_guard lock(emulator::streams().mutex);
    if (!emulator::streams().is_known(start) || !emulator::streams().is_known(end) || start->stream == nullptr ||
        end->stream == nullptr)
        return emulator::remember(cudaErrorInvalidResourceHandle);
    if (!start->is_done || !end->is_done) return emulator::remember(cudaErrorNotReady);
    *milliseconds = std::chrono::duration<float, std::milli>(end->time - start->time).count();
    return cudaSuccess;
}
// What is queued in the stream from now on waits for what the event marks.
inline cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned = 0) {
    const std::lock_guard lock(emulator::streams().mutex);
    if (!emulator::streams().is_known(event) || !emulator::streams().is_known(stream))
        return emulator::remember(cudaErrorInvalidResourceHandle);
    if (emulator::streams().disturbs_capture_of(stream)) return emulator::remember(cudaErrorStreamCaptureUnsupported);
    if (event->is_done) return cudaSuccess;  // or never recorded; its stream may be gone
    emulator::streams().enqueue(
        stream, [source = event->stream, ticket = event->ticket] { emulator::streams().run(source, ticket); });
    return cudaSuccess;
}

using cudaGraph_t = CUgraph_st*;
struct CUgraphExec_st {
    CUgraph_st graph;
};
using cudaGraphExec_t = CUgraphExec_st*;
enum cudaStreamCaptureStatus {
    cudaStreamCaptureStatusNone = 0,
    cudaStreamCaptureStatusActive = 1,
    cudaStreamCaptureStatusInvalidated = 2,
};

inline cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
    const std::lock_guard lock(emulator::streams().mutex);
    if (!emulator::streams().is_known(stream)) return emulator::remember(cudaErrorInvalidResourceHandle);
    if (stream == nullptr) return emulator::remember(cudaErrorStreamCaptureUnsupported);
    if (stream->capture != nullptr) return emulator::remember(cudaErrorIllegalState);
    stream->capture = std::make_unique<StreamCapture>(StreamCapture{std::this_thread::get_id(), mode, false, {}});
    return cudaSuccess;
}
inline cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
    const std::lock_guard lock(emulator::streams().mutex);
    if (!emulator::streams().is_known(stream)) return emulator::remember(cudaErrorInvalidResourceHandle);
    *graph = nullptr;
    if (stream == nullptr || stream->capture == nullptr) return emulator::remember(cudaErrorIllegalState);
    if (stream->capture->mode != cudaStreamCaptureModeRelaxed && stream->capture->thread != std::this_thread::get_id())
        return emulator::remember(cudaErrorStreamCaptureWrongThread);
    const std::unique_ptr<StreamCapture> capture = std::move(stream->capture);
    if (capture->is_invalid) return emulator::remember(cudaErrorStreamCaptureInvalidated);
    *graph = new CUgraph_st(std::move(capture->graph));
    return cudaSuccess;
}
inline cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
    const std::lock_guard lock(emulator::streams().mutex);
    if (!emulator::streams().is_known(stream)) return emulator::remember(cudaErrorInvalidResourceHandle);
    const StreamCapture* const capture = emulator::streams().resolve(stream)->capture.get();
    *status = capture == nullptr    ? cudaStreamCaptureStatusNone
              : capture->is_invalid ? cudaStreamCaptureStatusInvalidated
                                    : cudaStreamCaptureStatusActive;
    return cudaSuccess;
}
// Takes this thread's mode and leaves the one that it had.
inline cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
    std::swap(*mode, emulator::streams().capture_mode_of_this_thread());
    return cudaSuccess;
}
inline cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long = 0) {
    *executable = new CUgraphExec_st{*graph};
    return cudaSuccess;
}
inline cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
    const std::lock_guard lock(emulator::streams().mutex);
    if (!emulator::streams().is_known(stream)) return emulator::remember(cudaErrorInvalidResourceHandle);
    ++emulator::call_counts().graph_launches;
    for (const std::function<void()>& work : executable->graph.work) emulator::streams().enqueue(stream, work);
    return cudaSuccess;
}
inline cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    delete graph;
    return cudaSuccess;
}
inline cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
    delete executable;
    return cudaSuccess;
}

}  // namespace gradus::inline GRADUS_ABI::cuda_names
