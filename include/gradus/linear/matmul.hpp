// linear/matmul.hpp   The product of two matrices, each as it is stored or transposed.
// Shapes   c (M, N) = A B with A (M, K) and B (K, N), where A is a, or its transpose if a is stored as (K, M); B alike
// Forward  c(i, j) = sum over k of A(i, k) * B(k, j)
// Backward of f = sum dc*c. A(i, k) meets B(k, j) in c(i, j) only, so dA = dc B^T and dB = A^T dc, and for what is
// stored, with (X Y)^T = Y^T X^T:
//   (1) da = dc B^T, or its transpose B dc^T          (2) db = A^T dc, or its transpose dc^T A
//   Both are products of stored matrices again: the gradient needs no kernel of its own.
// Cost     M*N*K multiply-adds for each of forward, (1) and (2). Twins: matmul_cpu.hpp, matmul_cuda.cuh
#pragma once

#include <memory>
#include <utility>

#include "gradus/autograd/variable.hpp"

namespace gradus::inline GRADUS_ABI {

struct MatmulOptions {
    bool transpose_a = false;
    bool transpose_b = false;
};

template <class T>
void matmul(Reference, Matrix<const T> a, bool transpose_a, Matrix<const T> b, bool transpose_b, Matrix<T> c,
            Write mode) {
    const auto [M, N] = c.shape();
    for (Index i = 0; i < M; ++i)
        for (Index j = 0; j < N; ++j) {
            Sum<T> sum = 0;
            for (Index k = 0; k < a.shape()[transpose_a ? 0 : 1]; ++k)
                sum += Sum<T>(transpose_a ? a(k, i) : a(i, k)) * Sum<T>(transpose_b ? b(j, k) : b(k, j));
            put(c(i, j), sum, mode);
        }
}

template <class T, class D>
struct MatmulNode final : NodeOf<T, D> {
    Edge<T, D> a, b;
    Saved<T, D> saved_a, saved_b;  // each where the other one needs a gradient
    MatmulOptions options;

    const char* name() const override { return "matmul"; }
    void backward(const Tensor<T, D>& dc) override {
        const auto [a_flipped, b_flipped] = options;
        const Matrix<const T> dc_read = dc.template read<2>();
        if (a.needs_gradient()) {
            const Matrix<const T> b_read = saved_b.get().template read<2>();
            GradientTarget<T, D> da = a.target();
            if (a_flipped)
                matmul(D{}, b_read, b_flipped, dc_read, true, da.template write<2>(), da.mode);
            else
                matmul(D{}, dc_read, false, b_read, !b_flipped, da.template write<2>(), da.mode);  // (1)
        }
        if (b.needs_gradient()) {
            const Matrix<const T> a_read = saved_a.get().template read<2>();
            GradientTarget<T, D> db = b.target();
            if (b_flipped)
                matmul(D{}, dc_read, true, a_read, a_flipped, db.template write<2>(), db.mode);
            else
                matmul(D{}, a_read, !a_flipped, dc_read, false, db.template write<2>(), db.mode);  // (2)
        }
    }
};

// c = A B with the shapes above. Errors: an operand that is no matrix, inner extents that differ.
template <FloatingElement T, Device D>
Variable<T, D> matmul(const Variable<T, D>& a, const Variable<T, D>& b, const MatmulOptions& options = {}) {
    const OperationScope operation("matmul");
    GRADUS_CHECK(a.shape().rank() == 2 && b.shape().rank() == 2, "matmul: a and b must be matrices, got ", a.shape(),
                 " and ", b.shape());
    const auto [a_flipped, b_flipped] = options;
    GRADUS_CHECK(a.shape()[a_flipped ? 0 : 1] == b.shape()[b_flipped ? 1 : 0], "matmul: ", a.shape(),
                 a_flipped ? " transposed" : "", " times ", b.shape(), b_flipped ? " transposed" : "");
    Tensor<T, D> c({a.shape()[a_flipped ? 1 : 0], b.shape()[b_flipped ? 0 : 1]});
    matmul(D{}, a.value().template read<2>(), a_flipped, b.value().template read<2>(), b_flipped, c.template write<2>(),
           Write::overwrite);
    if (!needs_gradient(a, b)) return Variable<T, D>(c, nullptr);
    auto node = make_node<MatmulNode<T, D>>();
    node->a = node->input(a);
    node->b = node->input(b);
    if (b.requires_grad()) node->saved_a = a.value();
    if (a.requires_grad()) node->saved_b = b.value();
    node->options = options;
    return Variable<T, D>(c, std::move(node));
}

}  // namespace gradus::inline GRADUS_ABI

#include "gradus/linear/matmul_cpu.hpp"
