// core/mutex.hpp   A mutex that costs nothing where there are no threads (GRADUS_NO_THREADS).
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
using Lock = std::lock_guard<std::mutex>;
#endif

}  // namespace gradus::inline GRADUS_ABI
