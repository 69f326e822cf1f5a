// linear/matmul_cuda.cuh   The CUDA twin of matmul.hpp: cuBLAS, see machine/cuda/cublas.hpp.
// What such a product does inside, and why it is fast, is in tiled_matmul_cuda.cuh.
#pragma once

#include "gradus/linear/matmul.hpp"
#include "gradus/machine/cuda/cublas.hpp"

namespace gradus::inline GRADUS_ABI {

template <class T>
void matmul(Cuda, Matrix<const T> a, bool transpose_a, Matrix<const T> b, bool transpose_b, Matrix<T> c, Write mode) {
    cuda_gemm(a, transpose_a ? Transpose::yes : Transpose::no, b, transpose_b ? Transpose::yes : Transpose::no, c,
              mode);
}

}  // namespace gradus::inline GRADUS_ABI
