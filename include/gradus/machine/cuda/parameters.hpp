// machine/cuda/parameters.hpp   Parameters, which are Sum<T>, where a library multiplies matrices of T.
// Problem  cuBLAS multiplies matrices of one type. Weights and biases are float where activations are Half or BFloat16.
// Answer   Round the weights to T first, and begin a sum with its bias, in T. Each costs a relative error of a unit of
//          T, like every activation. That is done anew for every product: 6 bytes a weight, little beside the product.
#pragma once

#include <type_traits>

#include "gradus/machine/cuda/cuda_memory.hpp"
#include "gradus/machine/cuda/grid_stride.hpp"

namespace gradus::inline GRADUS_ABI {

// A pack of floats is read and half a pack of T is written, so that neighbouring threads do both without a gap.
template <class T>
__global__ void __launch_bounds__(stride_threads) round_kernel(const Sum<T>* x, T* y, Index n) {
    constexpr int N = vector_length<Sum<T>>;
    for (Index i = first_pack<Sum<T>>(); i < n; i += pack_stride<Sum<T>>()) {
        const Pack<Sum<T>> in = load_pack(x + i, n - i);
        Packed<T, N> out;
        for (int k = 0; k < N; ++k) out[k] = from_float<T>(in[k]);
        if (n - i >= N)
            *reinterpret_cast<Packed<T, N>*>(y + i) = out;  // y is a buffer of its own, and i a multiple of N
        else
            for (int k = 0; k < N && k < n - i; ++k) y[i + k] = out[k];
    }
}

// Parameters rounded to T, in a copy; where T is Sum<T>, the parameters themselves.
template <class T>
class ParametersAs {
public:
    ParametersAs(const Sum<T>* values, Index count) : copy_(is_copy ? count : 0) {
        if constexpr (!is_copy) {
            data_ = values;
        } else {
            data_ = copy_.data();
            if (count > 0)
                launch(round_kernel<T>, pack_blocks<Sum<T>>(count), stride_threads, 0, current_stream(), values,
                       copy_.data(), count);
        }
    }
    const T* data() const { return data_; }

private:
    static constexpr bool is_copy = !std::is_same_v<T, Sum<T>>;
    CudaBuffer<T> copy_;
    const T* data_;
};

// Every row of y (M, O) = bias (O). One division for each pack; the bias comes from the cache.
template <class T>
__global__ void __launch_bounds__(stride_threads) fill_rows_kernel(const Sum<T>* bias, T* y, Index O, Index n) {
    for (Index i = first_pack<T>(); i < n; i += pack_stride<T>()) {
        Pack<T> out;
        Index o = i % O;
        for (int k = 0; k < vector_length<T>; ++k) {
            out[k] = from_float<T>(bias[o]);
            o = o + 1 == O ? 0 : o + 1;
        }
        store_pack(y + i, out, n - i);
    }
}
template <class T>
void fill_rows_cuda(Vector<const Sum<T>> bias, T* y, Index rows) {
    const Index n = rows * bias.size();
    if (n == 0) return;
    launch(fill_rows_kernel<T>, pack_blocks<T>(n), stride_threads, 0, current_stream(), bias.data(), y, bias.size(), n);
}

}  // namespace gradus::inline GRADUS_ABI
