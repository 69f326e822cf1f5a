// machine/cpu/gemm_double.hpp   The matrix product in double: simple blocks, for checks of gradients rather than for
//                               speed.
//     C(i, j) in blocks of 4 rows and two vectors, each summed over all of k in order.
#pragma once

#include <algorithm>
#include <cstring>

#include "gradus/core/allocator.hpp"
#include "gradus/core/view.hpp"
#include "gradus/machine/cpu/thread_pool.hpp"
#include "gradus/machine/cpu/vector.hpp"

namespace gradus::inline GRADUS_ABI {

enum class Transpose { no, yes };

typedef double DoubleVec __attribute__((vector_size(vec_floats * sizeof(float))));
inline constexpr Index double_lanes = static_cast<Index>(sizeof(DoubleVec) / sizeof(double));
inline constexpr Index double_columns = 2 * double_lanes;
inline constexpr int double_rows = 4;

inline void gemm(Cpu, Matrix<const double> a, Transpose transpose_a, Matrix<const double> b, Transpose transpose_b,
                 Matrix<double> c, Write mode) {
    const Index M = c.shape()[0], N = c.shape()[1];
    const bool a_is = transpose_a == Transpose::no, b_is = transpose_b == Transpose::no;  // as it is stored
    const Index K = a.shape()[a_is ? 1 : 0];
    const Index a_row = a_is ? a.shape()[1] : 1, a_column = a_is ? 1 : a.shape()[1];
    const Index b_row = b_is ? b.shape()[1] : 1, b_column = b_is ? 1 : b.shape()[1];
    const Index blocks = ceil_div(N, double_columns);
    const HostBuffer<double> packed(blocks * K * double_columns);  // B in panels, padded with zeros
    parallel_for(blocks, [&](Index block) {
        double* to = packed.data() + block * K * double_columns;
        for (Index k = 0; k < K; ++k)
            for (Index j = 0; j < double_columns; ++j) {
                const Index column = block * double_columns + j;
                *to++ = column < N ? b.data()[k * b_row + column * b_column] : 0.0;
            }
    });
    parallel_for(ceil_div(M, double_rows), [&](Index task) {
        const Index first = task * double_rows;
        const double* row[double_rows];  // rows past the end repeat the last one, and are not written
        for (int i = 0; i < double_rows; ++i) row[i] = a.data() + std::min(first + i, M - 1) * a_row;
        for (Index block = 0; block < blocks; ++block) {
            const double* panel = packed.data() + block * K * double_columns;
            DoubleVec sum[double_rows][2] = {};
            for (Index k = 0; k < K; ++k, panel += double_columns) {
                DoubleVec left, right;
                std::memcpy(&left, panel, sizeof left);
                std::memcpy(&right, panel + double_lanes, sizeof right);
                GRADUS_UNROLL for (int i = 0; i < double_rows; ++i) {
                    sum[i][0] += row[i][k * a_column] * left;
                    sum[i][1] += row[i][k * a_column] * right;
                }
            }
            double values[double_rows][double_columns];
            std::memcpy(values, sum, sizeof values);
            for (Index i = 0; i < std::min<Index>(double_rows, M - first); ++i)
                for (Index j = 0; j < std::min(double_columns, N - block * double_columns); ++j)
                    put(c(first + i, block * double_columns + j), values[i][j], mode);
        }
    });
}

}  // namespace gradus::inline GRADUS_ABI
