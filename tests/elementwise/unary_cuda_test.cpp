// What the small samples of the table of operations do not reach: grids of many blocks, threads that take several
// packs, and memory that is not aligned to a pack.
#include "gradus/elementwise/unary_cuda.cuh"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "gradus/machine/cuda/grid_stride.hpp"

using namespace gradus;

namespace {

std::vector<float> counted(Index count) {
    std::vector<float> values;
    for (Index i = 0; i < count; ++i) values.push_back(static_cast<float>(i % 1000) - 500.0f);
    return values;
}

}  // namespace

TEST_CASE("a grid fills the card and no more") {
    const unsigned most = 8u * static_cast<unsigned>(multiprocessors());
    CHECK(stride_blocks(0) == 0);
    CHECK(stride_blocks(1) == 1);
    CHECK(stride_blocks(257) == 2);
    CHECK(stride_blocks(Index{1} << 40) == most);
    CHECK(pack_blocks<float>(1024) == 1);
    CHECK(pack_blocks<float>(1025) == 2);
    CHECK(pack_blocks<Half>(2048) == 1);
}

TEST_CASE("unary on Cuda: several blocks, then several packs a thread") {
    const Index whole_grid = Index{8} * multiprocessors() * stride_threads * vector_length<float>;
    for (const Index count : {Index{2 * 1024 + 3}, whole_grid + 5}) {
        const std::vector<float> values = counted(count);
        const Variable<float, Cuda> x(Tensor<float, Cuda>::from({count}, values), true);
        const Variable<float, Cuda> y = square(x);
        y.backward(x.value());
        std::vector<float> squares = values, gradients = values;
        for (float& v : squares) v = v * v;
        for (float& v : gradients) v = 2 * v * v;
        const bool same_values = y.value().to_vector() == squares;
        const bool same_gradients = x.grad().to_vector() == gradients;
        CHECK(same_values);
        CHECK(same_gradients);
    }
}

TEST_CASE("unary on Cuda: a slice that is not aligned to 16 bytes") {
    const std::vector<float> values = counted(1100);
    const Tensor<float, Cuda> whole = Tensor<float, Cuda>::from({1100}, values);
    for (Index begin = 0; begin < 5; ++begin) {
        const Variable<float, Cuda> x(whole.slice(begin, 1099));
        const std::vector<float> y = square(x).value().to_vector();
        bool is_right = y.size() == static_cast<std::size_t>(1099 - begin);
        for (std::size_t i = 0; i < y.size(); ++i) {
            const float v = values[static_cast<std::size_t>(begin) + i];
            is_right = is_right && y[i] == v * v;
        }
        CHECK(is_right);
    }
}
