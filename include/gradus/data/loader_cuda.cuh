// data/loader_cuda.cuh   Batches for a card: copied while it computes on the batch before.
// DeviceBatches is declared in loader.hpp; what recycle() is for says prefetch.hpp.
// Problem  A copy that the card and the host wait for adds its time to every step.
// Answer   Three that work at the same time, each a little ahead of the next:
//              the loader's thread   makes batch i in pinned memory and queues its copy;
//              the copy stream       copies it to the card;
//              the compute stream    works on batch i - 1, or an earlier one.
// Order    A slot holds a batch twice, in pinned memory and on the card, and is used again and again. Nobody may run
//          ahead of the one whose memory he touches:
//          (1) the thread writes to pinned memory after the last copy out of it;    the buffer's own event
//              (pinned_memory.hpp); it waits, nobody else does
//          (2) a copy writes to the card after the step that used the old batch;    event `released`
//          (3) a step reads the batch after its copy;                               event `copied`
//          (2) and (3) are waits of a stream for an event: the thread that trains is never stopped.
// Memory   Each slot keeps its own: within an epoch nothing is allocated after the first batches, except for a last
//          batch that is shorter. The card's part belongs to the compute stream (cuda_allocator.hpp). New device memory
//          may still be read by kernels queued earlier in that stream; make_room() therefore records `released` there.
//          Before a slot frees its memory the compute stream waits for `copied`.
// Cost     prefetch + 1 batches of memory on the card, as many on the host.
#pragma once

#include "gradus/data/loader.hpp"
#include "gradus/machine/cuda/cuda_memory.hpp"
#include "gradus/machine/cuda/pinned_memory.hpp"

namespace gradus::inline GRADUS_ABI {

template <class T>
struct CudaBatchSlot {
    explicit CudaBatchSlot(cudaStream_t stream) : compute(stream) {}
    // Before the memory goes back: an epoch may end in the middle. Not checked, like everything that destructors call.
    ~CudaBatchSlot() { static_cast<void>(cudaStreamWaitEvent(compute, copied.get(), 0)); }
    CudaBatchSlot(const CudaBatchSlot&) = delete;
    CudaBatchSlot& operator=(const CudaBatchSlot&) = delete;

    cudaStream_t compute;  // the stream in which the epoch is used
    Batch<T, PinnedHost> host;
    Batch<T, Cuda> device;
    CudaEvent released, copied;
};

// A source for Prefetch.
template <class T>
class DeviceBatches<T, Cuda> {
public:
    using Item = std::unique_ptr<CudaBatchSlot<T>>;

    DeviceBatches(const Dataset& data, const LoaderOptions& options, Index epoch)
        : batches_(data, options, epoch), compute_(current_stream()) {}

    Index count() const { return batches_.count(); }

    void make(Index i, Item& item) {
        if (!item) item = std::make_unique<CudaBatchSlot<T>>(compute_);
        CudaBatchSlot<T>& slot = *item;
        wait_for_copy(slot.host.images.data());  // (1)
        wait_for_copy(slot.host.labels.data());
        batches_.make(i, slot.host);
        make_room(slot);
        slot.released.make_wait(copies_.get());  // (2)
        copy_from_pinned(slot.device.images.mutable_data(), slot.host.images.data(), slot.host.images.bytes(),
                         copies_.get());
        copy_from_pinned(slot.device.labels.mutable_data(), slot.host.labels.data(), slot.host.labels.bytes(),
                         copies_.get());
        slot.copied.record(copies_.get());
        slot.device.indices = slot.host.indices;
        slot.device.number = slot.host.number;
    }

    // Called when the last step on the batch has been queued. A tensor that somebody has kept is his from now on.
    void recycle(Item& item) {
        batches_.recycle(item->device);
        item->released.record(compute_);
    }

private:
    void make_room(CudaBatchSlot<T>& slot) {
        const StreamScope scope(compute_);
        const Shape& images = slot.host.images.shape();
        if (slot.device.images.defined() && slot.device.labels.defined() && slot.device.images.shape() == images)
            return;
        slot.device.images = Tensor<T, Cuda>(images);
        slot.device.labels = Tensor<std::int64_t, Cuda>({images[0]});
        slot.released.record(compute_);
    }

    EpochBatches<T, PinnedHost> batches_;
    cudaStream_t compute_;
    CudaStream copies_;
};

// The batch of a slot, for what is queued from now on.
template <class T>
const Batch<T, Cuda>& received(const std::unique_ptr<CudaBatchSlot<T>>& slot) {
    GRADUS_CHECK(current_stream() == slot->compute, "loader: an epoch is used in the stream in which it was begun");
    slot->copied.make_wait(slot->compute);  // (3)
    return slot->device;
}

}  // namespace gradus::inline GRADUS_ABI
