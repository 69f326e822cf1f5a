// machine/cuda/pinned_memory.hpp   Memory of the host that a card copies from while the host goes on.
//     Tensor<float, PinnedHost> x(shape);                                     the host fills it through mutable_data()
//     copy_from_pinned(target, x.data(), x.bytes(), stream);                  returns at once
// Problem  A card reads the host's memory at addresses that do not move. Ordinary memory, which the system may page
//          out, is copied twice: into a piece of the driver's and from there to the card, and the host waits for it.
// Answer   Memory that is pinned to its place, by cudaHostAlloc. That call takes milliseconds, so what is freed is kept
//          for the next of the same size.
// Order    A copy out of such memory may still be on its way when the host wants to write there again, or frees it. So
//          every buffer has an event that marks its last copy. wait_for_copy() waits for it; memory that is given out
//          again has no copy pending.
#pragma once

#include <deque>
#include <map>
#include <memory>

#include "gradus/core/allocator.hpp"
#include "gradus/core/storage.hpp"
#include "gradus/machine/cuda/cuda_stream.hpp"

namespace gradus::inline GRADUS_ABI {

// A place for tensors that the host fills. Not a device to compute on.
struct PinnedHost {
    static constexpr const char* name = "pinned";
};

class PinnedAllocator {
public:
    void* allocate(std::size_t bytes) {
        if (bytes == 0) return nullptr;
        Buffer buffer = take(rounded(bytes));
        buffer.copied->wait_on_host();
        void* const data = buffer.data;
        const Lock lock(mutex_);
        lent_[data] = std::move(buffer);
        return data;
    }
    void release(void* data, std::size_t bytes) {
        if (data == nullptr) return;
        const Lock lock(mutex_);
        const auto lent = lent_.find(data);
        kept_[rounded(bytes)].push_back(std::move(lent->second));
        lent_.erase(lent);
    }
    // The event of the buffer that begins here.
    CudaEvent& event_of(const void* data) {
        const Lock lock(mutex_);
        const auto lent = lent_.find(data);
        GRADUS_CHECK(lent != lent_.end(), "pinned memory: no buffer begins here");
        return *lent->second.copied;
    }

private:
    struct Buffer {
        void* data = nullptr;
        std::unique_ptr<CudaEvent> copied;
    };
    static std::size_t rounded(std::size_t bytes) { return (bytes + 4095) / 4096 * 4096; }  // pages

    // The one that was freed first: its copy is the first to be done.
    Buffer take(std::size_t size) {
        {
            const Lock lock(mutex_);
            std::deque<Buffer>& free = kept_[size];
            if (!free.empty()) {
                Buffer buffer = std::move(free.front());
                free.pop_front();
                return buffer;
            }
        }
        Buffer buffer{nullptr, std::make_unique<CudaEvent>()};
        check_cuda(cudaHostAlloc(&buffer.data, size, cudaHostAllocDefault), "cudaHostAlloc", " of ", size, " bytes");
        return buffer;
    }

    Mutex mutex_;
    std::map<const void*, Buffer> lent_;
    std::map<std::size_t, std::deque<Buffer>> kept_;  // by size
};

// The one allocator of the process. Leaked on purpose, as the others.
inline PinnedAllocator& pinned_allocator() {
    static PinnedAllocator* const allocator = new PinnedAllocator;
    return *allocator;
}

inline void* allocate_bytes(PinnedHost, std::size_t bytes) { return pinned_allocator().allocate(bytes); }
inline void release_bytes(PinnedHost, void* data, std::size_t bytes) { pinned_allocator().release(data, bytes); }

// Queues a copy to the card from the beginning of a buffer.
inline void copy_from_pinned(void* target, const void* source, std::size_t bytes, cudaStream_t stream) {
    if (bytes == 0) return;
    check_cuda(cudaMemcpyAsync(target, source, bytes, cudaMemcpyHostToDevice, stream), "cudaMemcpyAsync", " of ", bytes,
               " bytes");
    pinned_allocator().event_of(source).record(stream);
}
// Returns when the last copy from the buffer is done.
inline void wait_for_copy(const void* source) {
    if (source != nullptr) pinned_allocator().event_of(source).wait_on_host();
}

}  // namespace gradus::inline GRADUS_ABI
