// linear/matmul_cpu.hpp   The fast twin of matmul.hpp: machine/cpu/gemm.hpp, for every element type.
#pragma once

#include "gradus/linear/matmul.hpp"
#include "gradus/machine/cpu/gemm.hpp"

namespace gradus::inline GRADUS_ABI {

template <class T>
void matmul(Cpu, Matrix<const T> a, bool transpose_a, Matrix<const T> b, bool transpose_b, Matrix<T> c, Write mode) {
    gemm(Cpu{}, a, transpose_a ? Transpose::yes : Transpose::no, b, transpose_b ? Transpose::yes : Transpose::no, c,
         mode);
}

}  // namespace gradus::inline GRADUS_ABI
