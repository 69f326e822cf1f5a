// pooling/global_avg_pool2d_cpu.hpp   The fast twin of global_avg_pool2d.hpp: one image per task, vectors of channels.
#pragma once

#include <algorithm>

#include "gradus/machine/cpu/thread_pool.hpp"
#include "gradus/pooling/global_avg_pool2d.hpp"
#include "gradus/pooling/put_vector_cpu.hpp"

namespace gradus::inline GRADUS_ABI {

inline void global_avg_pool2d_forward(Cpu, Array4<const float> x, Matrix<float> y) {
    const Index N = x.shape()[0], pixels = x.shape()[1] * x.shape()[2], C = x.shape()[3];
    const float count = static_cast<float>(pixels);
    parallel_for(N, [&](Index n) {
        const float* image = x.data() + n * pixels * C;
        for (Index c = 0; c < C; c += vec_floats) {
            Vec sum{};
            for (Index p = 0; p < pixels; ++p) sum += load(image + p * C + c);  // lanes past C are not stored
            store_some(y.data() + n * C + c, sum / count, std::min<Index>(vec_floats, C - c));
        }
    });
}

inline void global_avg_pool2d_backward(Cpu, Matrix<const float> dy, Array4<float> dx, Write mode) {
    const Index N = dx.shape()[0], pixels = dx.shape()[1] * dx.shape()[2], C = dx.shape()[3];
    const float share = 1 / static_cast<float>(pixels);
    parallel_for(N, [&](Index n) {
        const float* from = dy.data() + n * C;
        float* to = dx.data() + n * pixels * C;
        for (Index p = 0; p < pixels; ++p, to += C)  // one stream of memory
            for (Index c = 0; c < C; c += vec_floats)
                put_vector(to + c, load(from + c) * share, std::min<Index>(vec_floats, C - c), mode);
    });
}

// The other element types take the loops of the specification.
template <class T>
void global_avg_pool2d_forward(Cpu, Array4<const T> x, Matrix<T> y) {
    global_avg_pool2d_forward(Reference{}, x, y);
}
template <class T>
void global_avg_pool2d_backward(Cpu, Matrix<const T> dy, Array4<T> dx, Write mode) {
    global_avg_pool2d_backward(Reference{}, dy, dx, mode);
}

}  // namespace gradus::inline GRADUS_ABI
