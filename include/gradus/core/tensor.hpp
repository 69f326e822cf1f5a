// core/tensor.hpp   Tensor<T, Device>: a shape and elements in row-major order, without gaps.
// Tensors are always contiguous. reshape() and slice() of the first dimension share storage; everything else copies.
// Copying a Tensor copies the handle, not the elements: clone() copies those.
//     Tensor<float> x = Tensor<float>::zeros({128, 32, 32, 3});     N, H, W, C
//     View<float, 4> v = x.write<4>();                              v(n, h, w, c) = 1
// Kernels read through read<R>() and write through write<R>(), which counts a version (core/storage.hpp): take a new
// view for every write, autograd does not see what is written through one that was kept. With R
// smaller than the rank the leading dimensions merge: read<2>() of an NHWC tensor is its (N*H*W, C) matrix, read<1>()
// all its elements.
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "gradus/core/element.hpp"
#include "gradus/core/random.hpp"
#include "gradus/core/storage.hpp"
#include "gradus/core/view.hpp"

namespace gradus::inline GRADUS_ABI {

[[noreturn]] GRADUS_COLD inline void fail_undefined(const char* access) {
    fail(text("tensor: ", access, " an undefined tensor", in_operation()));
}

template <Element T, Device D = Cpu>
class Tensor {
public:
    using ElementType = T;
    using DeviceType = D;

    Tensor() = default;  // undefined: no storage
    // Not inline: hundreds of places copy and drop tensors, and the counting of references would be compiled in each.
    GRADUS_NOT_INLINE Tensor(const Tensor&) = default;
    Tensor(Tensor&&) noexcept = default;
    GRADUS_NOT_INLINE Tensor& operator=(const Tensor&) = default;
    GRADUS_NOT_INLINE Tensor& operator=(Tensor&&) noexcept = default;
    GRADUS_NOT_INLINE ~Tensor() {}
    GRADUS_GLUE explicit Tensor(const Shape& shape)  // uninitialised
        : shape_(shape), storage_(std::make_shared<Storage<D>>(static_cast<std::size_t>(shape.numel()) * sizeof(T))) {}

    static Tensor empty(const Shape& shape) { return Tensor(shape); }
    static Tensor zeros(const Shape& shape) {
        Tensor x(shape);
        zero_bytes(D{}, x.mutable_data(), x.bytes());
        return x;
    }
    static Tensor full(const Shape& shape, T value) {
        Tensor x(shape);
        fill_elements(D{}, x.mutable_data(), x.numel(), value);
        return x;
    }
    static Tensor ones(const Shape& shape) { return full(shape, static_cast<T>(1)); }
    static Tensor scalar(T value) { return full({}, value); }
    // The elements in row-major order; their number must be the shape's.
    GRADUS_COLD static Tensor from(const Shape& shape, std::span<const T> values) {
        GRADUS_CHECK(static_cast<Index>(values.size()) == shape.numel(), "tensor: shape ", shape, " needs ",
                     shape.numel(), " values, got ", values.size());
        Tensor x(shape);
        copy_bytes(D{}, x.mutable_data(), Cpu{}, values.data(), x.bytes());
        return x;
    }
    static Tensor from(const Shape& shape, std::initializer_list<T> values) {
        return from(shape, std::span<const T>(values.begin(), values.size()));
    }
    // Independent draws from N(0, 1), or from [low, high).
    static Tensor randn(const Shape& shape, Generator& generator = default_generator()) {
        std::vector<T> values(static_cast<std::size_t>(shape.numel()));
        for (T& value : values) value = static_cast<T>(generator.normal());
        return from(shape, values);
    }
    static Tensor uniform(const Shape& shape, double low, double high, Generator& generator = default_generator()) {
        std::vector<T> values(static_cast<std::size_t>(shape.numel()));
        for (T& value : values) value = static_cast<T>(generator.uniform(low, high));
        return from(shape, values);
    }

    bool defined() const { return storage_ != nullptr; }
    const Shape& shape() const { return shape_; }
    int rank() const { return shape_.rank(); }
    Index numel() const { return shape_.numel(); }
    std::size_t bytes() const { return static_cast<std::size_t>(numel()) * sizeof(T); }
    std::uint64_t version() const { return storage_ ? storage_->version() : 0; }
    bool shares_storage_with(const Tensor& other) const { return storage_ && storage_ == other.storage_; }
    // True where this handle is the only one on its storage: nobody else would see a write.
    bool is_sole_owner() const { return storage_.use_count() == 1; }

    const T* data() const { return storage_ ? static_cast<const T*>(storage_->data()) + offset_ : nullptr; }
    T* mutable_data() {
        if (!defined()) [[unlikely]]
            fail_undefined("write to");
        storage_->bump_version();
        return static_cast<T*>(storage_->data()) + offset_;
    }
    template <int R>
    View<const T, R> read() const {
        if (!defined()) [[unlikely]]
            fail_undefined("read of");
        return View<const T, R>(data(), shape_.template merged<static_cast<std::size_t>(R)>());
    }
    template <int R>
    View<T, R> write() {
        return View<T, R>(mutable_data(), shape_.template merged<static_cast<std::size_t>(R)>());
    }

    // The same elements under another shape.
    Tensor reshape(const Shape& shape) const {
        GRADUS_CHECK(shape.numel() == numel(), "reshape: ", shape_, " has ", numel(), " elements, ", shape, " has ",
                     shape.numel());
        Tensor x = *this;
        x.shape_ = shape;
        return x;
    }
    // Entries [begin, end) of the first dimension, sharing storage.
    Tensor slice(Index begin, Index end) const {
        GRADUS_CHECK(rank() > 0 && 0 <= begin && begin <= end && end <= shape_[0], "slice: [", begin, ", ", end,
                     ") of the first dimension of ", shape_);
        Tensor x = *this;
        x.shape_[0] = end - begin;
        if (numel() > 0) x.offset_ += begin * (numel() / shape_[0]);
        return x;
    }
    Tensor clone() const { return to<D>(); }
    // A copy of the elements on another device.
    template <Device Other>
    GRADUS_GLUE Tensor<T, Other> to() const {
        GRADUS_CHECK(defined(), "tensor: copy of an undefined tensor");
        Tensor<T, Other> x(shape_);
        copy_bytes(Other{}, x.mutable_data(), D{}, data(), bytes());
        return x;
    }
    void copy_from(const Tensor& source) {
        GRADUS_CHECK(source.defined(), "copy_from: of an undefined tensor");
        GRADUS_CHECK(source.shape_ == shape_, "copy_from: ", source.shape_, " into ", shape_);
        copy_bytes(D{}, mutable_data(), D{}, source.data(), bytes());
    }

    // The elements on the host, in row-major order.
    std::vector<T> to_vector() const {
        GRADUS_CHECK(defined(),
                     "tensor: the elements of an undefined tensor; a gradient is undefined until backward() ",
                     "has reached its variable");
        std::vector<T> values(static_cast<std::size_t>(numel()));
        copy_bytes(Cpu{}, values.data(), D{}, data(), bytes());
        return values;
    }
    // The only element, on the host.
    T item() const {
        GRADUS_CHECK(numel() == 1, "item: the tensor has ", numel(), " elements, not one; its shape is ", shape_);
        return to_vector()[0];
    }
    // Converted element by element, on the same device.
    template <Element Other>
    Tensor<Other, D> as() const {
        const std::vector<T> source = to_vector();
        std::vector<Other> target(source.size());
        for (std::size_t i = 0; i < source.size(); ++i) target[i] = static_cast<Other>(source[i]);
        return Tensor<Other, D>::from(shape_, target);
    }

private:
    Shape shape_;
    std::shared_ptr<Storage<D>> storage_;
    Index offset_ = 0;  // in elements
};

}  // namespace gradus::inline GRADUS_ABI
