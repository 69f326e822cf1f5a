// machine/cuda/cuda_graph.hpp   A step of training as one launch: it is recorded once and replayed for every batch.
//     Tensor<float, Cuda> images({32, 8, 8, 1}), rate(Shape{});                    loader: batches of 32, drop_last
//     Tensor<std::int64_t, Cuda> labels({32});
//     Variable<float, Cuda> loss;
//     const auto step = [&] {
//         sgd.zero_grad();
//         loss = cross_entropy(net(Variable<float, Cuda>(images)), labels);
//         loss.backward();
//         sgd.step(rate);
//     };
//     CudaGraph graph;
//     for (const Batch<float, Cuda>& batch : loader.epoch(0)) {
//         images.copy_from(batch.images), labels.copy_from(batch.labels);
//         rate.copy_from(Tensor<float, Cuda>::scalar(lr));
//         if (batch.number == 1) graph.capture(step);                              recorded, not done
//         if (batch.number == 0) graph.run(step); else graph.replay();
//     }
// Problem  A step is many launches: of ResNet-8 more than a hundred. Each takes the host some time, and where the
//          kernels are as short as that, with small networks or small batches, the card waits for the host.
// Answer   A stream can record what is queued in it: which kernels, with which arguments, in which order. The card then
//          gets all of it at once (Programming Guide, "CUDA Graphs").
// What is recorded is the work of the card alone, so a step must be such that the host would queue the same again:
//     inputs     come from the same memory: tensors that are made before, and written to between two replays. So does
//                the learning rate, a tensor of one element; as a number it would be recorded as it was.
//     shapes     are those of the capture, which a shorter last batch has not: drop_last leaves it out.
//     outputs    are tensors that outlive the step, like `loss` above. Each replay writes to the same memory.
//     gradients  begin anew with zero_grad() in the step. Without it every replay adds to them.
//     memory     that is allocated in the step stays reserved until the graph ends (cuda_allocator.hpp, Graphs).
//     waiting    is an Error that names the call and the operation: item(), accuracy(), a tensor from values of the
//                host, clip_grad_norm, the question whether the gradients of a scaled loss are finite. So a step in
//                Half is not for a graph; in float and BFloat16 nothing has to be scaled.
//     run()      comes first, because some things happen once: cuBLAS takes memory, a velocity begins.
//     dropout    is an Error: its random numbers would be the same in every replay.
//     labels     that are no class go unnoticed; a Loader has checked those of its data set.
// A graph belongs to the thread that captures it. Replays, and what uses the same tensors, go to one stream or to
// streams that wait for each other.
#pragma once

#include "gradus/machine/cuda/cuda_allocator.hpp"
#include "gradus/machine/cuda/cuda_stream.hpp"

namespace gradus::inline GRADUS_ABI {

class CudaGraph {
public:
    CudaGraph() { cuda_allocator().reserve(stream_.get()); }
    ~CudaGraph() {
        if (executable_ != nullptr) static_cast<void>(cudaGraphExecDestroy(executable_));  // when it is done
    }  // and then the stream lets go of its memory
    CudaGraph(const CudaGraph&) = delete;
    CudaGraph& operator=(const CudaGraph&) = delete;

    // Does the step once, in the graph's stream and with its memory, in order with the current stream.
    template <class Step>
    void run(Step&& step) {
        const cudaStream_t outside = current_stream();
        CudaEvent begins, ends;
        begins.record(outside);
        begins.make_wait(stream_.get());
        {
            const StreamScope scope(stream_.get());
            step();
        }
        ends.record(stream_.get());
        ends.make_wait(outside);
    }

    // Records the step. Errors: there is one already, or the step does what cannot be recorded.
    template <class Step>
    void capture(Step&& step) {
        GRADUS_CHECK(executable_ == nullptr, "cuda graph: a step has been captured already");
        const StreamScope scope(stream_.get());
        Capture capture(stream_.get());
        step();
        const cudaGraph_t graph = capture.end();
        check_cuda(cudaGraphInstantiate(&executable_, graph, 0), "cudaGraphInstantiate");
    }

    // Queues the step in the current stream.
    void replay() {
        GRADUS_CHECK(executable_ != nullptr, "cuda graph: no step has been captured");
        check_cuda(cudaGraphLaunch(executable_, current_stream()), "cudaGraphLaunch");
    }

private:
    // Ends also where the step throws. Thread-local: other threads, the loader's, may do what they like.
    class Capture {
    public:
        explicit Capture(cudaStream_t stream) : stream_(stream) {
            check_cuda(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
        }
        ~Capture() {
            if (!has_ended_) static_cast<void>(cudaStreamEndCapture(stream_, &graph_));
            static_cast<void>(cudaGetLastError());
            if (graph_ != nullptr) static_cast<void>(cudaGraphDestroy(graph_));
        }
        Capture(const Capture&) = delete;
        Capture& operator=(const Capture&) = delete;
        cudaGraph_t end() {
            has_ended_ = true;
            check_cuda(cudaStreamEndCapture(stream_, &graph_), "cudaStreamEndCapture");
            return graph_;
        }

    private:
        cudaStream_t stream_;
        cudaGraph_t graph_ = nullptr;
        bool has_ended_ = false;
    };

    CudaStream stream_;
    cudaGraphExec_t executable_ = nullptr;
};

}  // namespace gradus::inline GRADUS_ABI
