// machine/cpu/thread_pool.hpp   parallel_for: the one pool of threads behind every fast CPU kernel.
//     parallel_for(tasks, [&](Index task) { ... });        task runs from 0 to tasks-1, each once, on any thread
// Problem  A training step is a few hundred short parallel regions with little between them. Waking a sleeping thread
//          costs more than many of them, and how work is shared out must not change a single bit of the result.
// Answer   Workers spin for a millisecond or two before they sleep; threads claim tasks one by one, so a slow thread
//          takes fewer. The partition into tasks is the caller's and depends on shapes alone: who runs a task is
//          chance, what a task computes is not. A region ends when its tasks have: a worker that was asleep, or whose
//          core is busy with another program, finds it closed and is not waited for.
// A region inside another one, or beside one that another thread has open, runs on its own thread. The pool is never
// destroyed, so no destructor races with static objects; after fork() the child starts a pool of its own.
#pragma once

#include "gradus/core/shape.hpp"

#if defined(GRADUS_NO_THREADS)

namespace gradus::inline GRADUS_ABI {

inline int thread_count() { return 1; }
inline void set_threads(int) {}
template <class Body>
void parallel_for(Index tasks, const Body& body) {
    for (Index task = 0; task < tasks; ++task) body(task);
}

}  // namespace gradus::inline GRADUS_ABI

#else

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <pthread.h>

namespace gradus::inline GRADUS_ABI {

class ThreadPool {
public:
    using Call = void (*)(const void* body, Index task);

    explicit ThreadPool(int threads) {
        for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
    }
    // Ends the workers; only set_threads does that.
    void stop() {
        stopping_ = true;
        start_round();
        for (std::thread& worker : workers_) worker.join();
    }
    int threads() const { return static_cast<int>(workers_.size()) + 1; }

    void run(Index tasks, Call call, const void* body) {
        if (tasks <= 1 || workers_.empty() || inside_region() || !region_.try_lock()) {
            for (Index task = 0; task < tasks; ++task) call(body, task);
            return;
        }
        const std::lock_guard<std::mutex> region(region_, std::adopt_lock);
        tasks_ = tasks;
        call_ = call;
        body_ = body;
        next_.store(0, std::memory_order_relaxed);
        inside_.store(0, std::memory_order_release);  // opens the region
        start_round();
        claim_tasks();
        inside_.fetch_or(closed, std::memory_order_relaxed);
        for (int spins = 0; inside_.load(std::memory_order_acquire) != closed; ++spins) relax(spins);
#if defined(__cpp_exceptions)
        if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
#endif
    }

private:
    // Long enough to bridge the serial parts of a training step, short enough not to burn a core of an idle program.
    static constexpr std::chrono::microseconds spin_time{1500};

    static bool& inside_region() {
        static thread_local bool inside = false;
        return inside;
    }
    // A moment of waiting. Other processes may want this core too, so every 64th time it is offered to them.
    static void relax(int spins) {
        if (spins % 64 == 63) std::this_thread::yield();
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }

    void start_round() {
        {
            const std::lock_guard<std::mutex> lock(sleep_);
            round_.fetch_add(1, std::memory_order_release);
        }
        wake_.notify_all();
    }

    void spin_until_round_after(unsigned seen) const {
        const auto start = std::chrono::steady_clock::now();
        for (int spins = 0; round_.load(std::memory_order_acquire) == seen; ++spins) {
            relax(spins);
            if (spins % 64 == 63 && std::chrono::steady_clock::now() - start > spin_time) return;
        }
    }

    void work() {
        for (unsigned seen = 0; !stopping_;) {
            spin_until_round_after(seen);
            if (round_.load(std::memory_order_acquire) == seen) {
                std::unique_lock<std::mutex> lock(sleep_);
                wake_.wait(lock, [&] { return round_.load(std::memory_order_acquire) != seen; });
            }
            seen = round_.load(std::memory_order_acquire);
            if (stopping_) return;
            if (!enter_region()) continue;
            claim_tasks();
            inside_.fetch_sub(1, std::memory_order_release);
        }
    }

    // False where the region is over. What run() wrote before it opened the region is visible after this.
    bool enter_region() {
        unsigned inside = inside_.load(std::memory_order_relaxed);
        while (!(inside & closed))
            if (inside_.compare_exchange_weak(inside, inside + 1, std::memory_order_acquire)) return true;
        return false;
    }

    void claim_tasks() {
        inside_region() = true;
#if defined(__cpp_exceptions)
        try {
            claim_until_done();
        } catch (...) {
            next_.store(tasks_, std::memory_order_relaxed);  // the others need not go on
            const std::lock_guard<std::mutex> lock(sleep_);
            if (!error_) error_ = std::current_exception();
        }
#else
        claim_until_done();
#endif
        inside_region() = false;
    }
    void claim_until_done() {
        for (;;) {
            const Index task = next_.fetch_add(1, std::memory_order_relaxed);
            if (task >= tasks_) return;
            call_(body_, task);
        }
    }

    std::vector<std::thread> workers_;
    std::mutex region_;  // held while a region runs
    std::mutex sleep_;
    std::condition_variable wake_;
    std::atomic<unsigned> round_{0};  // counts regions; a change is the signal to start
    static constexpr unsigned closed = 1u << 31;
    std::atomic<unsigned> inside_{closed};  // how many workers are in the region; `closed` where no more may enter
    std::atomic<bool> stopping_{false};
    std::atomic<Index> next_{0};
    Index tasks_ = 0;
    Call call_ = nullptr;
    const void* body_ = nullptr;
    std::exception_ptr error_;
};

inline std::atomic<ThreadPool*>& thread_pool_pointer() {
    static std::atomic<ThreadPool*> pool{nullptr};
    return pool;
}
inline int& wanted_threads() {
    static int threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    return threads;
}
inline ThreadPool& thread_pool() {
    // Threads do not survive a fork: the child forgets the parent's pool, and makes one when it needs one.
    static const int registered = pthread_atfork(nullptr, nullptr, [] { thread_pool_pointer() = nullptr; });
    static std::mutex making;
    static_cast<void>(registered);
    if (!thread_pool_pointer().load()) {
        const std::lock_guard<std::mutex> lock(making);
        if (!thread_pool_pointer().load()) thread_pool_pointer() = new ThreadPool(wanted_threads());
    }
    return *thread_pool_pointer().load();
}

// The number of threads that regions use, all cores unless set_threads() was called.
inline int thread_count() { return wanted_threads(); }
// To be called outside of any region. More threads than cores are allowed.
inline void set_threads(int threads) {
    GRADUS_CHECK(threads >= 1, "set_threads: needs at least 1 thread, got ", threads);
    if (threads == wanted_threads()) return;
    wanted_threads() = threads;
    if (ThreadPool* pool = thread_pool_pointer().exchange(nullptr)) {
        pool->stop();
        delete pool;
    }
}

template <class Body>
void parallel_for(Index tasks, const Body& body) {
    const ThreadPool::Call call = [](const void* context, Index task) { (*static_cast<const Body*>(context))(task); };
    thread_pool().run(tasks, call, &body);
}

}  // namespace gradus::inline GRADUS_ABI

#endif
