// What thread_pool.hpp promises, each with a test.
#include "gradus/machine/cpu/thread_pool.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <stdexcept>
#include <thread>
#include <vector>

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace gradus;

namespace {

struct Threads {  // for one test
    explicit Threads(int count) { set_threads(count); }
    ~Threads() { set_threads(static_cast<int>(std::max(1u, std::thread::hardware_concurrency()))); }
};

std::vector<int> count_runs(Index tasks) {
    std::vector<int> runs(static_cast<std::size_t>(tasks));
    parallel_for(tasks, [&](Index task) { ++runs[static_cast<std::size_t>(task)]; });
    return runs;
}

bool each_once(const std::vector<int>& runs) {
    for (int count : runs)
        if (count != 1) return false;
    return true;
}

// Static objects may still use the pool when main() has returned: it is never destroyed.
struct UsesThePoolAtExit {
    ~UsesThePoolAtExit() {
        if (!each_once(count_runs(100))) std::_Exit(1);
    }
} const uses_the_pool_at_exit;

}  // namespace

TEST_CASE("parallel_for runs each task once, with any number of threads") {
    for (int threads : {1, 2, 3, 7}) {
        const Threads scope(threads);
#if !defined(GRADUS_NO_THREADS)
        CHECK(thread_count() == threads);
#endif
        for (Index tasks : {0, 1, 2, 3, 100, 10000}) CHECK(each_once(count_runs(tasks)));
    }
}

#if !defined(GRADUS_NO_THREADS)
TEST_CASE("parallel_for uses several threads") {
    const Threads scope(2);
    // Each of two tasks waits for the other: that ends only if two threads run them.
    std::atomic<int> arrived{0};
    parallel_for(2, [&](Index) {
        ++arrived;
        while (arrived < 2) std::this_thread::yield();
    });
    CHECK(arrived == 2);
}
#endif

TEST_CASE("a region inside a region runs on its own thread") {
    const Threads scope(3);
    std::atomic<bool> same_thread{true};
    std::atomic<int> inner_tasks{0};
    parallel_for(8, [&](Index) {
        const std::thread::id outer = std::this_thread::get_id();
        parallel_for(8, [&](Index) {
            ++inner_tasks;
            if (std::this_thread::get_id() != outer) same_thread = false;
        });
    });
    CHECK(inner_tasks == 64);
    CHECK(same_thread);
}

TEST_CASE("regions that several threads open at the same time all complete") {
    const Threads scope(2);
    std::atomic<int> good{0};
    std::vector<std::thread> callers;
    for (int i = 0; i < 4; ++i)
        callers.emplace_back([&] {
            for (int round = 0; round < 200; ++round)
                if (each_once(count_runs(20))) ++good;
        });
    for (std::thread& caller : callers) caller.join();
    CHECK(good == 800);
}

#if defined(__cpp_exceptions)
TEST_CASE("an exception in a task reaches the caller, and the pool goes on working") {
    for (int threads : {1, 3}) {
        const Threads scope(threads);
        for (int round = 0; round < 20; ++round) {
            const auto throws = [](Index task) {
                if (task == 17) throw std::runtime_error("task 17");
            };
            CHECK_THROWS_WITH_AS(parallel_for(100, throws), "task 17", std::runtime_error);
            CHECK(each_once(count_runs(100)));
        }
    }
}
#endif

#if !defined(GRADUS_NO_THREADS)
TEST_CASE("an idle pool sleeps, and wakes up") {
    const Threads scope(2);
    CHECK(each_once(count_runs(10)));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const std::clock_t before = std::clock();  // processor time of all threads
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    const double seconds = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
    CHECK(seconds < 0.05);
    CHECK(each_once(count_runs(10)));
}

// A worker that a signal holds, as another program on its core might.
std::atomic<bool> worker_is_held{false}, worker_may_go{false};
void hold_worker(int) {
    worker_is_held = true;
    while (!worker_may_go) {
    }
}

TEST_CASE("a region does not wait for a worker that comes late") {
    const Threads scope(2);
    const pthread_t caller = pthread_self();
    std::atomic<pthread_t> worker{caller};
    std::atomic<int> started{0};
    parallel_for(2, [&](Index) {  // each of the two waits for the other: so the worker runs one of them
        if (!pthread_equal(pthread_self(), caller)) worker = pthread_self();
        ++started;
        while (started < 2) std::this_thread::yield();
    });
    REQUIRE(!pthread_equal(worker, caller));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // it sleeps

    struct sigaction action {
    }, before{};
    action.sa_handler = hold_worker;
    sigaction(SIGUSR1, &action, &before);
    pthread_kill(worker, SIGUSR1);
    while (!worker_is_held) std::this_thread::yield();
    std::atomic<bool> done{false};
    std::thread watchdog([&] {
        for (int i = 0; i < 500 && !done; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
        worker_may_go = true;
    });
    CHECK(each_once(count_runs(100)));
    CHECK_FALSE(worker_may_go);  // after five seconds the watchdog would have let it go
    done = true;
    watchdog.join();
    CHECK(each_once(count_runs(100)));
    sigaction(SIGUSR1, &before, nullptr);
}

TEST_CASE("set_threads refuses less than one thread") { CHECK_THROWS_AS(set_threads(0), Error); }
#endif

// ThreadSanitizer does not let the child of a process with threads start new ones.
#if !defined(__SANITIZE_THREAD__)
TEST_CASE("after fork() the child has a pool of its own") {
    const Threads scope(2);
    CHECK(each_once(count_runs(100)));
    const pid_t child = fork();
    if (child == 0) {
        bool good = true;
        for (int round = 0; round < 10; ++round) good = good && each_once(count_runs(100));
        std::_Exit(good ? 0 : 1);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
    CHECK(each_once(count_runs(100)));
}
#endif
