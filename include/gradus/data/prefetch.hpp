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

#if !defined(GRADUS_NO_THREADS)
template <class Source>
class Prefetch {
public:
    using Item = typename Source::Item;

    // Items first, first + 1, ... of the source, `ahead` of them ready at most, beside the one that the consumer has.
    GRADUS_COLD Prefetch(Source source, Index first, Index ahead)
        : source_(std::move(source)), count_(source_.count()), returned_(first), made_(first), taken_(first) {
        GRADUS_CHECK(first >= 0, "prefetch: cannot start at item ", first);
        GRADUS_CHECK(ahead >= 1, "prefetch: ", ahead, " items ahead, at least 1 is needed");
        slots_.resize(static_cast<std::size_t>(ahead + 1));
        if (first < count_) thread_ = std::thread([this] { produce(); });
    }
    ~Prefetch() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            stop_ = true;
        }
        changed_.notify_all();
        if (thread_.joinable()) thread_.join();
    }
    Prefetch(const Prefetch&) = delete;
    Prefetch& operator=(const Prefetch&) = delete;

    // The next item, which is the consumer's until it asks for another; nullptr after the last.
    Item* next() {
        if (returned_ < taken_) source_.recycle(slot(taken_ - 1));
        std::unique_lock<std::mutex> lock(mutex_);
        returned_ = taken_;
        changed_.notify_all();
        if (taken_ >= count_) return nullptr;
        changed_.wait(lock, [this] { return made_ > taken_ || failed_; });
#if defined(__cpp_exceptions)
        if (made_ == taken_) std::rethrow_exception(error_);
#endif
        return &slot(taken_++);
    }

private:
    Item& slot(Index i) { return slots_[static_cast<std::size_t>(i) % slots_.size()]; }

    void produce() {
        const Index slots = static_cast<Index>(slots_.size());
        std::unique_lock<std::mutex> lock(mutex_);
        while (made_ < count_) {
            changed_.wait(lock, [this, slots] { return stop_ || made_ < returned_ + slots; });
            if (stop_) return;
            lock.unlock();
            const bool success = make_item();
            lock.lock();
            made_ += success ? 1 : 0;
            failed_ = !success;
            changed_.notify_all();
            if (failed_) return;
        }
    }

    bool make_item() {
#if defined(__cpp_exceptions)
        try {
            source_.make(made_, slot(made_));
            return true;
        } catch (...) {
            error_ = std::current_exception();
            return false;
        }
#else
        source_.make(made_, slot(made_));
        return true;
#endif
    }

    Source source_;
    std::vector<Item> slots_;
    Index count_;
    Index returned_;  // items that the consumer is done with: written by it, under the mutex
    Index made_;      // items that are ready: written by the producer, under the mutex
    Index taken_;     // items that the consumer has got: its own
    bool stop_ = false, failed_ = false;
    std::exception_ptr error_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::thread thread_;
};
#else
template <class Source>
class Prefetch {
public:
    using Item = typename Source::Item;

    GRADUS_COLD Prefetch(Source source, Index first, Index ahead)
        : source_(std::move(source)), count_(source_.count()), returned_(first), taken_(first) {
        GRADUS_CHECK(first >= 0, "prefetch: cannot start at item ", first);
        GRADUS_CHECK(ahead >= 1, "prefetch: ", ahead, " items ahead, at least 1 is needed");
    }
    Prefetch(const Prefetch&) = delete;
    Prefetch& operator=(const Prefetch&) = delete;

    Item* next() {
        if (returned_ < taken_) source_.recycle(item_);
        returned_ = taken_;
        if (taken_ >= count_) return nullptr;
        source_.make(taken_, item_);
        ++taken_;
        return &item_;
    }

private:
    Source source_;
    Item item_;
    Index count_, returned_, taken_;
};
#endif

}  // namespace gradus::inline GRADUS_ABI
