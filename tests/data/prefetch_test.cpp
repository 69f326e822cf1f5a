#include "gradus/data/prefetch.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

using namespace gradus;

namespace {

// Item i is i * i. Counts what happens in a place that outlives it.
struct Log {
    std::atomic<int> made{0}, recycled{0};
};
struct Squares {
    using Item = Index;
    Index size;
    Index fails_at = -1;
    std::shared_ptr<Log> log = std::make_shared<Log>();

    Index count() const { return size; }
    void make(Index i, Index& item) const {
        if (i == fails_at) throw std::out_of_range("item " + std::to_string(i));
        item = i * i;
        ++log->made;
    }
    void recycle(Index&) const { ++log->recycled; }
};

void wait_a_little() { std::this_thread::sleep_for(std::chrono::milliseconds(2)); }

}  // namespace

TEST_CASE("items come in order, each once, then nullptr") {
    for (const Index ahead : {1, 2, 7}) {
        const Squares source{1000};
        Prefetch<Squares> squares(source, 0, ahead);
        for (Index i = 0; i < 1000; ++i) {
            const Index* item = squares.next();
            REQUIRE(item != nullptr);
            REQUIRE(*item == i * i);
        }
        CHECK(squares.next() == nullptr);
        CHECK(squares.next() == nullptr);
        CHECK(source.log->made == 1000);
        CHECK(source.log->recycled == 1000);
    }
}

TEST_CASE("it may start anywhere, and be empty") {
    Prefetch<Squares> late(Squares{5}, 3, 2);
    CHECK(*late.next() == 9);
    CHECK(*late.next() == 16);
    CHECK(late.next() == nullptr);
    Prefetch<Squares> empty(Squares{0}, 0, 2);
    CHECK(empty.next() == nullptr);
    Prefetch<Squares> beyond(Squares{5}, 7, 2);
    CHECK(beyond.next() == nullptr);
}

#if !defined(GRADUS_NO_THREADS)
TEST_CASE("the producer is ahead by no more than it may") {
    const Squares source{1000};
    Prefetch<Squares> squares(source, 0, 3);
    for (int i = 0; i < 20; ++i) {
        const Index* item = squares.next();
        const Index value = *item;
        wait_a_little();  // the producer could run away now
        CHECK(source.log->made <= i + 1 + 3);
        CHECK(*item == value);  // and nobody writes to what the consumer has
    }
    while (source.log->made < 20 + 3) wait_a_little();  // it does use what it may
}
#endif

TEST_CASE("an exception of the producer reaches the consumer at its place") {
    Prefetch<Squares> squares(Squares{10, 4}, 0, 2);
    for (Index i = 0; i < 4; ++i) CHECK(*squares.next() == i * i);
    CHECK_THROWS_WITH_AS(squares.next(), "item 4", std::out_of_range);
}

TEST_CASE("it can be destroyed at any moment") {
    for (int round = 0; round < 200; ++round) {
        Prefetch<Squares> squares(Squares{1000, round % 3 == 0 ? 5 : -1}, 0, 1 + round % 4);
        for (int i = 0; i < round % 5; ++i) squares.next();
        if (round % 7 == 0) wait_a_little();
    }
}

TEST_CASE("it refuses to start below the first item, and without a slot") {
    CHECK_THROWS_AS(Prefetch<Squares>(Squares{5}, -1, 1), Error);
    CHECK_THROWS_AS(Prefetch<Squares>(Squares{5}, 0, 0), Error);
}
