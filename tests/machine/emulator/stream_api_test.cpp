// Streams: in deferred mode work happens when something waits for it, in the order that the rules allow.
#include "gradus/machine/emulator/stream_api.hpp"

#include <functional>
#include <thread>

#include "child_process.hpp"
#include "emulator_checks.hpp"
#include "gradus/machine/emulator/call_counts.hpp"
#include "gradus/machine/emulator/cublas_api.hpp"
#include "gradus/machine/emulator/stream.hpp"

using namespace gradus;

namespace {

template <int>
__global__ void set_kernel(int* x, int value) {
    *x = value;
}
template <int>
__global__ void copy_kernel(const int* x, int* y) {
    *y = *x;
}
template <int>
__global__ void add_kernel(int* x, int value) {
    *x += value;
}

template <int>
__global__ void failing_kernel(int) {
    __trap();
}

struct Stream {
    explicit Stream(unsigned flags = cudaStreamDefault) { cudaStreamCreateWithFlags(&handle, flags); }
    ~Stream() { cudaStreamDestroy(handle); }
    cudaStream_t handle = nullptr;
};

}  // namespace

TEST_CASE("deferred: a copy that nobody waits for has not happened") {
    const Deferred mode;
    const Stream stream;
    int* pinned = nullptr;
    REQUIRE(cudaMallocHost(&pinned, sizeof(int)) == cudaSuccess);
    const DeviceArray<int> x(std::vector<int>{5});
    *pinned = 1;
    launch(set_kernel<0>, 1, 1, 0, stream.handle, x.data(), 7);
    cudaMemcpyAsync(pinned, x.data(), sizeof(int), cudaMemcpyDeviceToHost, stream.handle);
    CHECK(*pinned == 1);
    CHECK(cudaStreamSynchronize(stream.handle) == cudaSuccess);
    CHECK(*pinned == 7);
    cudaFreeHost(pinned);
}

TEST_CASE("deferred: a pinned source that is overwritten too early shows; a pageable one has been read") {
    const Deferred mode;
    const Stream stream;
    int* pinned = nullptr;
    REQUIRE(cudaMallocHost(&pinned, sizeof(int)) == cudaSuccess);
    const DeviceArray<int> x(1), y(1);
    int pageable = 1;
    *pinned = 1;
    cudaMemcpyAsync(x.data(), pinned, sizeof(int), cudaMemcpyHostToDevice, stream.handle);
    cudaMemcpyAsync(y.data(), &pageable, sizeof(int), cudaMemcpyHostToDevice, stream.handle);
    *pinned = pageable = 2;
    cudaStreamSynchronize(stream.handle);
    CHECK(x.host()[0] == 2);
    CHECK(y.host()[0] == 1);
    cudaFreeHost(pinned);
}

TEST_CASE("deferred: streams are in no order, unless an event says so") {
    for (const bool with_event : {false, true}) {
        const Deferred mode;
        const Stream producer, consumer;
        cudaEvent_t event = nullptr;
        cudaEventCreate(&event);
        const DeviceArray<int> x(std::vector<int>{1}), y(std::vector<int>{0});
        launch(set_kernel<0>, 1, 1, 0, producer.handle, x.data(), 7);
        cudaEventRecord(event, producer.handle);
        if (with_event) cudaStreamWaitEvent(consumer.handle, event);
        launch(copy_kernel<0>, 1, 1, 0, consumer.handle, x.data(), y.data());
        cudaStreamSynchronize(consumer.handle);
        CHECK(y.host()[0] == (with_event ? 7 : 1));
        cudaEventDestroy(event);
    }
}

TEST_CASE("deferred: whoever waits for the whole device gets the streams' work in no order either") {
    for (const bool producer_is_older : {false, true}) {
        const Deferred mode;
        const Stream first, second;
        const cudaStream_t producer = producer_is_older ? first.handle : second.handle;
        const cudaStream_t consumer = producer_is_older ? second.handle : first.handle;
        const DeviceArray<int> x(std::vector<int>{1}), y(std::vector<int>{0}), z(std::vector<int>{0});
        launch(set_kernel<0>, 1, 1, 0, producer, x.data(), 7);
        launch(copy_kernel<0>, 1, 1, 0, consumer, x.data(), y.data());  // no event
        cudaDeviceSynchronize();
        CHECK(y.host()[0] == 1);
        launch(set_kernel<0>, 1, 1, 0, producer, x.data(), 8);
        launch(copy_kernel<0>, 1, 1, 0, consumer, x.data(), y.data());
        launch(copy_kernel<0>, 1, 1, 0, nullptr, y.data(), z.data());  // the default stream waits for both
        cudaDeviceSynchronize();
        CHECK(z.host()[0] == 7);
    }
}

TEST_CASE("deferred: work that nobody has waited for when the program ends is reported") {
    int status = 0;
    const std::string message = stderr_of_child(
        [] {
            emulator::settings().deferred_streams = true;
            cudaLaunchHostFunc(
                nullptr, [](void*) {}, nullptr);
            std::exit(0);
        },
        status);
    CHECK(contains(message, "1 piece of work was queued and never waited for"));
    CHECK(stderr_of_child(
              [] {
                  cudaDeviceSynchronize();
                  std::exit(0);
              },
              status) == "");
}

TEST_CASE("deferred: the default stream waits for the others and they for it, but not those that are non-blocking") {
    const Deferred mode;
    const Stream blocking, separate(cudaStreamNonBlocking);
    const DeviceArray<int> x(std::vector<int>{0}), y(std::vector<int>{0}), z(std::vector<int>{0});
    launch(set_kernel<0>, 1, 1, 0, blocking.handle, x.data(), 1);
    launch(set_kernel<0>, 1, 1, 0, separate.handle, z.data(), 1);
    launch(copy_kernel<0>, 1, 1, 0, nullptr, x.data(), y.data());   // default: after x = 1
    launch(add_kernel<0>, 1, 1, 0, blocking.handle, y.data(), 10);  // after y = x
    CHECK(cudaStreamQuery(separate.handle) == cudaErrorNotReady);   // a question does one piece of work
    CHECK(cudaStreamQuery(separate.handle) == cudaSuccess);
    cudaStreamSynchronize(blocking.handle);
    CHECK(y.host()[0] == 11);
    CHECK(z.host()[0] == 1);
}

TEST_CASE("deferred: memory freed in a stream lives until the stream comes to it") {
    const Deferred mode;
    const Stream stream;
    int* x = nullptr;
    REQUIRE(cudaMallocAsync(&x, sizeof(int), stream.handle) == cudaSuccess);
    const DeviceArray<int> y(1);
    launch(set_kernel<0>, 1, 1, 0, stream.handle, x, 3);
    launch(copy_kernel<0>, 1, 1, 0, stream.handle, x, y.data());
    const std::size_t before = emulator::device_memory().live_bytes();
    CHECK(cudaFreeAsync(x, stream.handle) == cudaSuccess);
    CHECK(emulator::device_memory().live_bytes() == before);
    CHECK(cudaFreeAsync(x + 1, stream.handle) == cudaErrorInvalidDevicePointer);
    cudaGetLastError();
    cudaStreamSynchronize(stream.handle);
    CHECK(emulator::device_memory().live_bytes() == before - sizeof(int));
    CHECK(y.host()[0] == 3);
}

TEST_CASE("events: time between two, and when they are ready") {
    const Deferred mode;
    const Stream stream;
    const DeviceArray<int> x(1);
    cudaEvent_t start = nullptr, end = nullptr;
    cudaEventCreate(&start);
    cudaEventCreate(&end);
    float milliseconds = -1;
    CHECK(cudaEventElapsedTime(&milliseconds, start, end) == cudaErrorInvalidResourceHandle);
    cudaEventRecord(start, stream.handle);
    launch(set_kernel<0>, 1, 1, 0, stream.handle, x.data(), 1);
    cudaEventRecord(end, stream.handle);
    CHECK(cudaEventElapsedTime(&milliseconds, start, end) == cudaErrorNotReady);
    CHECK(cudaEventQuery(end) == cudaErrorNotReady);
    CHECK(cudaEventSynchronize(end) == cudaSuccess);
    CHECK(cudaEventQuery(end) == cudaSuccess);
    CHECK(cudaEventElapsedTime(&milliseconds, start, end) == cudaSuccess);
    CHECK(milliseconds >= 0);
    cudaEventDestroy(start);
    cudaEventDestroy(end);
    cudaGetLastError();
}

TEST_CASE("deferred: an event that is recorded again is ready with the second recording, and may be destroyed before") {
    const Deferred mode;
    const Stream stream;
    const DeviceArray<int> x(std::vector<int>{0});
    cudaEvent_t event = nullptr;
    cudaEventCreate(&event);
    cudaEventRecord(event, stream.handle);
    launch(set_kernel<0>, 1, 1, 0, stream.handle, x.data(), 1);
    cudaEventRecord(event, stream.handle);
    CHECK(cudaEventQuery(event) == cudaErrorNotReady);  // a question does one piece of work: the first recording
    CHECK(cudaEventQuery(event) == cudaErrorNotReady);
    cudaEventSynchronize(event);
    CHECK(cudaEventQuery(event) == cudaSuccess);
    CHECK(stream.handle->queue.empty());
    launch(set_kernel<0>, 1, 1, 0, stream.handle, x.data(), 2);
    cudaEventRecord(event, stream.handle);
    CHECK(cudaEventDestroy(event) == cudaSuccess);
    CHECK(stream.handle->queue.size() == 2);  // nobody has waited
    cudaStreamSynchronize(stream.handle);
    CHECK(x.host()[0] == 2);
}

TEST_CASE("calls that cost time on a card are counted") {
    const Stream stream;
    const DeviceArray<int> x(std::vector<int>{0});
    const emulator::CallCounts before = emulator::call_counts();
    launch(set_kernel<0>, 1, 1, 0, stream.handle, x.data(), 1);
    cudaStreamSynchronize(stream.handle);
    int *buffer = nullptr, *pinned = nullptr;
    cudaMalloc(&buffer, 4);
    cudaMallocHost(&pinned, 4);
    cudaMemcpyAsync(pinned, x.data(), 4, cudaMemcpyDeviceToHost, stream.handle);
    CHECK(emulator::call_counts().launches == before.launches + 1);
    CHECK(emulator::call_counts().allocations == before.allocations + 2);
    CHECK(emulator::call_counts().waits == before.waits + 1);
    int pageable = 0;
    cudaMemcpyAsync(&pageable, x.data(), 4, cudaMemcpyDeviceToHost, stream.handle);
    cudaFree(buffer);
    cudaFreeHost(pinned);
    CHECK(emulator::call_counts().waits == before.waits + 4);
    CHECK(pageable == 1);
}

TEST_CASE("a wait for an event whose stream is gone") {
    for (const bool deferred : {false, true}) {
        const Deferred mode(deferred);
        cudaEvent_t event = nullptr;
        cudaEventCreate(&event);
        const DeviceArray<int> x(std::vector<int>{0});
        const Stream other;
        {
            const Stream stream;
            launch(set_kernel<0>, 1, 1, 0, stream.handle, x.data(), 1);
            cudaEventRecord(event, stream.handle);
        }
        CHECK(cudaStreamWaitEvent(other.handle, event) == cudaSuccess);
        launch(add_kernel<0>, 1, 1, 0, other.handle, x.data(), 1);
        CHECK(cudaStreamSynchronize(other.handle) == cudaSuccess);
        CHECK(x.host()[0] == 2);
        cudaEventDestroy(event);
    }
}

TEST_CASE("a stream that has been destroyed, or never was") {
    const DeviceArray<int> x(1);
    cudaStream_t gone = nullptr;
    cudaStreamCreate(&gone);
    cudaStreamDestroy(gone);
    CHECK(contains(message_of([&] { launch(set_kernel<0>, 1, 1, 0, gone, x.data(), 1); }),
                   "the stream was never created, or has been destroyed"));
    cudaEvent_t event = nullptr;
    cudaEventCreate(&event);
    int host = 0;
    CHECK(cudaMemcpyAsync(&host, x.data(), 4, cudaMemcpyDeviceToHost, gone) == cudaErrorInvalidResourceHandle);
    CHECK(cudaMemsetAsync(x.data(), 0, 4, gone) == cudaErrorInvalidResourceHandle);
    CHECK(cudaEventRecord(event, gone) == cudaErrorInvalidResourceHandle);
    CHECK(cudaStreamWaitEvent(gone, event) == cudaErrorInvalidResourceHandle);
    CHECK(cudaStreamQuery(gone) == cudaErrorInvalidResourceHandle);
    CHECK(cudaStreamBeginCapture(gone, cudaStreamCaptureModeGlobal) == cudaErrorInvalidResourceHandle);
    CHECK(cudaGetLastError() == cudaErrorInvalidResourceHandle);
    cudaEventDestroy(event);
}

TEST_CASE("an event that has been destroyed, or never was") {
    cudaEvent_t gone = nullptr, never = nullptr;
    cudaEventCreate(&gone);
    CHECK(cudaEventDestroy(gone) == cudaSuccess);
    for (const cudaEvent_t event : {gone, never}) {
        CHECK(cudaEventRecord(event) == cudaErrorInvalidResourceHandle);
        CHECK(cudaEventSynchronize(event) == cudaErrorInvalidResourceHandle);
        CHECK(cudaEventQuery(event) == cudaErrorInvalidResourceHandle);
        CHECK(cudaStreamWaitEvent(nullptr, event) == cudaErrorInvalidResourceHandle);
        CHECK(cudaEventDestroy(event) == cudaErrorInvalidResourceHandle);
        float milliseconds = 0;
        CHECK(cudaEventElapsedTime(&milliseconds, event, event) == cudaErrorInvalidResourceHandle);
    }
    cudaGetLastError();
}

TEST_CASE("a fault inside deferred work comes from the call that waits") {
    const Deferred mode;
    const Stream stream;
    launch(set_kernel<0>, 1, 64, 0, stream.handle, static_cast<int*>(nullptr), 1);
#if !defined(__SANITIZE_ADDRESS__)
    CHECK(contains(message_of([&] { cudaStreamSynchronize(stream.handle); }), "set_kernel<0>: access to address"));
#else
    stream.handle->queue.clear();
#endif
}

TEST_CASE("what destructors call prints the fault of deferred work instead of throwing it") {
    const Deferred mode;
    int* x = nullptr;
    REQUIRE(cudaMalloc(&x, sizeof(int)) == cudaSuccess);
    launch(failing_kernel<0>, 1, 1, 0, nullptr, 1);
    launch(set_kernel<0>, 1, 1, 0, nullptr, x, 1);
    CHECK(cudaFree(x) == cudaErrorLaunchFailure);
    CHECK(cudaGetLastError() == cudaErrorLaunchFailure);
    CHECK(message_of([] { cudaDeviceSynchronize(); }) == "");  // nothing is left
}

TEST_CASE("a host function runs in its turn") {
    const Deferred mode;
    const Stream stream;
    int calls = 0;
    cudaLaunchHostFunc(
        stream.handle, [](void* count) { ++*static_cast<int*>(count); }, &calls);
    CHECK(calls == 0);
    cudaDeviceSynchronize();
    CHECK(calls == 1);
}

TEST_CASE("a captured graph is done when it is launched, as often as it is launched") {
    for (const bool deferred : {false, true}) {
        emulator::settings().deferred_streams = deferred;
        const Stream stream;
        const DeviceArray<int> x(std::vector<int>{0});
        cudaGraph_t graph = nullptr;
        cudaGraphExec_t executable = nullptr;
        CHECK(cudaStreamBeginCapture(stream.handle, cudaStreamCaptureModeGlobal) == cudaSuccess);
        launch(add_kernel<0>, 1, 1, 0, stream.handle, x.data(), 3);
        launch(add_kernel<0>, 1, 1, 0, stream.handle, x.data(), 4);
        CHECK(cudaStreamEndCapture(stream.handle, &graph) == cudaSuccess);
        CHECK(cudaGraphInstantiate(&executable, graph) == cudaSuccess);
        CHECK(x.host()[0] == 0);
        for (int i = 0; i < 3; ++i) CHECK(cudaGraphLaunch(executable, stream.handle) == cudaSuccess);
        cudaStreamSynchronize(stream.handle);
        CHECK(x.host()[0] == 21);
        cudaGraphExecDestroy(executable);
        cudaGraphDestroy(graph);
    }
    emulator::settings() = emulator::Settings{};
}

TEST_CASE("while a stream captures, calls that wait for the card fail, and spoil the capture") {
    const Stream stream(cudaStreamNonBlocking);
    const DeviceArray<int> x(std::vector<int>{0});
    int pageable = 1, *pinned = nullptr, *y = nullptr;
    REQUIRE(cudaMallocHost(&pinned, sizeof(int)) == cudaSuccess);
    cudaEvent_t event = nullptr;
    cudaEventCreate(&event);
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusActive;
    CHECK(cudaStreamIsCapturing(stream.handle, &status) == cudaSuccess);
    CHECK(status == cudaStreamCaptureStatusNone);
    cublasHandle_t handle = nullptr;
    const std::function<bool()> forbidden[] = {
        [&] { return cudaMalloc(&y, 4) == cudaErrorStreamCaptureUnsupported; },
        [&] { return cudaMallocAsync(&y, 4, stream.handle) == cudaErrorStreamCaptureUnsupported; },
        [&] { return cudaMallocHost(&y, 4) == cudaErrorStreamCaptureUnsupported; },
        [&] { return cudaFree(x.data()) == cudaErrorStreamCaptureUnsupported; },
        [&] { return cudaFreeAsync(x.data(), stream.handle) == cudaErrorStreamCaptureUnsupported; },
        [&] { return cudaFreeHost(pinned) == cudaErrorStreamCaptureUnsupported; },
        [&] {
            return cudaMemcpyAsync(x.data(), &pageable, 4, cudaMemcpyHostToDevice, stream.handle) ==
                   cudaErrorStreamCaptureUnsupported;
        },
        [&] {
            return cudaMemcpyAsync(&pageable, x.data(), 4, cudaMemcpyDeviceToHost, stream.handle) ==
                   cudaErrorStreamCaptureUnsupported;
        },
        [&] { return cudaMemcpy(&pageable, x.data(), 4, cudaMemcpyDeviceToHost) == cudaErrorStreamCaptureUnsupported; },
        [&] { return cudaStreamSynchronize(stream.handle) == cudaErrorStreamCaptureUnsupported; },
        [&] { return cudaStreamQuery(stream.handle) == cudaErrorStreamCaptureUnsupported; },
        [&] { return cudaDeviceSynchronize() == cudaErrorStreamCaptureUnsupported; },
        [&] { return cudaEventRecord(event, stream.handle) == cudaErrorStreamCaptureUnsupported; },
        [&] { return cudaStreamWaitEvent(stream.handle, event) == cudaErrorStreamCaptureUnsupported; },
        [&] { return cublasCreate(&handle) == CUBLAS_STATUS_ALLOC_FAILED; },
    };
    int number = 0;
    for (const std::function<bool()>& call : forbidden) {
        INFO("call " << number++);
        cudaGraph_t graph = nullptr;
        REQUIRE(cudaStreamBeginCapture(stream.handle, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
        CHECK(cudaStreamBeginCapture(stream.handle, cudaStreamCaptureModeThreadLocal) == cudaErrorIllegalState);
        CHECK(call());
        CHECK(cudaStreamIsCapturing(stream.handle, &status) == cudaSuccess);
        CHECK(status == cudaStreamCaptureStatusInvalidated);
        CHECK(cudaStreamEndCapture(stream.handle, &graph) == cudaErrorStreamCaptureInvalidated);
        CHECK(graph == nullptr);
    }
    CHECK(x.host()[0] == 0);
    cudaFreeHost(pinned);
    cudaEventDestroy(event);
    cudaGetLastError();
}

TEST_CASE("the mode of a capture: whose calls may not disturb it, and who may end it") {
    const Stream stream(cudaStreamNonBlocking);
    const auto elsewhere = [](const std::function<void()>& body) { std::thread(body).join(); };
    int* x = nullptr;
    cudaError_t here = cudaSuccess, there = cudaSuccess, end_there = cudaSuccess;
    const auto check = [&](cudaStreamCaptureMode mode, bool here_fails, bool there_fails) {
        cudaGraph_t graph = nullptr;
        REQUIRE(cudaStreamBeginCapture(stream.handle, mode) == cudaSuccess);
        elsewhere([&] {
            there = cudaMalloc(&x, 4);
            cudaFree(x);
            end_there = mode == cudaStreamCaptureModeRelaxed ? cudaErrorStreamCaptureWrongThread
                                                             : cudaStreamEndCapture(stream.handle, &graph);
        });
        here = cudaMalloc(&x, 4);
        cudaFree(x);
        CHECK((here == cudaErrorStreamCaptureUnsupported) == here_fails);
        CHECK((there == cudaErrorStreamCaptureUnsupported) == there_fails);
        CHECK(end_there == cudaErrorStreamCaptureWrongThread);
        CHECK((cudaStreamEndCapture(stream.handle, &graph) == cudaSuccess) == (!here_fails && !there_fails));
        cudaGraphDestroy(graph);
    };
    check(cudaStreamCaptureModeGlobal, true, true);
    check(cudaStreamCaptureModeThreadLocal, true, false);
    check(cudaStreamCaptureModeRelaxed, false, false);

    cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;  // a thread may say that it knows what it does
    CHECK(cudaThreadExchangeStreamCaptureMode(&mode) == cudaSuccess);
    CHECK(mode == cudaStreamCaptureModeGlobal);
    check(cudaStreamCaptureModeThreadLocal, false, false);
    CHECK(cudaThreadExchangeStreamCaptureMode(&mode) == cudaSuccess);
    check(cudaStreamCaptureModeThreadLocal, true, false);
    cudaGetLastError();
}

TEST_CASE("copies that pinned memory takes part in are captured, and read it when the graph is launched") {
    const Stream stream(cudaStreamNonBlocking);
    const DeviceArray<int> x(std::vector<int>{0});
    int* pinned = nullptr;
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    REQUIRE(cudaMallocHost(&pinned, sizeof(int)) == cudaSuccess);
    *pinned = 1;
    cudaStreamBeginCapture(stream.handle, cudaStreamCaptureModeGlobal);
    CHECK(cudaMemcpyAsync(x.data(), pinned, 4, cudaMemcpyHostToDevice, stream.handle) == cudaSuccess);
    CHECK(cudaStreamEndCapture(stream.handle, &graph) == cudaSuccess);
    CHECK(cudaGraphInstantiate(&executable, graph) == cudaSuccess);
    *pinned = 7;
    CHECK(cudaGraphLaunch(executable, stream.handle) == cudaSuccess);
    cudaStreamSynchronize(stream.handle);
    CHECK(x.host()[0] == 7);
    cudaGraphExecDestroy(executable);
    cudaGraphDestroy(graph);
    cudaFreeHost(pinned);
}
