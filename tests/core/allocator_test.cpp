#include "gradus/core/allocator.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "gradus/machine/cpu/thread_pool.hpp"

using namespace gradus;

TEST_CASE("buffers are 64-byte aligned and have 64 bytes of slack that no other buffer owns") {
    HostAllocator allocator;
    std::vector<std::pair<unsigned char*, std::size_t>> buffers;
    for (const std::size_t bytes : {0u, 1u, 63u, 64u, 65u, 1000u, 4096u, 100000u}) {
        unsigned char* data = static_cast<unsigned char*>(allocator.allocate(bytes));
        CHECK(reinterpret_cast<std::uintptr_t>(data) % 64 == 0);
        buffers.push_back({data, bytes});
    }
    // Fill each with its slack, then look whether a later one has written into an earlier one.
    for (std::size_t i = 0; i < buffers.size(); ++i)
        std::memset(buffers[i].first, static_cast<int>(i), buffers[i].second + HostAllocator::slack);
    for (std::size_t i = 0; i < buffers.size(); ++i)
        for (std::size_t k = 0; k < buffers[i].second + HostAllocator::slack; ++k) REQUIRE(buffers[i].first[k] == i);
    for (const auto& [data, bytes] : buffers) allocator.release(data, bytes);
}

TEST_CASE("live and peak bytes are what was asked for") {
    HostAllocator allocator;
    void* a = allocator.allocate(100);
    void* b = allocator.allocate(50);
    CHECK(allocator.stats().live_bytes == 150);
    allocator.release(a, 100);
    CHECK(allocator.stats().live_bytes == 50);
    CHECK(allocator.stats().peak_bytes == 150);
    allocator.reset_peak();
    CHECK(allocator.stats().peak_bytes == 50);
    allocator.release(b, 50);
    CHECK(allocator.stats().live_bytes == 0);
}

#if !defined(__SANITIZE_ADDRESS__)  // which stops the program instead
TEST_CASE("no memory is an error, and nothing counts as live") {
    HostAllocator allocator;
    CHECK_THROWS_AS(allocator.allocate(std::size_t{1} << 60), Error);
    CHECK(allocator.stats().live_bytes == 0);
    CHECK(allocator.stats().reserved_bytes == 0);
}
#endif

#if !defined(__SANITIZE_ADDRESS__)  // there every buffer comes from the system
TEST_CASE("freed memory is used again, and neighbours are joined") {
    HostAllocator allocator;
    void* a = allocator.allocate(1 << 20);
    void* b = allocator.allocate(1 << 20);
    void* c = allocator.allocate(1 << 20);
    void* end = allocator.allocate(64);
    const std::size_t reserved = allocator.stats().reserved_bytes;
    allocator.release(a, 1 << 20);
    allocator.release(c, 1 << 20);
    allocator.release(b, 1 << 20);            // joins both neighbours
    void* all = allocator.allocate(3 << 20);  // fits where the three were
    CHECK(all == a);
    allocator.release(all, 3 << 20);
    void* small = allocator.allocate(1000);  // best fit: the beginning of the same place, not the large rest
    CHECK(small == a);
    allocator.release(small, 1000);
    allocator.release(end, 64);
    CHECK(allocator.stats().reserved_bytes == reserved);
    CHECK(allocator.stats().live_bytes == 0);
}

TEST_CASE("a step that repeats takes no more memory from the system") {
    HostAllocator allocator;
    std::size_t reserved = 0;
    for (int step = 0; step < 5; ++step) {
        std::vector<std::pair<void*, std::size_t>> buffers;
        for (std::size_t i = 1; i < 40; ++i) buffers.push_back({allocator.allocate(i * 70001), i * 70001});
        for (std::size_t i = 0; i < buffers.size(); i += 2) allocator.release(buffers[i].first, buffers[i].second);
        for (std::size_t i = 1; i < buffers.size(); i += 2) allocator.release(buffers[i].first, buffers[i].second);
        if (step == 0) reserved = allocator.stats().reserved_bytes;
        CHECK(allocator.stats().reserved_bytes == reserved);
    }
}

TEST_CASE("a buffer larger than an arena gets one of its own") {
    HostAllocator allocator;
    void* huge = allocator.allocate(std::size_t{50} << 20);
    CHECK(allocator.stats().reserved_bytes >= std::size_t{50} << 20);
    allocator.release(huge, std::size_t{50} << 20);
}
#endif

TEST_CASE("several threads allocate at once") {
    const std::size_t before = host_allocator().stats().live_bytes;
    parallel_for(64, [](Index task) {
        for (Index i = 1; i < 50; ++i) {
            const HostBuffer<Index> buffer(i * 10);
            for (Index k = 0; k < i * 10; ++k) buffer.data()[k] = task;
            for (Index k = 0; k < i * 10; ++k)
                if (buffer.data()[k] != task) fail("allocate: two threads share a buffer");
        }
    });
    CHECK(host_allocator().stats().live_bytes == before);
}
