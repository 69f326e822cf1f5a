// machine/cuda/cublas.hpp   cuda_gemm: products of row-major matrices, by cuBLAS.
//     cuda_gemm(a, Transpose::no, b, Transpose::yes, c, Write::overwrite);   c(i, j) = sum over k of a(i, k) * b(j, k)
// Only what multiplies by cuBLAS includes this: a program that does must link with -lcublas. In the emulator the calls
// are loops (cublas_api.hpp).
//
// Why the operands change places: cuBLAS counts as Fortran does, columns lie one behind the other. We count as C does,
// rows lie one behind the other. The six numbers 1 2 3 4 5 6 in memory are
//
//     to us  C = | 1 2 3 |        to cuBLAS  | 1 4 |
//                | 4 5 6 |                   | 2 5 | = C^T
//                                            | 3 6 |
//
// What we store, cuBLAS sees transposed, without a copy. So we ask for C^T, and C lies in memory:
//
//     ours     C   (M, N) = A   (M, K)  B   (K, N)
//     cuBLAS   C^T (N, M) = B^T (N, K)  A^T (K, M)          its m, n, k are our N, M, K; B comes first
//
// A^T and B^T are what cuBLAS sees: CUBLAS_OP_N. An operand that we store transposed it sees as it is, and has to
// transpose: CUBLAS_OP_T. The distance of two columns there, the leading dimension, is that of two rows here.
//
// Precision  Sums in float, in double for double. 16-bit operands go through the tensor cores, with sums in float also
//          where cuBLAS splits k (CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION), and one rounding at the end.
//          Floats do not: the default mode leaves TF32, which keeps 11 of their 24 bits, off.
// The same bits  cuBLAS gives the same bits in every run on cards of one kind, with one version of it, "unless several
//          streams are active", because they share a handle's scratch memory (manual, "Results Reproducibility"). So
//          every stream has a handle of its own, and every thread of the host too. A handle takes time and memory of
//          the card when it is made: at the first product, which must not be while a graph is captured.
#pragma once

#include <algorithm>
#include <limits>
#include <map>

#include "gradus/core/element.hpp"
#include "gradus/machine/cpu/gemm_double.hpp"  // Transpose
#include "gradus/machine/cuda/cuda_memory.hpp"

#if defined(__CUDACC__)
#include <cublas_v2.h>
#else
#include "gradus/machine/emulator/cublas_api.hpp"
#endif

namespace gradus::inline GRADUS_ABI {

// An Error that names the call, the operation that runs and the status.
template <class... Parts>
void check_cublas(cublasStatus_t status, const char* call, const Parts&... parts) {
    if (status == CUBLAS_STATUS_SUCCESS) return;
    fail(text("cuda: ", call, parts..., in_operation(), ": ", cublasGetStatusName(status)));
}

// The handles of one thread of the host, by stream. They are destroyed when the thread ends.
class CublasHandles {
public:
    CublasHandles() = default;
    ~CublasHandles() {
        for (const auto& [stream, handle] : handles_) {
            static_cast<void>(cublasSetStream(handle, nullptr));  // its own, a graph's for instance, may have ended
            static_cast<void>(cublasDestroy(handle));
        }
    }
    CublasHandles(const CublasHandles&) = delete;
    CublasHandles& operator=(const CublasHandles&) = delete;

    cublasHandle_t of(cudaStream_t stream) {
        const auto known = handles_.find(stream);
        if (known != handles_.end()) return known->second;
        GRADUS_CHECK(!is_capturing(Cuda{}), "cuda_gemm: a stream's first product makes a handle, which cannot be part ",
                     "of a graph; run the step once before it is captured");
        cublasHandle_t handle = nullptr;
        check_cublas(cublasCreate(&handle), "cublasCreate");
        handles_[stream] = handle;
        check_cublas(cublasSetStream(handle, stream), "cublasSetStream");
        const int math = CUBLAS_DEFAULT_MATH | CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION;
        check_cublas(cublasSetMathMode(handle, static_cast<cublasMath_t>(math)), "cublasSetMathMode");
        return handle;
    }

private:
    std::map<cudaStream_t, cublasHandle_t> handles_;
};

// The handle whose work is queued in this thread's current stream.
inline cublasHandle_t cublas_handle() {
    static thread_local CublasHandles handles;
    return handles.of(current_stream());
}

template <class T>
constexpr cudaDataType cuda_data_type() {
    if constexpr (std::same_as<T, double>) return CUDA_R_64F;
    if constexpr (std::same_as<T, float>) return CUDA_R_32F;
    if constexpr (std::same_as<T, Half>) return CUDA_R_16F;
    if constexpr (std::same_as<T, BFloat16>) return CUDA_R_16BF;
}

// `count` row-major matrices in the card's memory. Matrix i begins at data + i * step, and its rows are `pitch`
// elements apart. Rows of different matrices may take turns, as the channel groups of a convolution do: for G groups of
// I channels each the pitch is G * I and the step is I.
template <class T>
struct MatrixBatch {
    T* data;
    Index rows, columns, pitch, step, count;
};

// c = a b or c += a b for every matrix of the batch, each operand as it is stored or transposed. T is any floating
// element, U is T or Sum<T>. Errors: an extent of 2^31 or more.
template <class T, class U>
void cuda_gemm(const MatrixBatch<const T>& a, Transpose transpose_a, const MatrixBatch<const T>& b,
               Transpose transpose_b, const MatrixBatch<U>& c, Write mode) {
    const bool a_is = transpose_a == Transpose::no, b_is = transpose_b == Transpose::no;  // as it is stored
    const Index M = c.rows, N = c.columns, K = a_is ? a.columns : a.rows;
    GRADUS_CHECK((a_is ? a.rows : a.columns) == M && (b_is ? b.rows : b.columns) == K &&
                     (b_is ? b.columns : b.rows) == N && a.count == c.count && b.count == c.count,
                 "cuda_gemm: ", c.count, " products (", M, ", ", N, ") of ", a.count, " matrices (", a.rows, ", ",
                 a.columns, ")", a_is ? "" : " transposed", " and ", b.count, " (", b.rows, ", ", b.columns, ")",
                 b_is ? "" : " transposed");
    if (M == 0 || N == 0 || c.count == 0) return;
    if (K == 0) {  // an empty sum; so rare that a call for every row will do
        for (Index i = 0; i < c.count && mode == Write::overwrite; ++i)
            for (Index row = 0; row < M; ++row)
                zero_bytes(Cuda{}, c.data + i * c.step + row * c.pitch, static_cast<std::size_t>(N) * sizeof(U));
        return;
    }
    const Index largest = std::max({M, N, K, a.pitch, b.pitch, c.pitch, c.count});
    GRADUS_CHECK(largest <= std::numeric_limits<int>::max(), "cuda_gemm: cuBLAS counts in 31 bits, not to ", largest);

    const Sum<T> one = 1, kept = Sum<T>(mode == Write::add);  // alpha and beta
    const cublasOperation_t first_op = b_is ? CUBLAS_OP_N : CUBLAS_OP_T, second_op = a_is ? CUBLAS_OP_N : CUBLAS_OP_T;
    const int m = static_cast<int>(N), n = static_cast<int>(M), k = static_cast<int>(K);
    const int first_pitch = static_cast<int>(b.pitch), second_pitch = static_cast<int>(a.pitch);
    const int result_pitch = static_cast<int>(c.pitch), count = static_cast<int>(c.count);
    constexpr cudaDataType type = cuda_data_type<T>(), result_type = cuda_data_type<U>();
    constexpr cublasComputeType_t sums = std::same_as<T, double> ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F;
    if (count == 1) {
        check_cublas(
            cublasGemmEx(cublas_handle(), first_op, second_op, m, n, k, &one, b.data, type, first_pitch, a.data, type,
                         second_pitch, &kept, c.data, result_type, result_pitch, sums, CUBLAS_GEMM_DEFAULT),
            "cublasGemmEx", " of m = ", m, ", n = ", n, ", k = ", k);
    } else {
        check_cublas(cublasGemmStridedBatchedEx(cublas_handle(), first_op, second_op, m, n, k, &one, b.data, type,
                                                first_pitch, b.step, a.data, type, second_pitch, a.step, &kept, c.data,
                                                result_type, result_pitch, c.step, count, sums, CUBLAS_GEMM_DEFAULT),
                     "cublasGemmStridedBatchedEx", " of ", count, " times m = ", m, ", n = ", n, ", k = ", k);
    }
}

// The same for one dense matrix each.
template <class T, class U>
void cuda_gemm(Matrix<const T> a, Transpose transpose_a, Matrix<const T> b, Transpose transpose_b, Matrix<U> c,
               Write mode) {
    const auto batch = []<class V>(Matrix<V> matrix) {
        return MatrixBatch<V>{matrix.data(), matrix.shape()[0], matrix.shape()[1], matrix.shape()[1], 0, 1};
    };
    cuda_gemm(batch(a), transpose_a, batch(b), transpose_b, batch(c), mode);
}

}  // namespace gradus::inline GRADUS_ABI
