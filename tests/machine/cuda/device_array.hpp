// An array in device memory, for the tests. nvcc compiles it too.
#pragma once

#include <doctest/doctest.h>

#include <cstddef>
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
