// core/mutex.hpp   A mutex for moments: it waits awake for a while, and costs nothing where there are no threads.
// Problem  Tasks of a parallel region that are alike ask for memory at the same moment, and the next time again. To
//          sleep over it and be woken takes far longer than what the other thread is doing: a training step of
//          ResNet-20 on two threads slept 36 times, in bad spells 300 times.
#pragma once

#include "gradus/core/abi.hpp"

#if !defined(GRADUS_NO_THREADS)
#include <mutex>
#endif

namespace gradus::inline GRADUS_ABI {

#if defined(GRADUS_NO_THREADS)
struct Mutex {};
struct Lock {
    explicit Lock(Mutex&) {}
    ~Lock() {}  // not trivial, so that an unused Lock draws no warning
};
#else
using Mutex = std::mutex;
class Lock {
public:
    explicit Lock(Mutex& mutex) : mutex_(mutex) {
        for (int tries = 0; tries < 1000; ++tries) {
            if (mutex.try_lock()) return;
#if defined(__x86_64__)
            __builtin_ia32_pause();
#endif
        }
        mutex.lock();  // its owner may have lost its core
    }
    ~Lock() { mutex_.unlock(); }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

private:
    Mutex& mutex_;
};
#endif

}  // namespace gradus::inline GRADUS_ABI
