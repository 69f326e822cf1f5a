// autograd/anomaly_cuda.cuh   detect_anomaly on the card: a kernel looks for the first value that is not finite.
// Only when there is one does an element come to the host, for the message.
#pragma once

#include "gradus/autograd/anomaly.hpp"
#include "gradus/machine/cuda/find_first.hpp"

namespace gradus::inline GRADUS_ABI {

template <class T>
struct IsNotFinite {
    const T* x;
    __device__ bool operator()(Index i) const {
        const Sum<T> value = to_float(x[i]);
        return value - value != 0;  // infinity - infinity and NaN - NaN are NaN
    }
};

template <FloatingElement T>
void check_finite(std::string_view operation, std::string_view what, const Tensor<T, Cuda>& x) {
    const Index i = find_first(x.numel(), IsNotFinite<T>{x.data()});
    if (i == x.numel()) return;
    check_finite_element(operation, what, x.shape(), i, static_cast<double>(element_on_host(x.data() + i)));
}

}  // namespace gradus::inline GRADUS_ABI
