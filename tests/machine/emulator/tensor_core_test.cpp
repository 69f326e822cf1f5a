// wmma: products of small integers, exact in every layout; a layout that changes; checks of pointers and of lanes.
#include "gradus/machine/emulator/tensor_core.hpp"

#include "emulator_checks.hpp"

using namespace gradus;

namespace {

// C (M, N) = leaky_relu(A (M, K) B (K, N)), one warp for each 16x16 tile.
template <class T, class LayoutB>
__global__ void gemm_kernel(const T* a, const T* b, float* c, int N, int K) {
    using namespace nvcuda;
    const int row = static_cast<int>(blockIdx.y) * 16, column = static_cast<int>(blockIdx.x) * 16;
    wmma::fragment<wmma::matrix_a, 16, 16, 16, T, wmma::row_major> a_part;
    wmma::fragment<wmma::matrix_b, 16, 16, 16, T, LayoutB> b_part;
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> sum;
    wmma::fill_fragment(sum, 0.0f);
    constexpr bool by_column = std::is_same_v<LayoutB, wmma::col_major>;
    for (int k = 0; k < K; k += 16) {
        wmma::load_matrix_sync(a_part, a + row * K + k, static_cast<unsigned>(K));
        wmma::load_matrix_sync(b_part, by_column ? b + column * K + k : b + k * N + column,
                               static_cast<unsigned>(by_column ? K : N));
        wmma::mma_sync(sum, a_part, b_part, sum);
    }
    for (int e = 0; e < sum.num_elements; ++e) sum.x[e] = sum.x[e] > 0 ? sum.x[e] : 0.5f * sum.x[e];
    wmma::store_matrix_sync(c + row * N + column, sum, static_cast<unsigned>(N), wmma::mem_row_major);
}

template <int>
__global__ void layout_kernel(const float* matrix, float* elements) {
    using namespace nvcuda;
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> part;
    wmma::load_matrix_sync(part, matrix, 16, wmma::mem_row_major);
    for (unsigned e = 0; e < 8; ++e) elements[threadIdx.x * 8 + e] = part.x[e];
}

template <int>
__global__ void offset_kernel(const float* matrix, unsigned leading, int offset) {
    using namespace nvcuda;
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> part;
    wmma::load_matrix_sync(part, matrix + offset, leading, wmma::mem_row_major);
}

template <int>
__global__ void half_warp_kernel(int) {
    using namespace nvcuda;
    wmma::fragment<wmma::matrix_a, 16, 16, 16, half, wmma::row_major> a;
    wmma::fragment<wmma::matrix_b, 16, 16, 16, half, wmma::row_major> b;
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> c;
    wmma::fill_fragment(a, half(1.0f));
    wmma::fill_fragment(b, half(1.0f));
    wmma::fill_fragment(c, 0.0f);
    if (threadIdx.x < 16) wmma::mma_sync(c, a, b, c);
}

template <class T, class LayoutB>
void check_gemm() {
    const int M = 32, N = 48, K = 64;
    constexpr bool by_column = std::is_same_v<LayoutB, nvcuda::wmma::col_major>;
    std::vector<T> a(32 * 64), b(64 * 48);
    for (std::size_t i = 0; i < a.size(); ++i) a[i] = T(static_cast<int>(i * 7 % 11) - 5);
    for (std::size_t i = 0; i < b.size(); ++i) b[i] = T(static_cast<int>(i * 5 % 13) - 6);
    std::vector<float> want(32 * 48);
    for (int i = 0; i < M; ++i)
        for (int j = 0; j < N; ++j) {
            float sum = 0;
            for (int k = 0; k < K; ++k)
                sum += static_cast<float>(a[static_cast<std::size_t>(i * K + k)]) *
                       static_cast<float>(b[static_cast<std::size_t>(by_column ? j * K + k : k * N + j)]);
            want[static_cast<std::size_t>(i * N + j)] = sum > 0 ? sum : 0.5f * sum;
        }
    const DeviceArray<T> da(a), db(b);
    in_every_order([&] {
        const DeviceArray<float> c(want.size());
        launch(gemm_kernel<T, LayoutB>, dim3(3, 2), 32, 0, nullptr, da.data(), db.data(), c.data(), N, K);
        CHECK(c.host() == want);
    });
}

}  // namespace

TEST_CASE("matrix products of half and bfloat16, B by row and by column") {
    check_gemm<Half, nvcuda::wmma::row_major>();
    check_gemm<Half, nvcuda::wmma::col_major>();
    check_gemm<BFloat16, nvcuda::wmma::row_major>();
    check_gemm<BFloat16, nvcuda::wmma::col_major>();
}

TEST_CASE("the layout of a fragment is complete, not the obvious one, and changes with the seed") {
    std::vector<float> matrix(256);
    for (std::size_t i = 0; i < 256; ++i) matrix[i] = static_cast<float>(i);
    const DeviceArray<float> x(matrix), elements(256);
    std::vector<std::vector<float>> layouts;
    for (const unsigned seed : {1u, 2u}) {
        emulator::settings().seed = seed;
        launch(layout_kernel<0>, 1, 32, 0, nullptr, x.data(), elements.data());
        layouts.push_back(elements.host());
    }
    emulator::settings() = emulator::Settings{};
    CHECK(layouts[0] != layouts[1]);
    CHECK(layouts[0] != matrix);
    std::sort(layouts[0].begin(), layouts[0].end());
    CHECK(layouts[0] == matrix);
}

TEST_CASE("misaligned pointers, wrong leading dimensions and missing lanes are errors") {
    const DeviceArray<float> x(512);
    const auto message = [&](unsigned leading, int offset) {
        return message_of([&] { launch(offset_kernel<0>, 1, 32, 0, nullptr, x.data(), leading, offset); });
    };
    CHECK(message(16, 8) == "");
    const std::string misaligned = message(16, 4);
    CHECK(contains(misaligned, "offset_kernel<0>: wmma::load_matrix_sync at tensor_core_test.cpp:"));
    CHECK(contains(misaligned, ": the pointer is not a multiple of 32 bytes"));
    CHECK(contains(message(18, 0), "the leading dimension 18 is not a multiple of 16 bytes"));
    CHECK(contains(message_of([] { launch(half_warp_kernel<0>, 1, 32, 0, nullptr, 0); }),
                   "half_warp_kernel<0>: wmma::mma_sync at tensor_core_test.cpp:"));
    CHECK(contains(message_of([] { launch(half_warp_kernel<0>, 1, 32, 0, nullptr, 0); }),
                   "needs all 32 lanes of the warp, here 16 take part"));
    CHECK(contains(message_of([&] { launch(offset_kernel<0>, 1, 48, 0, nullptr, x.data(), 16u, 0); }),
                   "needs all 32 lanes of the warp, here 16 take part"));  // a warp that the block does not fill
}
