// Covers cuda_graph.hpp: what is captured is done when it is replayed, and what cannot be captured is an Error.
#include "gradus/machine/cuda/cuda_graph.hpp"

#include <string>
#include <thread>
#include <vector>

#include "gradus/core/tensor.hpp"
#include "gradus/elementwise/dropout_cuda.cuh"
#include "gradus/machine/cuda/cublas.hpp"
#include "gradus/machine/cuda/cuda_memory.hpp"
#include "gradus/training/clip_grad_cuda.cuh"
#include "gradus/training/sgd_cuda.cuh"
#include "gradus/training/unscale_cuda.cuh"
#include "machine/emulator/emulator_checks.hpp"

using namespace gradus;

namespace {

template <int>
__global__ void __launch_bounds__(32) double_kernel(float* x) {
    x[threadIdx.x] *= 2;
}
void twice(Tensor<float, Cuda>& x) { launch(double_kernel<0>, 1, 32, 0, current_stream(), x.mutable_data()); }

// The message of a capture of this step; the graph can be used afterwards.
template <class Step>
std::string refusal(const Step& step) {
    CudaGraph graph;
    const std::string message = message_of([&] { graph.capture(step); });
    CHECK(!is_capturing(Cuda{}));
    Tensor<float, Cuda> x = Tensor<float, Cuda>::ones({32});
    graph.capture([&] { twice(x); });
    graph.replay();
    CHECK(x.to_vector() == std::vector<float>(32, 2.0f));
    return message;
}

}  // namespace

TEST_CASE("a captured step is done when it is replayed, with one launch") {
    for (const bool deferred : {false, true}) {
        const Deferred mode(deferred);
        Tensor<float, Cuda> x = Tensor<float, Cuda>::ones({32});
        CudaGraph graph;
        graph.run([&] { twice(x); });
        CHECK(x.to_vector() == std::vector<float>(32, 2.0f));
        graph.capture([&] {
            CHECK(is_capturing(Cuda{}));
            twice(x);
            twice(x);
        });
        CHECK(!is_capturing(Cuda{}));
        CHECK(x.to_vector() == std::vector<float>(32, 2.0f));
#if defined(__CUDACC__)
        for (int i = 0; i < 3; ++i) graph.replay();
#else
        const emulator::CallCounts before = emulator::call_counts();
        for (int i = 0; i < 3; ++i) graph.replay();
        CHECK(emulator::call_counts().launches == before.launches);
        CHECK(emulator::call_counts().graph_launches == before.graph_launches + 3);
        CHECK(emulator::call_counts().waits == before.waits);
#endif
        CHECK(x.to_vector() == std::vector<float>(32, 128.0f));
        CHECK_THROWS_WITH_AS(graph.capture([] {}), "cuda graph: a step has been captured already", Error);
    }
    CudaGraph empty;
    CHECK_THROWS_WITH_AS(empty.replay(), "cuda graph: no step has been captured", Error);
}

TEST_CASE("run() is in order with the current stream") {
    const Deferred mode;
    const CudaStream stream;
    CudaGraph graph;
    Tensor<float, Cuda> x = Tensor<float, Cuda>::ones({32}), y({32});
    cudaDeviceSynchronize();
    const StreamScope scope(stream.get());
    twice(x);
    graph.run([&] {
        y.copy_from(x);
        CHECK(y.to_vector() == std::vector<float>(32, 2.0f));  // waits for the graph's stream alone
    });
    twice(y);
    CHECK(y.to_vector() == std::vector<float>(32, 4.0f));
}

TEST_CASE("a graph's memory stays its own: nobody else gets what its step has freed") {
    CudaAllocator& allocator = cuda_allocator();
    allocator.set_keeping(false);  // on a card it keeps from the beginning
    allocator.release_kept();
    const MemoryStats before = allocator.stats();
    Tensor<float, Cuda> x = Tensor<float, Cuda>::ones({32}), y = x.clone(), kept;
    const void* scratch = nullptr;
    {
        CudaGraph graph;
        graph.capture([&] {
            Tensor<float, Cuda> z = x.clone();
            scratch = z.data();
            twice(z);
            y.copy_from(z);
            kept = y.clone();
        });
        CHECK(allocator.stats().live_bytes == before.live_bytes + 3 * 128);
        CHECK(allocator.stats().reserved_bytes == before.reserved_bytes + 2 * 128 + 2 * 512);
        allocator.release_kept();
#if !defined(__CUDACC__)
        CHECK(emulator::device_memory().find(scratch).bytes == 512);
#endif
        allocator.set_keeping(true);
        std::vector<Tensor<float, Cuda>> others(4);
        for (Tensor<float, Cuda>& other : others) {
            other = Tensor<float, Cuda>::zeros({32});
            CHECK(other.data() != scratch);
        }
        allocator.set_keeping(false);
        graph.replay();
        CHECK(y.to_vector() == std::vector<float>(32, 2.0f));
        for (const Tensor<float, Cuda>& other : others) CHECK(other.to_vector() == std::vector<float>(32, 0.0f));
    }
#if !defined(__CUDACC__)
    CHECK(emulator::device_memory().find(scratch).bytes == 0);
#endif
    CHECK(kept.to_vector() == std::vector<float>(32, 2.0f));  // outlives the graph
    const void* const memory = kept.data();
    x = y = kept = {};
    allocator.set_keeping(true);
    CHECK((Tensor<float, Cuda>({32}).data() == memory));  // it belongs to this stream now
    allocator.set_keeping(false);
    allocator.release_kept();
    CHECK(allocator.stats().live_bytes == before.live_bytes);
    CHECK(allocator.stats().reserved_bytes == before.reserved_bytes);
}

TEST_CASE("what waits for the card cannot be captured; the Error names the call and the operation") {
    const std::string not_permitted = std::string(": ") + cudaGetErrorString(cudaErrorStreamCaptureUnsupported);
    const Tensor<float, Cuda> x = Tensor<float, Cuda>::ones({1});
    CHECK(refusal([&] { x.item(); }) == "cuda: cudaMemcpyAsync of 4 bytes" + not_permitted);
    CHECK(refusal([] {
              Tensor<float, Cuda>::from({2}, {1, 2});
          }) == "cuda: cudaMemcpyAsync of 8 bytes" + not_permitted);
    Variable<float, Cuda> w(x.clone(), true);
    w.mutable_grad() = x;
    CHECK(refusal([&] { unscale_gradients<float, Cuda>({{{w}}}, 8); }) ==
          "cuda: cudaMemcpyAsync of 8 bytes in unscale_gradients" + not_permitted);
    CHECK(refusal([&] { clip_grad_norm<float, Cuda>({{{w}}}, 1); }) ==
          "cuda: cudaMemcpyAsync of 8 bytes in clip_grad_norm" + not_permitted);
    CHECK(refusal([] { synchronize(); }) == "cuda: cudaStreamSynchronize: a kernel queued before" + not_permitted);
    CHECK(refusal([] { check_cuda(cudaDeviceSynchronize(), "cudaDeviceSynchronize"); }) ==
          "cuda: cudaDeviceSynchronize" + not_permitted);
    // Who does not look is told at the end.
    CHECK(refusal([] { static_cast<void>(cudaDeviceSynchronize()); }) ==
          std::string("cuda: cudaStreamEndCapture: ") + cudaGetErrorString(cudaErrorStreamCaptureInvalidated));
}

TEST_CASE(
    "a card that is full while a step is captured: nothing can be given back then, and the Error says what is "
    "missing") {
    cuda_allocator().set_keeping(true);
    { const Tensor<float, Cuda> kept({32}); }
    cuda_allocator().set_keeping(false);
    const std::string message = refusal([] { const Tensor<float, Cuda> x({Index{1} << 48}); });
    CHECK_MESSAGE(message.find("cuda: cudaMalloc of 1125899906842624 bytes") == 0, message);
    CHECK(contains(message, cudaGetErrorString(cudaErrorMemoryAllocation)));
    cuda_allocator().release_kept();
}

TEST_CASE(
    "tensors of a constant and copies on the card can be captured, with memory that nobody has asked for before") {
    Tensor<float, Cuda> y({5});
    CudaGraph graph;
    graph.capture([&] { y = Tensor<float, Cuda>::full({5}, 3).clone(); });
    graph.replay();
    CHECK(y.to_vector() == std::vector<float>(5, 3.0f));
}

TEST_CASE("what a step does once, or differently each time, cannot be captured") {
    const Tensor<float, Cuda> a = Tensor<float, Cuda>::ones({2, 2});
    CHECK(contains(refusal([&] {
                       Tensor<float, Cuda> c({2, 2});
                       cuda_gemm(a.read<2>(), Transpose::no, a.read<2>(), Transpose::no, c.write<2>(),
                                 Write::overwrite);
                   }),
                   "run the step once before it is captured"));
    CHECK(contains(refusal([&] { dropout(Variable<float, Cuda>(a), 0.5); }), "dropout: a graph would draw the same"));
    Variable<float, Cuda> w(a.clone(), true);
    w.mutable_grad() = a;
    Sgd<float, Cuda> sgd({w}, {.momentum = 0.9});
    CHECK(contains(refusal([&] { sgd.step(0.1); }), "sgd: the first step with momentum differs"));
}

TEST_CASE("another thread may allocate and wait while this one captures") {
    Tensor<float, Cuda> x = Tensor<float, Cuda>::ones({32});
    CudaGraph graph;
    graph.capture([&] {
        twice(x);
        std::thread([] { CHECK(Tensor<float, Cuda>::from({2}, {1, 2}).to_vector()[1] == 2); }).join();
    });
    graph.replay();
    CHECK(x.to_vector()[0] == 2);
}
