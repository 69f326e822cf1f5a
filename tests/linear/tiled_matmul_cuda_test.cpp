// The rungs of the matrix product on Cuda, and cuBLAS beside them: the same small whole numbers from all three.
#include "gradus/linear/tiled_matmul_cuda.cuh"

#include "gradus/core/tensor.hpp"
#include "gradus/linear/matmul_cuda.cuh"
#include "machine/emulator/emulator_checks.hpp"

using namespace gradus;

namespace {

template <class T>
using Product = void (*)(Cuda, Matrix<const T>, bool, Matrix<const T>, bool, Matrix<T>, Write);

template <class T>
struct Rung {
    const char* name;
    Product<T> multiply;
};
template <class T>
std::vector<Rung<T>> all_rungs() {
    return {{"tiled", tiled_matmul<T>}, {"register-blocked", register_blocked_matmul<T>}, {"cuBLAS", matmul<T>}};
}

// -1, 0 or 1, so that a sum of 200 products is exact in BFloat16 too.
template <class T>
std::vector<T> signs(Index count, int seed) {
    std::vector<T> values;
    for (Index i = 0; i < count; ++i)
        values.push_back(static_cast<T>(static_cast<int>((i * i + 5 * i + seed) % 3) - 1));
    return values;
}

// Every operand lies `offset` elements behind the start of its buffer.
template <class T>
void check_product(const Rung<T>& rung, Index M, Index N, Index K, bool flip_a, bool flip_b, Write mode, Index offset) {
    INFO(text(rung.name, " in ", element_name<T>(), ", ", M, " x ", N, " x ", K, flip_a ? ", A^T" : "",
              flip_b ? ", B^T" : "", ", offset ", offset));
    // One element more than is used: a buffer cannot be empty, and nothing behind c may be written.
    const std::vector<T> a = signs<T>(offset + M * K + 1, 1), b = signs<T>(offset + K * N + 1, 2);
    std::vector<T> want = signs<T>(offset + M * N + 1, 0);
    const DeviceArray<T> a_array(a), b_array(b), c_array(want);
    const auto at = [offset](const std::vector<T>& x, Index i) {
        return static_cast<int>(static_cast<float>(x[static_cast<std::size_t>(offset + i)]));
    };
    for (Index i = 0; i < M; ++i)
        for (Index j = 0; j < N; ++j) {
            int sum = mode == Write::add ? at(want, i * N + j) : 0;
            for (Index k = 0; k < K; ++k)
                sum += at(a, flip_a ? k * M + i : i * K + k) * at(b, flip_b ? j * K + k : k * N + j);
            want[static_cast<std::size_t>(offset + i * N + j)] = static_cast<T>(sum);
        }
    rung.multiply(Cuda{}, Matrix<const T>(a_array.data() + offset, {flip_a ? K : M, flip_a ? M : K}), flip_a,
                  Matrix<const T>(b_array.data() + offset, {flip_b ? N : K, flip_b ? K : N}), flip_b,
                  Matrix<T>(c_array.data() + offset, {M, N}), mode);
    const std::vector<T> got = c_array.host();
    Index wrong = 0;
    for (std::size_t i = 0; i < want.size(); ++i)
        if (static_cast<float>(got[i]) != static_cast<float>(want[i])) ++wrong;
    CHECK(wrong == 0);
}

template <class T>
void check_all() {
    struct Size {
        Index M, N, K;
    };
    for (const Rung<T>& rung : all_rungs<T>())
        for (const Size& size :
             {Size{1, 1, 1}, Size{3, 5, 0}, Size{0, 4, 3}, Size{33, 7, 40}, Size{64, 32, 32}, Size{70, 130, 35}})
            for (const bool flip_a : {false, true})
                for (const bool flip_b : {false, true}) {
                    const Write mode = flip_a == flip_b ? Write::overwrite : Write::add;
                    check_product(rung, size.M, size.N, size.K, flip_a, flip_b, mode, flip_a ? 1 : 0);
                }
}

}  // namespace

TEST_CASE("every rung agrees with the sum that is meant: float") { check_all<float>(); }
TEST_CASE("every rung agrees: double") { check_all<double>(); }
TEST_CASE("every rung agrees: Half") { check_all<Half>(); }
TEST_CASE("every rung agrees: BFloat16") { check_all<BFloat16>(); }

TEST_CASE("the order of threads and blocks does not matter") {
    in_every_order([] {
        for (const Rung<float>& rung : all_rungs<float>())
            check_product(rung, 65, 66, 20, false, false, Write::overwrite, 0);
    });
}
