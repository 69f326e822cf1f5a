// machine/cuda/cuda_allocator.hpp   Memory of the card: a caching allocator that counts what lives.
// Problem  cudaMalloc and cudaFree are expensive (Best Practices Guide, "Allocation"); cudaFree waits until the card is
//          idle. A training step frees and allocates the same few hundred buffers again and again.
// Answer   Keep what is freed, and give it out again to whoever asks for the same size. Sizes are rounded up to eighths
//          of a power of two, so at most 1/8 is wasted, 511 bytes of a small buffer. When the card has no more memory,
//          everything that is kept goes back to it, once.
// Order    A buffer belongs to the stream that was current when it was allocated. Its memory may be given out again
//          while kernels that read it are still queued: whoever gets it next is queued behind them in that stream.
//          When a stream ends (cuda_stream.hpp) its memory leaves it: another one may get its address, and would take
//          the memory while the first one's kernels still use it.
// Graphs   A graph (cuda_graph.hpp) uses the buffers that its steps were given, each time it is replayed and long after
//          they were freed. Those of its stream are therefore reserved: they are kept for that stream alone, also when
//          the card is full.
// In the emulator nothing is kept unless a test asks for it: a buffer with exact ends, freed at once, shows an access
// out of bounds or after the end of its life.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "gradus/core/allocator.hpp"
#include "gradus/machine/cuda/current_stream.hpp"

namespace gradus::inline GRADUS_ABI {

class CudaAllocator {
public:
    void* allocate(std::size_t bytes) {
        if (bytes == 0) return nullptr;
        const Lock lock(mutex_);
        const bool keeps = keeps_ || graph_streams_.count(current_stream()) > 0;
        const Buffer buffer{current_stream(), keeps ? rounded(bytes) : bytes, keeps};
        void* const data = take(buffer);
        lent_[data] = buffer;
        stats_.live_bytes += bytes;
        stats_.peak_bytes = std::max(stats_.peak_bytes, stats_.live_bytes);
        return data;
    }

    // Called by destructors, so it does not throw: an error of the card meets the next call too.
    void release(void* data, std::size_t bytes) {
        if (data == nullptr) return;
        const Lock lock(mutex_);
        stats_.live_bytes -= bytes;
        const auto lent = lent_.find(data);
        const Buffer buffer = lent->second;
        lent_.erase(lent);
        if (buffer.is_kept) {
            kept_[{buffer.stream, buffer.size}].push_back(data);
            return;
        }
        stats_.reserved_bytes -= buffer.size;
        static_cast<void>(cudaFreeAsync(data, buffer.stream));
    }

    // Gives everything that is kept back to the card. Waits for the card.
    void release_kept() {
        const Lock lock(mutex_);
        give_back();
    }

    // From now on the buffers of a stream stay in it.
    void reserve(cudaStream_t stream) {
        const Lock lock(mutex_);
        graph_streams_.insert(stream);
    }
    // A stream ends: what is kept for it goes back to the card, what is in use belongs to the current stream. Waits
    // for the stream's work if there is any of either. Called by a destructor, so it does not throw.
    void forget(cudaStream_t stream) {
        const Lock lock(mutex_);
        graph_streams_.erase(stream);
        for (auto kept = kept_.lower_bound({stream, 0}); kept != kept_.end() && kept->first.first == stream;) {
            for (void* data : kept->second) {
                stats_.reserved_bytes -= kept->first.second;
                static_cast<void>(cudaFree(data));
            }
            kept = kept_.erase(kept);
        }
        bool is_in_use = false;
        for (auto& [data, buffer] : lent_) {
            if (buffer.stream != stream) continue;
            buffer.stream = current_stream();
            is_in_use = true;
        }
        if (is_in_use) static_cast<void>(cudaStreamSynchronize(stream));
    }

    // Whether buffers that are allocated from now on are kept when they are freed.
    void set_keeping(bool keeps) {
        const Lock lock(mutex_);
        keeps_ = keeps;
    }

    MemoryStats stats() {
        const Lock lock(mutex_);
        return stats_;
    }
    void reset_peak() {
        const Lock lock(mutex_);
        stats_.peak_bytes = stats_.live_bytes;
    }

private:
    struct Buffer {
        cudaStream_t stream;
        std::size_t size;
        bool is_kept;
    };

    static std::size_t rounded(std::size_t bytes) {
        const std::size_t unit = std::max<std::size_t>(std::bit_floor(bytes) / 8, 512);
        return (bytes + unit - 1) / unit * unit;
    }

    void* take(const Buffer& buffer) {
        if (buffer.is_kept) {
            std::vector<void*>& free = kept_[{buffer.stream, buffer.size}];
            if (!free.empty()) {
                void* const data = free.back();
                free.pop_back();
                return data;
            }
        }
        void* data = nullptr;
        cudaError_t error = ask(&data, buffer);
        if (error == cudaErrorMemoryAllocation) {
            static_cast<void>(cudaGetLastError());
            if (!is_capturing(Cuda{})) {  // cudaFree would end the capture
                give_back();
                error = ask(&data, buffer);
            }
        }
        check_cuda(error, "cudaMalloc", " of ", buffer.size, " bytes, ", stats_.live_bytes, " bytes are in use");
        stats_.reserved_bytes += buffer.size;
        return data;
    }
    // cudaMalloc is forbidden while this thread records a graph, because it may wait for the card, which then waits for
    // nothing that is recorded. That is no matter here, and is said by "relaxed".
    static cudaError_t ask(void** data, const Buffer& buffer) {
        if (!buffer.is_kept) return cudaMallocAsync(data, buffer.size, buffer.stream);
        cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
        check_cuda(cudaThreadExchangeStreamCaptureMode(&mode), "cudaThreadExchangeStreamCaptureMode");
        const cudaError_t error = cudaMalloc(data, buffer.size);
        check_cuda(cudaThreadExchangeStreamCaptureMode(&mode), "cudaThreadExchangeStreamCaptureMode");
        return error;
    }

    void give_back() {
        for (auto kept = kept_.begin(); kept != kept_.end();) {
            if (graph_streams_.count(kept->first.first) > 0) {
                ++kept;
                continue;
            }
            while (!kept->second.empty()) {  // one by one: after an error nobody is to get what has gone back
                void* const data = kept->second.back();
                kept->second.pop_back();
                stats_.reserved_bytes -= kept->first.second;
                check_cuda(cudaFree(data), "cudaFree");
            }
            kept = kept_.erase(kept);
        }
    }

#if defined(GRADUS_EMULATE_CUDA) && !defined(__CUDACC__)
    bool keeps_ = false;
#else
    bool keeps_ = true;
#endif
    Mutex mutex_;
    MemoryStats stats_;
    std::set<cudaStream_t> graph_streams_;
    std::map<void*, Buffer> lent_;
    std::map<std::pair<cudaStream_t, std::size_t>, std::vector<void*>> kept_;  // by stream and size
};

// The one allocator of the process. Leaked on purpose: buffers of static objects may be freed after main has returned.
inline CudaAllocator& cuda_allocator() {
    static CudaAllocator* const allocator = new CudaAllocator;
    return *allocator;
}

}  // namespace gradus::inline GRADUS_ABI
