// cuda_gemm: row-major products of small whole numbers, which are exact in every element type and order of sums.
#include "gradus/machine/cuda/cublas.hpp"

#include <doctest/doctest.h>

#include <thread>

#include "gradus/core/tensor.hpp"
#include "gradus/machine/cuda/parameters.hpp"

using namespace gradus;

namespace {

template <class T>
Tensor<T, Cuda> tensor(const Shape& shape, const std::vector<int>& values) {
    std::vector<T> elements;
    for (const int value : values) elements.push_back(static_cast<T>(value));
    return Tensor<T, Cuda>::from(shape, elements);
}
template <class T>
std::vector<int> whole_numbers(const Tensor<T, Cuda>& x) {
    std::vector<int> out;
    for (const T value : x.to_vector()) out.push_back(static_cast<int>(static_cast<double>(value)));
    return out;
}
// -2 to 2, in a fixed disorder.
std::vector<int> small_numbers(Index count, int seed) {
    std::vector<int> values;
    for (Index i = 0; i < count; ++i) values.push_back(static_cast<int>((i * i + 3 * i + seed) % 5) - 2);
    return values;
}

constexpr Transpose as_stored = Transpose::no, transposed = Transpose::yes;

template <class T, class U>
void check_products() {
    for (const Index M : {1, 3, 20})
        for (const Index N : {1, 5})
            for (const Index K : {0, 1, 7, 19})
                for (const bool flip_a : {false, true})
                    for (const bool flip_b : {false, true})
                        for (const Write mode : {Write::overwrite, Write::add}) {
                            INFO(text(M, " x ", N, " x ", K, flip_a ? ", A^T" : "", flip_b ? ", B^T" : ""));
                            const std::vector<int> a = small_numbers(M * K, 1), b = small_numbers(K * N, 2);
                            std::vector<int> want = small_numbers(M * N, 3);
                            auto c = tensor<U>({M, N}, want);
                            for (Index i = 0; i < M; ++i)
                                for (Index j = 0; j < N; ++j) {
                                    int sum = 0;
                                    for (Index k = 0; k < K; ++k)
                                        sum += a[static_cast<std::size_t>(flip_a ? k * M + i : i * K + k)] *
                                               b[static_cast<std::size_t>(flip_b ? j * K + k : k * N + j)];
                                    put(want[static_cast<std::size_t>(i * N + j)], sum, mode);
                                }
                            const auto a_stored = tensor<T>(flip_a ? Shape{K, M} : Shape{M, K}, a);
                            const auto b_stored = tensor<T>(flip_b ? Shape{N, K} : Shape{K, N}, b);
                            cuda_gemm(a_stored.template read<2>(), flip_a ? transposed : as_stored,
                                      b_stored.template read<2>(), flip_b ? transposed : as_stored,
                                      c.template write<2>(), mode);
                            CHECK(whole_numbers(c) == want);
                        }
}

}  // namespace

TEST_CASE("a product is row-major, with each operand as it is stored or transposed: float") {
    check_products<float, float>();
}
TEST_CASE("a product is row-major: double") { check_products<double, double>(); }
TEST_CASE("a product is row-major: 16 bits") {
    check_products<Half, Half>();
    check_products<BFloat16, BFloat16>();
}
TEST_CASE("a product of 16-bit operands may be float, and is not rounded then") {
    check_products<Half, float>();
    check_products<BFloat16, float>();
    const auto a = tensor<Half>({1, 2}, {2048, 1}), b = tensor<Half>({2, 1}, {1, 1});
    Tensor<float, Cuda> c({1, 1});
    cuda_gemm(a.read<2>(), as_stored, b.read<2>(), as_stored, c.write<2>(), Write::overwrite);
    CHECK(c.item() == 2049);
}

TEST_CASE("a product of floats keeps all their bits") {  // TF32 would keep 11 of 24
    const float x = 1 + 0x1p-20f;
    const auto a = Tensor<float, Cuda>::from({1, 1}, {x}), b = Tensor<float, Cuda>::from({1, 1}, {1.0f});
    Tensor<float, Cuda> c({1, 1});
    cuda_gemm(a.read<2>(), as_stored, b.read<2>(), as_stored, c.write<2>(), Write::overwrite);
    CHECK(c.item() == x);
}

TEST_CASE("the matrices of a batch may take turns in the rows, as groups of channels do") {
    // x (2, 2 groups of 2 channels) times one (1, 2) for each group, transposed.
    const auto x = tensor<float>({2, 4}, {1, 2, 3, 4, 5, 6, 7, 8}), weight = tensor<float>({2, 2}, {1, 0, 10, 1});
    auto y = tensor<float>({2, 2}, {100, 200, 300, 400});
    cuda_gemm(MatrixBatch<const float>{x.read<1>().data(), 2, 2, 4, 2, 2}, as_stored,
              MatrixBatch<const float>{weight.read<1>().data(), 1, 2, 2, 2, 2}, transposed,
              MatrixBatch<float>{y.write<1>().data(), 2, 1, 2, 1, 2}, Write::add);
    CHECK(whole_numbers(y) == std::vector<int>{101, 234, 305, 478});
    // Sums of nothing are zeros, in the rows' places and nowhere else.
    cuda_gemm(MatrixBatch<const float>{nullptr, 2, 0, 1, 0, 1}, as_stored,
              MatrixBatch<const float>{nullptr, 0, 1, 1, 0, 1}, as_stored,
              MatrixBatch<float>{y.write<1>().data(), 2, 1, 2, 0, 1}, Write::overwrite);
    CHECK(whole_numbers(y) == std::vector<int>{0, 234, 0, 478});
}

TEST_CASE("what does not fit is an Error") {
    const auto a = tensor<float>({2, 3}, {1, 2, 3, 4, 5, 6});
    auto c = tensor<float>({2, 2}, {0, 0, 0, 0});
    CHECK_THROWS_WITH_AS(cuda_gemm(a.read<2>(), as_stored, a.read<2>(), as_stored, c.write<2>(), Write::overwrite),
                         "cuda_gemm: 1 products (2, 2) of 1 matrices (2, 3) and 1 (2, 3)", Error);
    const Index huge = Index{1} << 31;
    CHECK_THROWS_WITH_AS(cuda_gemm(MatrixBatch<const float>{nullptr, huge, 1, 1, 0, 1}, as_stored,
                                   MatrixBatch<const float>{nullptr, 1, 1, 1, 0, 1}, as_stored,
                                   MatrixBatch<float>{nullptr, huge, 1, 1, 0, 1}, Write::overwrite),
                         "cuda_gemm: cuBLAS counts in 31 bits, not to 2147483648", Error);
    CHECK_THROWS_WITH_AS(check_cublas(CUBLAS_STATUS_NOT_SUPPORTED, "cublasGemmEx", " of m = ", 3),
                         "cuda: cublasGemmEx of m = 3: CUBLAS_STATUS_NOT_SUPPORTED", Error);
    CHECK_NOTHROW(check_cublas(CUBLAS_STATUS_SUCCESS, "cublasGemmEx"));
}

TEST_CASE("every stream has a handle of its own, and every thread") {
    cudaStream_t stream = nullptr;
    REQUIRE(cudaStreamCreate(&stream) == cudaSuccess);
    const cublasHandle_t of_default = cublas_handle();
    CHECK(cublas_handle() == of_default);
    {
        const StreamScope scope(stream);
        CHECK(cublas_handle() != of_default);
    }
    CHECK(cublas_handle() == of_default);
    cublasHandle_t of_other_thread = nullptr;
    std::thread([&] { of_other_thread = cublas_handle(); }).join();
    CHECK(of_other_thread != of_default);
    CHECK(cudaStreamDestroy(stream) == cudaSuccess);
}

#if !defined(__CUDACC__)
TEST_CASE("a product waits for what is before it in its stream") {
    cudaStream_t stream = nullptr;
    REQUIRE(cudaStreamCreate(&stream) == cudaSuccess);
    const emulator::Settings before = emulator::settings();
    emulator::settings().deferred_streams = true;
    {
        const StreamScope scope(stream);
        const auto a = tensor<float>({1, 2}, {3, 4});
        const Tensor<float, Cuda> b = a.clone();  // a copy in the stream
        auto c = tensor<float>({1, 1}, {0});
        cuda_gemm(a.read<2>(), as_stored, b.read<2>(), transposed, c.write<2>(), Write::overwrite);
        CHECK(c.item() == 25);
    }
    emulator::settings() = before;
    CHECK(cudaStreamDestroy(stream) == cudaSuccess);
}
#endif

TEST_CASE("parameters are rounded to 16 bits in a copy; others are used as they are") {
    for (const Index count : {0, 1, 4, 7, 2000}) {
        std::vector<float> values;
        for (Index i = 0; i < count; ++i) values.push_back(1.0f / static_cast<float>(i + 3));
        const auto parameters = Tensor<float, Cuda>::from({count}, values);
        const ParametersAs<Half> rounded(parameters.read<1>().data(), count);
        Tensor<Half, Cuda> copy({count});
        copy_bytes(Cuda{}, copy.write<1>().data(), Cuda{}, rounded.data(),
                   static_cast<std::size_t>(count) * sizeof(Half));
        const std::vector<Half> halves = copy.to_vector();
        for (std::size_t i = 0; i < halves.size(); ++i) CHECK(halves[i].bits == Half(values[i]).bits);
        CHECK(ParametersAs<float>(parameters.read<1>().data(), count).data() == parameters.read<1>().data());
    }
}

TEST_CASE("rows of a bias") {
    for (const Index O : {1, 3, 8, 37}) {
        const std::vector<int> bias = small_numbers(O, 1);
        const auto parameters = tensor<float>({O}, bias);
        Tensor<Half, Cuda> y({50, O});
        fill_rows_cuda<Half>(parameters.read<1>(), y.write<1>().data(), 50);
        const std::vector<int> rows = whole_numbers(y);
        bool all_equal = true;
        for (std::size_t i = 0; i < rows.size(); ++i)
            all_equal = all_equal && rows[i] == bias[i % static_cast<std::size_t>(O)];
        CHECK(all_equal);
    }
}

#if !defined(__CUDACC__)
TEST_CASE("a thread may end with queued work: its handles wait for the kernels, whose block has gone by then") {
    const auto x = tensor<float>({1, 2}, {3, 4});
    auto y = tensor<float>({1, 1}, {0});
    const emulator::Settings before = emulator::settings();
    emulator::settings().deferred_streams = true;
    std::thread([&] {
        cuda_gemm(x.read<2>(), as_stored, x.read<2>(), transposed, y.write<2>(), Write::overwrite);
        CHECK(Tensor<float, Cuda>::full({1, 1}, 5).item() == 5);  // a kernel has run after the handle was made
        y = Tensor<float, Cuda>::full({1, 1}, 7);
    }).join();
    CHECK(y.item() == 7);
    emulator::settings() = before;
}
#endif
