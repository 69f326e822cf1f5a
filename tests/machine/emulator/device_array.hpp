// An array in (emulated) device memory for the tests of the emulator, and the message of a launch that must fail.
#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <vector>

#include "gradus/machine/cuda/launch.hpp"

template <class T>
class DeviceArray {
public:
    explicit DeviceArray(const std::vector<T>& values) : count_(values.size()) {
        REQUIRE(cudaMalloc(&data_, count_ * sizeof(T)) == cudaSuccess);
        REQUIRE(cudaMemcpy(data_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice) == cudaSuccess);
    }
    explicit DeviceArray(std::size_t count) : DeviceArray(std::vector<T>(count)) {}
    ~DeviceArray() { cudaFree(data_); }
    DeviceArray(const DeviceArray&) = delete;
    DeviceArray& operator=(const DeviceArray&) = delete;

    T* data() const { return data_; }
    std::vector<T> host() const {
        std::vector<T> values(count_);
        CHECK(cudaMemcpy(values.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost) == cudaSuccess);
        return values;
    }

private:
    T* data_ = nullptr;
    std::size_t count_;
};

// Runs the body under each order of threads; leaves the order as it was.
template <class Body>
void in_every_order(const Body& body) {
    using gradus::emulator::ThreadOrder;
    const gradus::emulator::Settings before = gradus::emulator::settings();
    for (const ThreadOrder order : {ThreadOrder::forward, ThreadOrder::reverse, ThreadOrder::random}) {
        INFO("order " << static_cast<int>(order));
        gradus::emulator::settings().order = order;
        body();
    }
    gradus::emulator::settings() = before;
}

// The message of the error that the body must end with; "" if it ends well.
template <class Body>
std::string message_of(const Body& body) {
    try {
        body();
        cudaDeviceSynchronize();  // deferred work goes wrong here
    } catch (const gradus::Error& error) {
        return error.what();
    }
    return "";
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

// "file.cpp:12", as messages name a line of a test.
inline std::string line_of(const char* file, int line) {
    const std::string path = file;
    return path.substr(path.rfind('/') + 1) + ":" + std::to_string(line);
}
