// pooling/avg_pool2d_cpu.hpp   The fast twin of avg_pool2d.hpp: one row of an image per task, vectors of channels.
#pragma once

#include <algorithm>

#include "gradus/core/allocator.hpp"
#include "gradus/machine/cpu/thread_pool.hpp"
#include "gradus/pooling/avg_pool2d.hpp"
#include "gradus/pooling/put_vector_cpu.hpp"

namespace gradus::inline GRADUS_ABI {

inline void avg_pool2d_forward(Cpu, Array4<const float> x, const PoolWindows& rows, const PoolWindows& columns,
                               Array4<float> y) {
    const auto [N, H, W, C] = x.shape();
    const Index P = y.shape()[1], Q = y.shape()[2], height = H, width = W, channels = C;
    parallel_for(N * P, [&](Index task) {
        const Index n = task / P, i = task % P;
        const IndexRange hs = rows.window(i);
        for (Index j = 0; j < Q; ++j) {
            const IndexRange ws = columns.window(j);
            const float size = static_cast<float>(rows.divisor(i) * columns.divisor(j));
            for (Index c = 0; c < channels; c += vec_floats) {
                Vec sum{};
                for (Index h = hs.begin; h < hs.end; ++h)
                    for (Index w = ws.begin; w < ws.end; ++w)
                        sum += load(x.data() + ((n * height + h) * width + w) * channels + c);
                store_some(y.data() + (task * Q + j) * channels + c, sum / size,
                           std::min<Index>(vec_floats, channels - c));
            }
        }
    });
}

inline void avg_pool2d_backward(Cpu, Array4<const float> dy, const PoolWindows& rows, const PoolWindows& columns,
                                Array4<float> dx, Write mode) {
    const auto [N, H, W, C] = dx.shape();
    const Index P = dy.shape()[1], Q = dy.shape()[2], height = H, width = W, channels = C;
    // Once for each column, not for each pixel.
    const HostBuffer<IndexRange> column_readers(width);
    for (Index w = 0; w < width; ++w) column_readers.data()[w] = columns.readers(w);
    const HostBuffer<float> row_divisors(P), column_divisors(Q);
    for (Index i = 0; i < P; ++i) row_divisors.data()[i] = static_cast<float>(rows.divisor(i));
    for (Index j = 0; j < Q; ++j) column_divisors.data()[j] = static_cast<float>(columns.divisor(j));
    parallel_for(N * height, [&](Index task) {
        const Index n = task / height, h = task % height;
        const IndexRange is = rows.readers(h);
        for (Index w = 0; w < width; ++w) {
            const IndexRange js = column_readers.data()[w];
            float* to = dx.data() + (task * width + w) * channels;
            for (Index c = 0; c < channels; c += vec_floats) {
                Vec sum{};
                for (Index i = is.begin; i < is.end; ++i)
                    for (Index j = js.begin; j < js.end; ++j)
                        sum += load(dy.data() + ((n * P + i) * Q + j) * channels + c) /
                               (row_divisors.data()[i] * column_divisors.data()[j]);
                put_vector(to + c, sum, std::min<Index>(vec_floats, channels - c), mode);
            }
        }
    });
}

// The other element types take the loops of the specification.
template <class T>
void avg_pool2d_forward(Cpu, Array4<const T> x, const PoolWindows& rows, const PoolWindows& columns, Array4<T> y) {
    avg_pool2d_forward(Reference{}, x, rows, columns, y);
}
template <class T>
void avg_pool2d_backward(Cpu, Array4<const T> dy, const PoolWindows& rows, const PoolWindows& columns, Array4<T> dx,
                         Write mode) {
    avg_pool2d_backward(Reference{}, dy, rows, columns, dx, mode);
}

}  // namespace gradus::inline GRADUS_ABI
