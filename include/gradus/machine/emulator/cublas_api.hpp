// machine/emulator/cublas_api.hpp   The few calls of cuBLAS that the library makes, as plain loops on the CPU.
// The same names, arguments and meaning as the toolkit's cublas_v2.h ("cublasGemmEx()" in the manual of cuBLAS):
//     C = alpha op(A) op(B) + beta C       op(A) (m, k), op(B) (k, n), C (m, n), op: nothing or the transpose
// Matrices are column-major: element (i, j) of C is C[i + j * ldc], ldc >= m. Of a batch, product b works on
// A + b * strideA, B + b * strideB and C + b * strideC. With beta = 0 the old C is not read, and may be NaN.
// Types    A and B are of one type, C of that type or float; sums are in float, for double in double. alpha and beta
//          are numbers of the host in the type of the sums. The other combinations of cuBLAS are refused here, with
//          the status for what it does not have either.
// Order    A product is work of the handle's stream, like a launch (stream.hpp). A wrong argument is a status at the
//          call; what is wrong with memory shows when the work is done, and is an Error as it is of a kernel: a matrix
//          that does not lie within a device buffer, and, with the race checker, one that nobody has written.
// Sums     over k in order, rounded once at the end. A card adds in another order, so its bits are others.
#pragma once

#include "gradus/machine/emulator/half_intrinsics.hpp"
#include "gradus/machine/emulator/stream.hpp"

namespace gradus::inline GRADUS_ABI::cuda_names {

enum cublasStatus_t {
    CUBLAS_STATUS_SUCCESS = 0,
    CUBLAS_STATUS_NOT_INITIALIZED = 1,
    CUBLAS_STATUS_ALLOC_FAILED = 3,
    CUBLAS_STATUS_INVALID_VALUE = 7,
    CUBLAS_STATUS_ARCH_MISMATCH = 8,
    CUBLAS_STATUS_EXECUTION_FAILED = 13,
    CUBLAS_STATUS_INTERNAL_ERROR = 14,
    CUBLAS_STATUS_NOT_SUPPORTED = 15,
};
enum cublasOperation_t { CUBLAS_OP_N = 0, CUBLAS_OP_T = 1, CUBLAS_OP_C = 2 };
enum cublasMath_t {
    CUBLAS_DEFAULT_MATH = 0,
    CUBLAS_PEDANTIC_MATH = 2,
    CUBLAS_TF32_TENSOR_OP_MATH = 3,
    CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION = 16,  // may be added to one of the others
};
enum cublasComputeType_t {
    CUBLAS_COMPUTE_16F = 64,
    CUBLAS_COMPUTE_32F = 68,
    CUBLAS_COMPUTE_64F = 70,
};
enum cublasGemmAlgo_t { CUBLAS_GEMM_DEFAULT = -1 };
enum cudaDataType_t { CUDA_R_32F = 0, CUDA_R_64F = 1, CUDA_R_16F = 2, CUDA_R_16BF = 14 };
using cudaDataType = cudaDataType_t;

struct cublasContext {
    cudaStream_t stream = nullptr;
    int math = CUBLAS_DEFAULT_MATH;
};
using cublasHandle_t = cublasContext*;

inline const char* cublasGetStatusName(cublasStatus_t status) {
    switch (status) {
        case CUBLAS_STATUS_SUCCESS:
            return "CUBLAS_STATUS_SUCCESS";
        case CUBLAS_STATUS_NOT_INITIALIZED:
            return "CUBLAS_STATUS_NOT_INITIALIZED";
        case CUBLAS_STATUS_ALLOC_FAILED:
            return "CUBLAS_STATUS_ALLOC_FAILED";
        case CUBLAS_STATUS_INVALID_VALUE:
            return "CUBLAS_STATUS_INVALID_VALUE";
        case CUBLAS_STATUS_ARCH_MISMATCH:
            return "CUBLAS_STATUS_ARCH_MISMATCH";
        case CUBLAS_STATUS_EXECUTION_FAILED:
            return "CUBLAS_STATUS_EXECUTION_FAILED";
        case CUBLAS_STATUS_INTERNAL_ERROR:
            return "CUBLAS_STATUS_INTERNAL_ERROR";
        case CUBLAS_STATUS_NOT_SUPPORTED:
            return "CUBLAS_STATUS_NOT_SUPPORTED";
    }
    return "an unknown status of cuBLAS";
}

inline cublasStatus_t cublasCreate(cublasHandle_t* handle) {
    if (handle == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
    const std::lock_guard lock(emulator::streams().mutex);
    if (emulator::streams().disturbs_capture()) return CUBLAS_STATUS_ALLOC_FAILED;
    *handle = new cublasContext;
    return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasDestroy(cublasHandle_t handle) {  // waits for the card
    if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
    const std::lock_guard lock(emulator::streams().mutex);
    const cudaError_t error = emulator::run_all_without_throwing();
    delete handle;
    return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
inline cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
    if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
    handle->stream = stream;
    return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
    if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
    handle->math = static_cast<int>(mode);
    return CUBLAS_STATUS_SUCCESS;
}

}  // namespace gradus::inline GRADUS_ABI::cuda_names

namespace gradus::inline GRADUS_ABI::emulator {

using cuda_names::cudaDataType;

inline std::size_t bytes_of(cudaDataType type) {
    return type == cuda_names::CUDA_R_64F ? 8 : type == cuda_names::CUDA_R_32F ? 4 : 2;
}

// TF32, the input of tensor cores for floats: 10 of a float's 23 fraction bits, rounded to nearest.
inline float round_to_tf32(float x) {
    if (x != x) return x;
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
    return std::bit_cast<float>((bits + 0xfffu + (bits >> 13 & 1u)) & ~0x1fffu);
}

// One matrix of each product of a batch, as it is stored: column-major, `leading` elements from column to column.
struct BlasMatrix {
    const char* name;
    const void* data;
    cudaDataType type;
    int rows, columns, leading;
    long long stride;  // from product to product
    bool is_transposed = false;

    const char* first(int product) const {
        return static_cast<const char*>(data) + product * stride * static_cast<long long>(bytes_of(type));
    }
    std::size_t offset(int row, int column) const {
        return static_cast<std::size_t>(row) + static_cast<std::size_t>(column) * static_cast<std::size_t>(leading);
    }
    template <class S>
    S load(int product, int row, int column) const {
        const char* const from = first(product) + offset(row, column) * bytes_of(type);
        switch (type) {
            case cuda_names::CUDA_R_64F:
                return static_cast<S>(*reinterpret_cast<const double*>(from));
            case cuda_names::CUDA_R_32F:
                return static_cast<S>(*reinterpret_cast<const float*>(from));
            case cuda_names::CUDA_R_16F:
                return static_cast<S>(float(*reinterpret_cast<const Half*>(from)));
            case cuda_names::CUDA_R_16BF:
                return static_cast<S>(float(*reinterpret_cast<const BFloat16*>(from)));
        }
        return S(0);
    }
    template <class S>
    void store(int product, int row, int column, S value) const {
        char* const to = const_cast<char*>(first(product)) + offset(row, column) * bytes_of(type);
        switch (type) {
            case cuda_names::CUDA_R_64F:
                *reinterpret_cast<double*>(to) = static_cast<double>(value);
                break;
            case cuda_names::CUDA_R_32F:
                *reinterpret_cast<float*>(to) = static_cast<float>(value);
                break;
            case cuda_names::CUDA_R_16F:
                *reinterpret_cast<Half*>(to) = Half(static_cast<float>(value));
                break;
            case cuda_names::CUDA_R_16BF:
                *reinterpret_cast<BFloat16*>(to) = BFloat16(static_cast<float>(value));
                break;
        }
    }

    // An Error unless the matrix lies within one buffer of the device and, if it is read, has been written.
    void check_memory(int product, bool is_read) const {
        if (rows == 0 || columns == 0) return;
        const char* const begin = first(product);
        const auto describe = [&] {
            return text("cublasGemm: ", name, " of product ", product, ", ", rows, " rows and ", columns,
                        " columns with a leading dimension of ", leading, ", ");
        };
        if (reinterpret_cast<std::uintptr_t>(begin) % bytes_of(type) != 0) fail(text(describe(), "is misaligned"));
        if (!device_memory().holds(begin, (offset(rows - 1, columns - 1) + 1) * bytes_of(type)))
            fail(text(describe(), "does not lie within one buffer of the device"));
        if (!is_read || current_observer == nullptr) return;
        for (int j = 0; j < columns; ++j)
            if (!current_observer->was_written(begin + offset(0, j) * bytes_of(type),
                                               static_cast<std::size_t>(rows) * bytes_of(type)))
                fail(text(describe(), "is read, but nobody has written all of column ", j));
    }
    void tell_written(int product) const {
        if (current_observer == nullptr) return;
        for (int j = 0; j < columns; ++j)
            current_observer->written(first(product) + offset(0, j) * bytes_of(type),
                                      static_cast<std::size_t>(rows) * bytes_of(type));
    }
};

struct BlasShape {
    int m, n, k, count;
};

// All products of a call, with sums in S.
template <class S>
struct BlasProducts {
    BlasShape shape;
    BlasMatrix a, b, c;
    S alpha, beta;
    bool rounds_to_tf32;

    void run() const {
        const DeviceAccess access;
        for (int product = 0; product < shape.count; ++product) {
            if (shape.k > 0) a.check_memory(product, true);
            if (shape.k > 0) b.check_memory(product, true);
            c.check_memory(product, beta != 0);
            multiply(product);
            c.tell_written(product);
        }
    }

private:
    // Element (i, j) of op(A) or op(B).
    S input(const BlasMatrix& matrix, int product, int i, int j) const {
        const S value = matrix.is_transposed ? matrix.load<S>(product, j, i) : matrix.load<S>(product, i, j);
        return rounds_to_tf32 ? S(round_to_tf32(static_cast<float>(value))) : value;
    }

    // Column by column of C. Column l of op(A) is copied to where its m numbers are neighbours.
    void multiply(int product) const {
        const auto [m, n, k, count] = shape;
        const std::size_t length = static_cast<std::size_t>(m);
        std::vector<S> columns(length * static_cast<std::size_t>(k)), sums(length);
        for (int l = 0; l < k; ++l)
            for (int i = 0; i < m; ++i)
                columns[static_cast<std::size_t>(l) * length + static_cast<std::size_t>(i)] = input(a, product, i, l);
        for (int j = 0; j < n; ++j) {
            std::fill(sums.begin(), sums.end(), S(0));
            for (int l = 0; l < k; ++l) {
                const S factor = input(b, product, l, j);
                const S* const column = columns.data() + static_cast<std::size_t>(l) * length;
                for (std::size_t i = 0; i < length; ++i) sums[i] += column[i] * factor;
            }
            for (int i = 0; i < m; ++i) {
                S value = alpha * sums[static_cast<std::size_t>(i)];
                if (beta != 0) value += beta * c.load<S>(product, i, j);
                c.store(product, i, j, value);
            }
        }
    }
};

template <class S>
void enqueue_products(cudaStream_t stream, const BlasShape& shape, const BlasMatrix& a, const BlasMatrix& b,
                      const BlasMatrix& c, const void* alpha, const void* beta, bool rounds_to_tf32) {
    const S alpha_value = *static_cast<const S*>(alpha), beta_value = *static_cast<const S*>(beta);
    const BlasProducts<S> products{shape, a, b, c, alpha_value, beta_value, rounds_to_tf32};
    streams().enqueue(stream, [products] { products.run(); });
}

}  // namespace gradus::inline GRADUS_ABI::emulator

namespace gradus::inline GRADUS_ABI::cuda_names {

inline cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t transa,
                                                 cublasOperation_t transb, int m, int n, int k, const void* alpha,
                                                 const void* A, cudaDataType Atype, int lda, long long strideA,
                                                 const void* B, cudaDataType Btype, int ldb, long long strideB,
                                                 const void* beta, void* C, cudaDataType Ctype, int ldc,
                                                 long long strideC, int batchCount, cublasComputeType_t computeType,
                                                 cublasGemmAlgo_t) {
    if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
    const bool flips_a = transa != CUBLAS_OP_N, flips_b = transb != CUBLAS_OP_N;  // of real numbers C is T
    const auto is_operation = [](cublasOperation_t op) { return op >= CUBLAS_OP_N && op <= CUBLAS_OP_C; };
    if (!is_operation(transa) || !is_operation(transb) || m < 0 || n < 0 || k < 0 || batchCount < 0 ||
        lda < std::max(1, flips_a ? k : m) || ldb < std::max(1, flips_b ? n : k) || ldc < std::max(1, m) ||
        alpha == nullptr || beta == nullptr)
        return CUBLAS_STATUS_INVALID_VALUE;
    const bool is_double = Atype == CUDA_R_64F;
    if (Atype != Btype || (Ctype != Atype && (Ctype != CUDA_R_32F || is_double)) ||
        computeType != (is_double ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    const std::lock_guard lock(emulator::streams().mutex);
    if (!emulator::streams().is_known(handle->stream)) return CUBLAS_STATUS_EXECUTION_FAILED;
    if (m == 0 || n == 0 || batchCount == 0) return CUBLAS_STATUS_SUCCESS;

    const emulator::BlasShape shape{m, n, k, batchCount};
    const emulator::BlasMatrix a{"A", A, Atype, flips_a ? k : m, flips_a ? m : k, lda, strideA, flips_a};
    const emulator::BlasMatrix b{"B", B, Btype, flips_b ? n : k, flips_b ? k : n, ldb, strideB, flips_b};
    const emulator::BlasMatrix c{"C", C, Ctype, m, n, ldc, strideC};
    const int math = handle->math & ~static_cast<int>(CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION);
    const bool rounds = Atype == CUDA_R_32F && math == CUBLAS_TF32_TENSOR_OP_MATH;
    if (is_double)
        emulator::enqueue_products<double>(handle->stream, shape, a, b, c, alpha, beta, false);
    else
        emulator::enqueue_products<float>(handle->stream, shape, a, b, c, alpha, beta, rounds);
    return CUBLAS_STATUS_SUCCESS;
}

inline cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m,
                                   int n, int k, const void* alpha, const void* A, cudaDataType Atype, int lda,
                                   const void* B, cudaDataType Btype, int ldb, const void* beta, void* C,
                                   cudaDataType Ctype, int ldc, cublasComputeType_t computeType,
                                   cublasGemmAlgo_t algo) {
    return cublasGemmStridedBatchedEx(handle, transa, transb, m, n, k, alpha, A, Atype, lda, 0, B, Btype, ldb, 0, beta,
                                      C, Ctype, ldc, 0, 1, computeType, algo);
}

}  // namespace gradus::inline GRADUS_ABI::cuda_names
