// cuBLAS on the CPU: column-major products worked out by hand, the statuses of wrong arguments, the order of streams.
#include "gradus/machine/emulator/cublas_api.hpp"

#include <cmath>
#include <limits>

#include "emulator_checks.hpp"

using namespace gradus;

namespace {

struct Handle {
    Handle() { REQUIRE(cublasCreate(&handle) == CUBLAS_STATUS_SUCCESS); }
    ~Handle() { CHECK(cublasDestroy(handle) == CUBLAS_STATUS_SUCCESS); }
    operator cublasHandle_t() const { return handle; }
    cublasHandle_t handle = nullptr;
};

constexpr cublasOperation_t N = CUBLAS_OP_N, T = CUBLAS_OP_T;
const float one = 1, zero = 0;

template <class E>
std::vector<E> as(const std::vector<float>& values) {
    std::vector<E> out;
    for (const float value : values) out.push_back(E(value));
    return out;
}
template <class E>
std::vector<float> floats(const DeviceArray<E>& array) {
    std::vector<float> out;
    for (const E value : array.host()) out.push_back(static_cast<float>(value));
    return out;
}

// The matrix | 1 3 5 | column by column is 1 2 3 4 5 6.
//            | 2 4 6 |
const std::vector<float> two_by_three = {1, 2, 3, 4, 5, 6};

}  // namespace

TEST_CASE("matrices are column-major, and each operand may be transposed") {
    const Handle handle;
    const DeviceArray<float> a(two_by_three), c(9);
    const auto product = [&](cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k) {
        const int ld_a = op_a == N ? m : k, ld_b = op_b == N ? k : n;
        CHECK(cublasGemmEx(handle, op_a, op_b, m, n, k, &one, a.data(), CUDA_R_32F, ld_a, a.data(), CUDA_R_32F, ld_b,
                           &zero, c.data(), CUDA_R_32F, m, CUBLAS_COMPUTE_32F,
                           CUBLAS_GEMM_DEFAULT) == CUBLAS_STATUS_SUCCESS);
        std::vector<float> result = floats(c);
        result.resize(static_cast<std::size_t>(m * n));
        return result;
    };
    // A A^T = | 35 44 |     A^T A = | 5 11 17 |
    //         | 44 56 |             | 11 25 39 |
    //                               | 17 39 61 |
    CHECK(product(N, T, 2, 2, 3) == std::vector<float>{35, 44, 44, 56});
    CHECK(product(T, N, 3, 3, 2) == std::vector<float>{5, 11, 17, 11, 25, 39, 17, 39, 61});
    // The same six numbers as (3, 2): | 1 4 |   times (2, 3) gives (3, 3), and transposed both ways around.
    //                                 | 2 5 |
    //                                 | 3 6 |
    CHECK(product(N, N, 3, 3, 2) == std::vector<float>{9, 12, 15, 19, 26, 33, 29, 40, 51});
    CHECK(product(T, T, 2, 2, 3) == std::vector<float>{22, 49, 28, 64});
    CHECK(product(T, CUBLAS_OP_C, 2, 2, 3) == std::vector<float>{22, 49, 28, 64});
}

TEST_CASE("alpha and beta; with beta 0 the old C may be NaN; leading dimensions leave gaps alone") {
    const Handle handle;
    const float nan = std::numeric_limits<float>::quiet_NaN(), two = 2, half = 0.5f;
    const DeviceArray<float> a(std::vector<float>{1, 2, -9, 3, 4, -9}), b(std::vector<float>{1, 0, 0, 1});
    const DeviceArray<float> fresh(std::vector<float>{nan, nan, 7, nan, nan, 7});
    const auto product = [&](const float* alpha, const float* beta, const DeviceArray<float>& c) {
        CHECK(cublasGemmEx(handle, N, N, 2, 2, 2, alpha, a.data(), CUDA_R_32F, 3, b.data(), CUDA_R_32F, 2, beta,
                           c.data(), CUDA_R_32F, 3, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT) == CUBLAS_STATUS_SUCCESS);
        return floats(c);
    };
    CHECK(product(&one, &zero, fresh) == std::vector<float>{1, 2, 7, 3, 4, 7});
    CHECK(product(&two, &half, fresh) == std::vector<float>{2.5f, 5, 7, 7.5f, 10, 7});
    // An empty sum leaves beta * C.
    CHECK(cublasGemmEx(handle, N, N, 2, 2, 0, &one, nullptr, CUDA_R_32F, 2, nullptr, CUDA_R_32F, 1, &two, fresh.data(),
                       CUDA_R_32F, 3, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT) == CUBLAS_STATUS_SUCCESS);
    CHECK(floats(fresh) == std::vector<float>{5, 10, 7, 15, 20, 7});
}

TEST_CASE("16-bit operands are summed in float and rounded once, or not at all; double in double") {
    const Handle handle;
    const auto check = [&]<class E>(E, cudaDataType type) {
        // 2048 + 1 + 1 - 2048: in 16 bits the ones would be lost.
        const DeviceArray<E> a(as<E>({2048, 1, 1, -2048})), b(as<E>({1, 1, 1, 1})), narrow(1);
        const DeviceArray<float> wide(1);
        const auto product = [&](void* c, cudaDataType c_type) {
            return cublasGemmEx(handle, N, N, 1, 1, 4, &one, a.data(), type, 1, b.data(), type, 4, &zero, c, c_type, 1,
                                CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
        };
        CHECK(product(narrow.data(), type) == CUBLAS_STATUS_SUCCESS);
        CHECK(product(wide.data(), CUDA_R_32F) == CUBLAS_STATUS_SUCCESS);
        CHECK(floats(narrow) == std::vector<float>{2});
        CHECK(floats(wide) == std::vector<float>{2});
    };
    check(Half{}, CUDA_R_16F);
    check(BFloat16{}, CUDA_R_16BF);
    const double alpha = 1, beta = 0;
    const DeviceArray<double> a(std::vector<double>{1, 1e-12}), b(std::vector<double>{1, 1}), c(1);
    CHECK(cublasGemmEx(handle, N, N, 1, 1, 2, &alpha, a.data(), CUDA_R_64F, 1, b.data(), CUDA_R_64F, 2, &beta, c.data(),
                       CUDA_R_64F, 1, CUBLAS_COMPUTE_64F, CUBLAS_GEMM_DEFAULT) == CUBLAS_STATUS_SUCCESS);
    CHECK(c.host()[0] == 1 + 1e-12);
}

TEST_CASE("TF32 keeps 11 bits of a float, where the handle allows it") {
    const Handle handle;
    const DeviceArray<float> a(std::vector<float>{1 + 0x1p-12f}), b(std::vector<float>{1}), c(1);
    const auto product = [&] {
        CHECK(cublasGemmEx(handle, N, N, 1, 1, 1, &one, a.data(), CUDA_R_32F, 1, b.data(), CUDA_R_32F, 1, &zero,
                           c.data(), CUDA_R_32F, 1, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT) == CUBLAS_STATUS_SUCCESS);
        return c.host()[0];
    };
    CHECK(product() == 1 + 0x1p-12f);
    CHECK(cublasSetMathMode(handle, CUBLAS_TF32_TENSOR_OP_MATH) == CUBLAS_STATUS_SUCCESS);
    CHECK(product() == 1);
    CHECK(std::isnan(emulator::round_to_tf32(std::numeric_limits<float>::quiet_NaN())));
    CHECK(emulator::round_to_tf32(-1 - 0x1.8p-10f) == -1 - 0x1p-9f);  // a tie goes to even
}

TEST_CASE("a batch goes on from stride to stride; a stride of 0 is one operand for all") {
    const Handle handle;
    const DeviceArray<float> a(std::vector<float>{1, 2, 3, 4}), b(std::vector<float>{10, 100}), c(8);
    CHECK(cublasGemmStridedBatchedEx(handle, N, N, 2, 2, 1, &one, a.data(), CUDA_R_32F, 2, 2, b.data(), CUDA_R_32F, 1,
                                     0, &zero, c.data(), CUDA_R_32F, 2, 4, 2, CUBLAS_COMPUTE_32F,
                                     CUBLAS_GEMM_DEFAULT) == CUBLAS_STATUS_SUCCESS);
    CHECK(floats(c) == std::vector<float>{10, 20, 100, 200, 30, 40, 300, 400});
}

TEST_CASE("what cannot be is refused with cuBLAS' status, and nothing is done") {
    const Handle handle;
    const DeviceArray<float> x(std::vector<float>(16, 1.0f));
    const DeviceArray<float> c(std::vector<float>(16, 5.0f));
    struct Arguments {
        int m = 2, n = 3, k = 4, ld_a = 2, ld_b = 4, ld_c = 2, batch = 1;
        cublasOperation_t op_a = CUBLAS_OP_N, op_b = CUBLAS_OP_N;
        const void* alpha = &one;
        const void* beta = &zero;
        cudaDataType a = CUDA_R_32F, b = CUDA_R_32F, c = CUDA_R_32F;
        cublasComputeType_t sums = CUBLAS_COMPUTE_32F;
    };
    const auto status = [&](const Arguments& g) {
        return cublasGemmStridedBatchedEx(handle, g.op_a, g.op_b, g.m, g.n, g.k, g.alpha, x.data(), g.a, g.ld_a, 0,
                                          x.data(), g.b, g.ld_b, 0, g.beta, c.data(), g.c, g.ld_c, 0, g.batch, g.sums,
                                          CUBLAS_GEMM_DEFAULT);
    };
    for (const Arguments& g :
         {Arguments{.m = -1}, Arguments{.n = -1}, Arguments{.k = -1}, Arguments{.batch = -1}, Arguments{.ld_a = 1},
          Arguments{.ld_b = 3}, Arguments{.ld_c = 1}, Arguments{.ld_a = 3, .op_a = CUBLAS_OP_T},
          Arguments{.ld_b = 2, .op_b = CUBLAS_OP_T}, Arguments{.m = 0, .ld_a = 0}, Arguments{.alpha = nullptr},
          Arguments{.beta = nullptr}, Arguments{.op_a = static_cast<cublasOperation_t>(3)}})
        CHECK(status(g) == CUBLAS_STATUS_INVALID_VALUE);
    for (const Arguments& g : {Arguments{.b = CUDA_R_16F}, Arguments{.c = CUDA_R_16F}, Arguments{.c = CUDA_R_64F},
                               Arguments{.sums = CUBLAS_COMPUTE_64F}, Arguments{.sums = CUBLAS_COMPUTE_16F},
                               Arguments{.a = CUDA_R_64F, .b = CUDA_R_64F, .c = CUDA_R_64F},
                               Arguments{.a = CUDA_R_64F, .b = CUDA_R_64F, .sums = CUBLAS_COMPUTE_64F},
                               Arguments{.a = CUDA_R_16F, .b = CUDA_R_16F, .c = CUDA_R_16BF}})
        CHECK(status(g) == CUBLAS_STATUS_NOT_SUPPORTED);
    for (const Arguments& g : {Arguments{.m = 0}, Arguments{.n = 0}, Arguments{.batch = 0}})
        CHECK(status(g) == CUBLAS_STATUS_SUCCESS);
    CHECK(floats(c) == std::vector<float>(16, 5.0f));

    CHECK(cublasCreate(nullptr) == CUBLAS_STATUS_INVALID_VALUE);
    CHECK(cublasDestroy(nullptr) == CUBLAS_STATUS_NOT_INITIALIZED);
    CHECK(cublasSetStream(nullptr, nullptr) == CUBLAS_STATUS_NOT_INITIALIZED);
    CHECK(cublasSetMathMode(nullptr, CUBLAS_DEFAULT_MATH) == CUBLAS_STATUS_NOT_INITIALIZED);
    CHECK(cublasGemmEx(nullptr, N, N, 1, 1, 1, &one, x.data(), CUDA_R_32F, 1, x.data(), CUDA_R_32F, 1, &zero, c.data(),
                       CUDA_R_32F, 1, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT) == CUBLAS_STATUS_NOT_INITIALIZED);
    CHECK(std::string(cublasGetStatusName(CUBLAS_STATUS_NOT_SUPPORTED)) == "CUBLAS_STATUS_NOT_SUPPORTED");
}

TEST_CASE("a matrix that is not on the card, runs out of its buffer or is misaligned is an Error that names it") {
    const Handle handle;
    const DeviceArray<float> x(std::vector<float>(12, 1.0f)), c(8);
    std::vector<float> host(12);
    const auto message = [&](const void* a, const void* b, void* to, int ld) {
        return message_of([&] {
            cublasGemmEx(handle, N, N, 2, 3, 4, &one, a, CUDA_R_32F, 2, b, CUDA_R_32F, ld, &zero, to, CUDA_R_32F, 2,
                         CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
        });
    };
    CHECK(message(x.data(), x.data(), c.data(), 4) == "");
    CHECK(message(x.data(), x.data(), c.data(), 5) ==
          "cublasGemm: B of product 0, 4 rows and 3 columns with a leading dimension of 5, does not lie within one "
          "buffer of the device");
    CHECK(contains(message(host.data(), x.data(), c.data(), 4), "A of product 0"));
    CHECK(contains(message(x.data(), x.data(), c.data() + 3, 4), "C of product 0"));
    CHECK(contains(message(reinterpret_cast<const char*>(x.data()) + 2, x.data(), c.data(), 4), "is misaligned"));
}

TEST_CASE("a product is work of the handle's stream: later, in order, and in a graph") {
    const Handle handle;
    cudaStream_t stream = nullptr;
    REQUIRE(cudaStreamCreate(&stream) == cudaSuccess);
    REQUIRE(cublasSetStream(handle, stream) == CUBLAS_STATUS_SUCCESS);
    const emulator::Settings before = emulator::settings();
    const DeviceArray<float> a(std::vector<float>{3}), c(std::vector<float>{1});
    const auto multiply = [&] {  // c = a * c + c
        CHECK(cublasGemmEx(handle, N, N, 1, 1, 1, &one, a.data(), CUDA_R_32F, 1, c.data(), CUDA_R_32F, 1, &one,
                           c.data(), CUDA_R_32F, 1, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT) == CUBLAS_STATUS_SUCCESS);
    };
    emulator::settings().deferred_streams = true;
    float* pinned = nullptr;
    REQUIRE(cudaMallocHost(&pinned, sizeof(float)) == cudaSuccess);
    *pinned = 0;
    multiply();
    cudaMemcpyAsync(pinned, c.data(), sizeof(float), cudaMemcpyDeviceToHost, stream);
    CHECK(*pinned == 0);
    cudaStreamSynchronize(stream);
    CHECK(*pinned == 4);
    cudaFreeHost(pinned);
    emulator::settings() = before;

    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal) == cudaSuccess);
    multiply();
    REQUIRE(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
    REQUIRE(cudaGraphInstantiate(&executable, graph) == cudaSuccess);
    CHECK(c.host()[0] == 4);
    cudaGraphLaunch(executable, stream);
    cudaGraphLaunch(executable, stream);
    cudaStreamSynchronize(stream);
    CHECK(c.host()[0] == 64);
    cudaGraphExecDestroy(executable);
    cudaGraphDestroy(graph);

    cudaStreamDestroy(stream);
    CHECK(cublasGemmEx(handle, N, N, 1, 1, 1, &one, a.data(), CUDA_R_32F, 1, c.data(), CUDA_R_32F, 1, &one, c.data(),
                       CUDA_R_32F, 1, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT) == CUBLAS_STATUS_EXECUTION_FAILED);
}
