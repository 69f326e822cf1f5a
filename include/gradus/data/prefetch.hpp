// data/prefetch.hpp   Makes things on another thread before they are asked for, in order, a few ahead at most.
// Problem  Preparing a batch takes time, in which the network could already work on the one before.
// Answer   One producer, one consumer, a ring of slots: item i is in slot i % slots. The producer may make item i when
//          the consumer has given back item i - slots, the consumer may read it when it is made. Counters say it all:
//              returned_ <= taken_ <= made_ <= returned_ + slots
// A Source has   using Item;  Index count();  void make(Index i, Item&);  void recycle(Item&);
// make() runs on the producer's thread, in order; recycle() on the consumer's, before the slot is used again.
// What make() throws, next() throws when it comes to that item. With GRADUS_NO_THREADS next() calls make() itself.
#pragma once

#include <utility>
#include <vector>

#include "gradus/core/check.hpp"
#include "gradus/core/shape.hpp"

#if !defined(GRADUS_NO_THREADS)
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#endif

namespace gradus::inline GRADUS_ABI {

// Which item is made, and which one the consumer has, whatever the items are.
class PrefetchOrder {
public:
    // Items first, first + 1, ... of `count`, `ahead` of them ready at most, beside the one that the consumer has.
    GRADUS_COLD PrefetchOrder(Index count, Index first, Index ahead)
        : count_(count), returned_(first), made_(first), taken_(first), slots_(slots_for(ahead)) {
        GRADUS_CHECK(first >= 0, "prefetch: cannot start at item ", first);
        GRADUS_CHECK(ahead >= 1, "prefetch: ", ahead, " items ahead, at least 1 is needed");
    }
    PrefetchOrder(const PrefetchOrder&) = delete;
    PrefetchOrder& operator=(const PrefetchOrder&) = delete;

protected:
    ~PrefetchOrder() = default;
    virtual void make(Index i) = 0;
    virtual void recycle(Index i) = 0;
    std::size_t slots() const { return static_cast<std::size_t>(slots_); }

    // The number of the item that is the consumer's now, or -1 after the last.
    Index take() {
        if (returned_ < taken_) recycle(taken_ - 1);
        give_back();
        if (taken_ >= count_) return -1;
        wait_for_item();
        return taken_++;
    }

#if !defined(GRADUS_NO_THREADS)
    // The producer runs from when the derived object is complete to when it begins to go.
    GRADUS_COLD void start() {
        if (made_ < count_) thread_ = std::thread([this] { produce(); });
    }
    GRADUS_COLD void stop() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            stop_ = true;
        }
        changed_.notify_all();
        if (thread_.joinable()) thread_.join();
    }

private:
    static Index slots_for(Index ahead) { return ahead + 1; }

    void give_back() {
        const std::lock_guard<std::mutex> lock(mutex_);
        returned_ = taken_;
        changed_.notify_all();
    }
    void wait_for_item() {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return made_ > taken_ || failed_; });
#if defined(__cpp_exceptions)
        if (made_ == taken_) std::rethrow_exception(error_);
#endif
    }
    void produce() {
        std::unique_lock<std::mutex> lock(mutex_);
        while (made_ < count_) {
            changed_.wait(lock, [this] { return stop_ || made_ < returned_ + slots_; });
            if (stop_) return;
            lock.unlock();
            const bool success = make_next();
            lock.lock();
            made_ += success ? 1 : 0;
            failed_ = !success;
            changed_.notify_all();
            if (failed_) return;
        }
    }
    bool make_next() {
#if defined(__cpp_exceptions)
        try {
            make(made_);
            return true;
        } catch (...) {
            error_ = std::current_exception();
            return false;
        }
#else
        make(made_);
        return true;
#endif
    }

    bool stop_ = false, failed_ = false;
    std::exception_ptr error_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::thread thread_;
#else
    void start() {}
    void stop() {}

private:
    static Index slots_for(Index) { return 1; }
    void give_back() { returned_ = taken_; }
    void wait_for_item() {
        make(taken_);
        made_ = taken_ + 1;
    }
#endif

    Index count_;
    Index returned_;  // items that the consumer is done with: written by it, under the mutex
    Index made_;      // items that are ready: written by the producer, under the mutex
    Index taken_;     // items that the consumer has got: its own
    Index slots_;
};

template <class Source>
class Prefetch final : PrefetchOrder {
public:
    using Item = typename Source::Item;

    GRADUS_COLD Prefetch(Source source, Index first, Index ahead)
        : PrefetchOrder(source.count(), first, ahead), source_(std::move(source)), items_(slots()) {
        start();
    }
    ~Prefetch() { stop(); }

    // The next item, which is the consumer's until it asks for another; nullptr after the last.
    GRADUS_GLUE Item* next() {
        const Index i = take();
        return i < 0 ? nullptr : &item(i);
    }

private:
    void make(Index i) override { source_.make(i, item(i)); }
    void recycle(Index i) override { source_.recycle(item(i)); }
    Item& item(Index i) { return items_[static_cast<std::size_t>(i) % items_.size()]; }

    Source source_;
    std::vector<Item> items_;
};

}  // namespace gradus::inline GRADUS_ABI
