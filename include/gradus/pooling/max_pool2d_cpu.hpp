// pooling/max_pool2d_cpu.hpp   The fast twin of max_pool2d.hpp: one row of an image per task, vectors of channels.
// The winner's place is carried along as an integer lane beside the value, and stored as a byte.
#pragma once

#include <algorithm>
#include <cstring>

#include "gradus/core/allocator.hpp"
#include "gradus/machine/cpu/thread_pool.hpp"
#include "gradus/pooling/max_pool2d.hpp"
#include "gradus/pooling/put_vector_cpu.hpp"

namespace gradus::inline GRADUS_ABI {

typedef std::int32_t PlaceVec __attribute__((vector_size(vec_floats * sizeof(std::int32_t))));
typedef std::uint16_t PlaceHalves __attribute__((vector_size(vec_floats * sizeof(std::uint16_t))));
typedef std::uint8_t PlaceBytes __attribute__((vector_size(vec_floats)));

// By way of 16 bits: from 8 to 32 bits at once, g++ 12 goes lane by lane.
GRADUS_INLINE PlaceVec load_places(const std::uint8_t* p) {
    PlaceBytes bytes;
    std::memcpy(&bytes, p, sizeof bytes);
    return __builtin_convertvector(__builtin_convertvector(bytes, PlaceHalves), PlaceVec);
}
GRADUS_INLINE void store_places(std::uint8_t* p, PlaceVec places, Index lanes) {
    const PlaceBytes bytes = __builtin_convertvector(__builtin_convertvector(places, PlaceHalves), PlaceBytes);
    std::memcpy(p, &bytes, static_cast<std::size_t>(lanes));
}

inline void max_pool2d_forward(Cpu, Array4<const float> x, const PoolWindows& rows, const PoolWindows& columns,
                               Array4<float> y, Array4<std::uint8_t> winner) {
    const auto [N, H, W, C] = x.shape();
    const Index P = y.shape()[1], Q = y.shape()[2], image = H * W * C, row = W * C, channels = C;
    parallel_for(N * P, [&](Index task) {
        const Index n = task / P, i = task % P;
        const IndexRange hs = rows.window(i);
        for (Index j = 0; j < Q; ++j) {
            const IndexRange ws = columns.window(j);
            const float* first = x.data() + n * image + hs.begin * row + ws.begin * channels;
            const Index first_place = place_in_window(rows, columns, i, j, hs.begin, ws.begin);
            const Index to = (task * Q + j) * channels;
            for (Index c = 0; c < channels; c += vec_floats) {
                Vec best = load(first + c);
                PlaceVec place = static_cast<std::int32_t>(first_place) - PlaceVec{};
                for (Index h = 0; h < hs.size(); ++h)
                    for (Index w = 0; w < ws.size(); ++w) {
                        const Vec value = load(first + h * row + w * channels + c);
                        const PlaceVec here =
                            static_cast<std::int32_t>(first_place + h * columns.kernel + w) - PlaceVec{};
                        const PlaceVec wins = (value > best) | (value != value);
                        best = wins ? value : best;
                        place = wins ? here : place;
                    }
                const Index lanes = std::min<Index>(vec_floats, channels - c);
                store_some(y.data() + to + c, best, lanes);
                if (!winner.data()) continue;
                store_places(winner.data() + to + c, place, lanes);
            }
        }
    });
}

inline void max_pool2d_backward(Cpu, Array4<const float> dy, Array4<const std::uint8_t> winner, const PoolWindows& rows,
                                const PoolWindows& columns, Array4<float> dx, Write mode) {
    const auto [N, H, W, C] = dx.shape();
    const Index P = dy.shape()[1], Q = dy.shape()[2], height = H, width = W, channels = C;
    const HostBuffer<IndexRange> column_readers(width);  // two divisions for each column, not for each pixel
    for (Index w = 0; w < width; ++w) column_readers.data()[w] = columns.readers(w);
    parallel_for(N * height, [&](Index task) {
        const Index n = task / height, h = task % height;
        const IndexRange is = rows.readers(h);
        for (Index w = 0; w < width; ++w) {
            const IndexRange js = column_readers.data()[w];
            float* to = dx.data() + (task * width + w) * channels;
            const Index first_place = place_in_window(rows, columns, is.begin, js.begin, h, w);
            for (Index c = 0; c < channels; c += vec_floats) {
                Vec sum{};
                Index row_place = first_place;  // in window (i, js.begin)
                for (Index i = is.begin; i < is.end; ++i, row_place -= rows.stride * columns.kernel) {
                    Index place = row_place;
                    for (Index j = js.begin; j < js.end; ++j, place -= columns.stride) {
                        const Index from = ((n * P + i) * Q + j) * channels + c;
                        const PlaceVec here = static_cast<std::int32_t>(place) - PlaceVec{};
                        // Lanes past the last channel are read, and not written.
                        sum += load_places(winner.data() + from) == here ? load(dy.data() + from) : Vec{};
                    }
                }
                put_vector(to + c, sum, std::min<Index>(vec_floats, channels - c), mode);
            }
        }
    });
}

// The other element types take the loops of the specification.
template <class T>
void max_pool2d_forward(Cpu, Array4<const T> x, const PoolWindows& rows, const PoolWindows& columns, Array4<T> y,
                        Array4<std::uint8_t> winner) {
    max_pool2d_forward(Reference{}, x, rows, columns, y, winner);
}
template <class T>
void max_pool2d_backward(Cpu, Array4<const T> dy, Array4<const std::uint8_t> winner, const PoolWindows& rows,
                         const PoolWindows& columns, Array4<T> dx, Write mode) {
    max_pool2d_backward(Reference{}, dy, winner, rows, columns, dx, mode);
}

}  // namespace gradus::inline GRADUS_ABI
