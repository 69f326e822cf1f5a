// 16-bit elements inside kernels: the same bits as core/half.hpp. nvcc compiles this file too (launch_test.cpp).
#include "gradus/machine/cuda/half_device.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "gradus/machine/cuda/packed.hpp"
#include "machine/cuda/device_array.hpp"

using namespace gradus;

namespace {

template <class T>
__global__ void __launch_bounds__(64) convert_kernel(const T* x, Sum<T>* wide, T* back, int n) {
    const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i >= n) return;
    wide[i] = to_float(x[i]);
    back[i] = from_float<T>(to_float(x[i]) * Sum<T>(3));
}

template <class T>
__global__ void __launch_bounds__(64) pairs_kernel(const Packed<T, 2>* x, const T* y, Packed<T, 2>* sum, int pairs) {
    const int i = static_cast<int>(threadIdx.x);
    if (i >= pairs) return;
    const Packed<T, 2> pair = x[i];
    const CudaType<T>* const other = as_cuda(y);
    Packed<T, 2> result;
    for (int k = 0; k < 2; ++k) result[k] = from_float<T>(to_float(pair[k]) + static_cast<float>(other[2 * i + k]));
    sum[i] = result;
}

template <class T>
void check_conversion(const std::vector<T>& x) {
    const DeviceArray<T> in(x), back(x.size());
    const DeviceArray<Sum<T>> wide(x.size());
    launch(convert_kernel<T>, blocks_for(static_cast<Index>(x.size()), 64), 64, 0, nullptr, in.data(), wide.data(),
           back.data(), static_cast<int>(x.size()));
    const std::vector<Sum<T>> got_wide = wide.host();
    const std::vector<T> got_back = back.host();
    bool good = true;
    for (std::size_t i = 0; i < x.size(); ++i) {
        const Sum<T> value = static_cast<Sum<T>>(x[i]);
        if (!(value == value)) continue;  // NaN
        good = good && got_wide[i] == value;
        good = good && static_cast<Sum<T>>(got_back[i]) == static_cast<Sum<T>>(T(value * Sum<T>(3)));
    }
    CHECK(good);
}

template <class T>
std::vector<T> all_bit_patterns() {
    std::vector<T> values(65536);
    for (unsigned bits = 0; bits < 65536; ++bits) values[bits] = T::from_bits(static_cast<std::uint16_t>(bits));
    return values;
}

template <class T>
void check_pairs() {
    std::vector<T> x(10), y(10);
    for (int i = 0; i < 10; ++i) {
        x[static_cast<std::size_t>(i)] = T(i);
        y[static_cast<std::size_t>(i)] = T(10 * i);
    }
    const DeviceArray<T> dx(x), dy(y);
    Packed<T, 2>* const pairs = reinterpret_cast<Packed<T, 2>*>(dx.data());
    launch(pairs_kernel<T>, 1, 64, 0, nullptr, pairs, dy.data(), pairs, 5);
    const std::vector<T> sum = dx.host();
    CHECK(static_cast<float>(sum[9]) == 99.0f);
    CHECK(static_cast<float>(sum[4]) == 44.0f);
}

}  // namespace

TEST_CASE("every 16-bit value converts as on the host") {
    check_conversion(all_bit_patterns<Half>());
    check_conversion(all_bit_patterns<BFloat16>());
    check_conversion(std::vector<float>{1.5f, -0.1f});
    check_conversion(std::vector<double>{1.5, -0.1});
}

TEST_CASE("a vector is 16 bytes") {
    CHECK(vector_length<float> == 4);
    CHECK(vector_length<Half> == 8);
    CHECK(sizeof(Packed<double, 2>) == 16);
    CHECK(alignof(Packed<Half, 4>) == 8);
}

TEST_CASE("pairs, and the toolkit's type at the same address") {
    check_pairs<Half>();
    check_pairs<BFloat16>();
}
