// core/view.hpp   What a kernel sees of a tensor: a pointer and R extents, row-major, nothing owned.
//     Vector<T> (N)    Matrix<T> (M, N)    Array4<T> (N, H, W, C)
// Kernels take View<const T, R> to read and View<T, R> to write. x(n, h, w, c) is an element.
#pragma once

#include <array>
#include <cstddef>
#include <type_traits>

#include "gradus/core/shape.hpp"

namespace gradus::inline GRADUS_ABI {

template <class T, int R>
class View {
public:
    using Extents = std::array<Index, static_cast<std::size_t>(R)>;

    GRADUS_HOST_DEVICE View(T* data, const Extents& shape) : data_(data), shape_(shape) {}

    // A view to write is also a view to read.
    template <class U>
    requires(std::is_same_v<const U, T> && !std::is_const_v<U>) GRADUS_HOST_DEVICE View(const View<U, R>& other)
        : data_(other.data()), shape_(other.shape()) {}

    GRADUS_HOST_DEVICE T* data() const { return data_; }
    GRADUS_HOST_DEVICE const Extents& shape() const { return shape_; }
    GRADUS_HOST_DEVICE Index size() const {
        Index product = 1;
        for (int d = 0; d < R; ++d) product *= extents()[d];
        return product;
    }

    template <class... I>
    requires(sizeof...(I) == R) GRADUS_HOST_DEVICE T& operator()(I... index) const {
        const Index i[] = {static_cast<Index>(index)...};
        Index offset = i[0];
        for (int d = 1; d < R; ++d) offset = offset * extents()[d] + i[d];
        return data_[offset];
    }

private:
    // An array's own [] is for the host alone in CUDA.
    GRADUS_HOST_DEVICE const Index* extents() const { return reinterpret_cast<const Index*>(&shape_); }

    T* data_;
    Extents shape_;
};

template <class T>
using Vector = View<T, 1>;
template <class T>
using Matrix = View<T, 2>;
template <class T>
using Array4 = View<T, 4>;

// Whether a kernel that produces a gradient replaces what is there or adds to it. The first gradient that reaches a
// tensor overwrites, so nothing has to be filled with zeros first.
enum class Write { overwrite, add };

template <class T, class V>
GRADUS_HOST_DEVICE inline void put(T& target, V value, Write mode) {
    if (mode == Write::add) value = static_cast<V>(static_cast<V>(target) + value);
    target = static_cast<T>(value);
}

}  // namespace gradus::inline GRADUS_ABI
