// linear/linear_cuda.cuh   The CUDA twin of linear.hpp: three products by cuBLAS (machine/cuda/cublas.hpp).
// y is first filled with rows of the bias, to which the product is added. 16-bit activations meet weights that are
// rounded to 16 bits (machine/cuda/parameters.hpp), so that the tensor cores multiply them; sums are in float, and
// dweight and dbias stay float.
// Cost     that of the products. The bias costs one pass of writing and one of reading y, dbias one of reading dy.
#pragma once

#include "gradus/linear/linear.hpp"
#include "gradus/machine/cuda/cublas.hpp"
#include "gradus/machine/cuda/parameters.hpp"
#include "gradus/reduction/sum_cuda.cuh"

namespace gradus::inline GRADUS_ABI {

template <class T>
void linear_forward(Cuda, Matrix<const T> x, Matrix<const Sum<T>> weight, Vector<const Sum<T>> bias, Matrix<T> y) {
    const ParametersAs<T> rounded(weight.data(), weight.size());
    fill_rows_cuda<T>(bias, y.data(), y.shape()[0]);
    cuda_gemm(x, Transpose::no, Matrix<const T>(rounded.data(), weight.shape()), Transpose::yes, y,
              bias.size() > 0 ? Write::add : Write::overwrite);
}

template <class T>  // (1)
void linear_backward_data(Cuda, Matrix<const T> dy, Matrix<const Sum<T>> weight, Matrix<T> dx, Write mode) {
    const ParametersAs<T> rounded(weight.data(), weight.size());
    cuda_gemm(dy, Transpose::no, Matrix<const T>(rounded.data(), weight.shape()), Transpose::no, dx, mode);
}

template <class T>  // (2)
void linear_backward_weights(Cuda, Matrix<const T> x, Matrix<const T> dy, Matrix<Sum<T>> dweight, Write mode) {
    cuda_gemm(dy, Transpose::yes, x, Transpose::no, dweight, mode);
}

template <class T>  // (3)
void linear_backward_bias(Cuda, Matrix<const T> dy, Vector<Sum<T>> dbias, Write mode) {
    const Broadcast columns("linear", Shape{1, dy.shape()[1]}, Shape(dy.shape()));
    sum_forward(Cuda{}, columns, Vector<const T>(dy.data(), {dy.size()}), Sum<T>(1), dbias, mode);
}

}  // namespace gradus::inline GRADUS_ABI
