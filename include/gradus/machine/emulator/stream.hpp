// machine/emulator/stream.hpp   Streams and events: work that waits its turn.
// Problem  On a card a launch or a copy returns at once, and the work happens later: in order within a stream, in any
//          order between streams unless an event says otherwise. A program that forgets to wait usually gets away with
//          it, on the developer's machine.
// Answer   Two modes. Normally work is done when it is queued: simple, and a fault's message comes from the launch.
//          With GRADUS_EMULATOR_STREAMS=deferred work is done as late as the rules allow: when something waits for it.
//          A missing wait then shows every time: the host reads what was there before. Where several streams have
//          work, the one with the newest goes first, so that what waits for no event overtakes what it needs. Work that
//          nobody has waited for when the program ends is never done, and reported.
// The rules (Programming Guide, "Streams", "Default Stream"): a stream works in order; the default stream waits for all
// earlier work of the others, and they for it, except those created with cudaStreamNonBlocking. Every piece of work has
// a ticket, its number in the order of queueing; "earlier" means a smaller ticket.
#pragma once

#include <deque>
#include <functional>
#include <mutex>
#include <set>

#include "gradus/machine/emulator/block.hpp"
#include "gradus/machine/emulator/call_counts.hpp"
#include "gradus/machine/emulator/device_memory.hpp"

namespace gradus::inline GRADUS_ABI::cuda_names {

struct StreamWork {
    std::uint64_t ticket;
    std::function<void()> run;
};
struct CUgraph_st {
    std::vector<std::function<void()>> work;  // in the order of its capture
};
enum cudaStreamCaptureMode {               // whose calls may not disturb a capture (stream_api.hpp)
    cudaStreamCaptureModeGlobal = 0,       // those of all threads
    cudaStreamCaptureModeThreadLocal = 1,  // those of the thread that began it
    cudaStreamCaptureModeRelaxed = 2,      // nobody's
};
struct StreamCapture {
    std::thread::id thread;
    cudaStreamCaptureMode mode;
    bool is_invalid = false;  // a forbidden call was made
    CUgraph_st graph;
};
struct CUstream_st {
    bool is_blocking = true;  // takes part in the rules of the default stream
    std::deque<StreamWork> queue;
    std::unique_ptr<StreamCapture> capture;  // where work goes, between cudaStreamBeginCapture and -EndCapture
};
struct CUevent_st {
    CUstream_st* stream = nullptr;  // where it was recorded last; null: never
    std::uint64_t ticket = 0;
    std::uint64_t recordings = 0, reached = 0;  // how often it was recorded, and how many of these streams came to
    bool is_done = true;                        // with the last of them
    bool is_destroyed = false;                  // but still queued
    std::chrono::steady_clock::time_point time;
};
using cudaEvent_t = CUevent_st*;

}  // namespace gradus::inline GRADUS_ABI::cuda_names

namespace gradus::inline GRADUS_ABI::emulator {

using cuda_names::cudaEvent_t;
using cuda_names::cudaStream_t;

inline constexpr std::uint64_t everything = ~std::uint64_t{0};

void report_forgotten_work();  // below

class Streams {
public:
    Streams() { std::atexit(report_forgotten_work); }

    // One piece of the device's work at a time: calls from several host threads take turns.
    std::recursive_mutex mutex;

    cudaStream_t default_stream() { return &default_; }
    cudaStream_t resolve(cudaStream_t stream) { return stream == nullptr ? &default_ : stream; }
    bool is_known(cudaStream_t stream) const { return stream == nullptr || all_.count(stream) > 0; }

    cudaStream_t create(bool is_blocking) {
        auto* stream = new cuda_names::CUstream_st;
        stream->is_blocking = is_blocking;
        all_.insert(stream);
        return stream;
    }
    void destroy(cudaStream_t stream) {  // its work must be done
        all_.erase(stream);
        delete stream;
    }

    std::set<cudaEvent_t> events;  // that were created and not destroyed
    bool is_known(cudaEvent_t event) const { return events.count(event) > 0; }

    // Returns the ticket.
    std::uint64_t enqueue(cudaStream_t given, std::function<void()> work) {
        if (!is_known(given)) fail("work for a stream that was never created, or has been destroyed");
        cudaStream_t stream = resolve(given);
        if (stream->capture != nullptr) {
            stream->capture->graph.work.push_back(std::move(work));
            return next_ticket_;
        }
        stream->queue.push_back({next_ticket_++, std::move(work)});
        if (!settings().deferred_streams) run(stream, everything);
        return next_ticket_ - 1;
    }

    // Whether this thread may not make a call that could wait for the card, because somebody captures. The capture is
    // then invalid: what its program does next is not what it would have done.
    bool disturbs_capture() {
        if (capture_mode_of_this_thread() == cuda_names::cudaStreamCaptureModeRelaxed) return false;
        bool disturbs = false;
        for (cudaStream_t stream : all_) {
            cuda_names::StreamCapture* const capture = stream->capture.get();
            if (capture == nullptr || capture->mode == cuda_names::cudaStreamCaptureModeRelaxed) continue;
            if (capture->mode == cuda_names::cudaStreamCaptureModeThreadLocal &&
                capture->thread != std::this_thread::get_id())
                continue;
            capture->is_invalid = disturbs = true;
        }
        return disturbs;
    }
    // The same for a call that has to do with one stream, whose work does not happen before it has been captured.
    bool disturbs_capture_of(cudaStream_t given) {
        cudaStream_t stream = resolve(given);
        if (stream->capture == nullptr) return false;
        stream->capture->is_invalid = true;
        return true;
    }
    static cuda_names::cudaStreamCaptureMode& capture_mode_of_this_thread() {
        static constinit thread_local auto mode = cuda_names::cudaStreamCaptureModeGlobal;
        return mode;
    }

    // Does a stream's work up to and with a ticket, and before each piece what the default stream's rules ask for.
    void run(cudaStream_t stream, std::uint64_t last_ticket) {
        while (!stream->queue.empty() && stream->queue.front().ticket <= last_ticket) run_first(stream);
    }
    void run_first(cudaStream_t stream) {
        const cuda_names::StreamWork first = std::move(stream->queue.front());
        stream->queue.pop_front();
        if (stream == &default_) {
            run_others(first.ticket, false);
        } else if (stream->is_blocking) {
            run(&default_, first.ticket);
        }
        first.run();
    }
    void run_all() {
        run_others(everything, true);
        run(&default_, everything);
    }
    std::size_t pieces_of_work() const {
        std::size_t pieces = default_.queue.size();
        for (const cudaStream_t stream : all_) pieces += stream->queue.size();
        return pieces;
    }

private:
    // Does the work up to a ticket of all streams but the default one. The stream whose newest work is the newest of
    // all comes first: in the order of their creation, or of their addresses, a missing event would show only by
    // chance.
    void run_others(std::uint64_t last_ticket, bool non_blocking_too) {
        for (;;) {
            cudaStream_t newest = nullptr;
            for (const cudaStream_t stream : all_) {
                const bool has_work = !stream->queue.empty() && stream->queue.front().ticket <= last_ticket;
                if (!has_work || !(stream->is_blocking || non_blocking_too)) continue;
                if (newest == nullptr || stream->queue.back().ticket > newest->queue.back().ticket) newest = stream;
            }
            if (newest == nullptr) return;
            run(newest, last_ticket);
        }
    }

    cuda_names::CUstream_st default_;
    std::set<cudaStream_t> all_;  // without the default
    std::uint64_t next_ticket_ = 1;
};

inline Streams& streams() {
    static Streams* const instance = new Streams;  // never destroyed
    return *instance;
}

inline void report_forgotten_work() {
    const std::size_t pieces = streams().pieces_of_work();
    if (pieces == 0) return;
    std::fprintf(stderr,
                 "gradus emulator: at the end of the program: %zu piece%s of work %s queued and never waited for\n",
                 pieces, pieces == 1 ? "" : "s", pieces == 1 ? "was" : "were");
}

// For calls that destructors make, cudaFree and others: does all the work; what goes wrong in it is printed, not
// thrown.
inline cudaError_t run_all_without_throwing() {
    for (cudaError_t result = cuda_names::cudaSuccess;;) {
        try {
            streams().run_all();
            return result;
        } catch (const Error& error) {
            std::fprintf(stderr, "gradus emulator: %s\n", error.what());
            result = remember(cuda_names::cudaErrorLaunchFailure);
        }
    }
}

}  // namespace gradus::inline GRADUS_ABI::emulator
