// Covers batch_norm_cuda.cuh, channel_statistics_cuda.cuh and channel_grid_cuda.cuh, with what the small samples of the
// table of operations do not reach: several blocks, channels that are not whole packs, means far above the deviation,
// memory that is not aligned, and the layer.
#include "gradus/normalization/batch_norm_cuda.cuh"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "gradus/nn/batch_norm2d.hpp"
#include "gradus/nn/state_dict.hpp"
#include "machine/emulator/emulator_checks.hpp"
#include "normalization/batch_norm_checks.hpp"

using namespace gradus;

namespace {

// Mean and variance of x in T against those in long double: the variance within `roundings` roundings, relative; the
// mean within as many of the deviation, and its own rounding to Sum<T>.
template <class T>
void check_statistics(const Tensor<T, Cuda>& x, double roundings) {
    using S = Sum<T>;
    const Index M = x.shape()[0], C = x.shape()[1];
    const double eps = std::numeric_limits<S>::epsilon();
    Tensor<S, Cuda> mean({C}), var({C});
    batch_norm_statistics(Cuda{}, x.template read<2>(), mean.template write<1>(), var.template write<1>());
    const std::vector<S> means = mean.to_vector(), vars = var.to_vector();
    const std::vector<T> values = x.to_vector();
    double worst_mean = 0, worst_var = 0;  // in units of what is allowed
    for (Index c = 0; c < C; ++c) {
        const auto value = [&](Index m) {
            return static_cast<long double>(static_cast<S>(values[static_cast<std::size_t>(m * C + c)]));
        };
        long double sum = 0, squares = 0;
        for (Index m = 0; m < M; ++m) sum += value(m);
        const long double exact = sum / static_cast<long double>(M);
        for (Index m = 0; m < M; ++m) squares += (value(m) - exact) * (value(m) - exact);
        const double exact_mean = static_cast<double>(exact);
        const double exact_var = static_cast<double>(squares / static_cast<long double>(M));
        const std::size_t i = static_cast<std::size_t>(c);
        const double mean_bound = eps * (std::abs(exact_mean) + roundings * std::sqrt(exact_var)) + 1e-30;
        const double mean_ratio = static_cast<double>(std::abs(means[i] - exact)) / mean_bound;
        const double var_ratio = std::abs(vars[i] - exact_var) / (roundings * eps * exact_var + 1e-30);
        worst_mean = worse(worst_mean, mean_ratio);
        worst_var = worse(worst_var, var_ratio);
    }
    CAPTURE(M);
    CAPTURE(C);
    CHECK(worst_mean <= 1);
    CHECK(worst_var <= 1);
}

}  // namespace

TEST_CASE("channel grid: what blocks and threads do") {
    const ChannelGrid resnet = ChannelGrid::of<float>(128 * 32 * 32, 64);
    CHECK(resnet.columns == 16);  // packs of 4
    CHECK(resnet.lanes == 16);
    CHECK(resnet.column_blocks == 1);
    CHECK(resnet.parts == 512);
    CHECK(resnet.rows == 256);
    const ChannelGrid odd = ChannelGrid::of<Half>(1000, 3);
    CHECK(odd.columns == 3);  // single elements
    CHECK(odd.lanes == 85);
    const ChannelGrid wide = ChannelGrid::of<float>(49, 2048);
    CHECK(wide.columns == 64);
    CHECK(wide.column_blocks == 8);
    CHECK(wide.lanes == 4);
    CHECK(wide.parts == 3);  // 4 rows for each of 4 lanes, where there are few blocks
    for (const Index C : {1, 3, 8, 20, 64, 65, 129, 1000})
        for (const Index M : {0, 1, 2, 100, 1000, 70'000}) {  // every row is in one part
            const ChannelGrid grid = ChannelGrid::of<float>(M, C);
            Index rows = 0;
            for (Index p = 0; p < grid.parts; ++p) rows += grid.rows_of(p);
            CHECK(rows == M);
            CHECK(grid.columns * grid.column_blocks * run_length<float>(C) >= C);
        }
}

// A lane has at most 17 rows here, and there are up to 24 merges.
TEST_CASE("statistics on Cuda: means far above the deviation, odd channels, several blocks") {
    Generator generator{5, 0, 0};
    for (const Index C : {1, 3, 7, 8, 24, 64, 130, 257})
        for (const Index M : {2, 7, 37, 300, 5000}) {
            check_statistics(random_tensor<float, Cuda>({M, C}, -1, 3, generator), 50);
            check_statistics(random_tensor<float, Cuda>({M, C}, 999, 1001, generator), 50);
            check_statistics(random_tensor<float, Cuda>({M, C}, -300'001, -300'000, generator), 50);
            if (M > 300) continue;
            check_statistics(random_tensor<double, Cuda>({M, C}, 1e6, 1e6 + 1, generator), 50);
            check_statistics(random_tensor<Half, Cuda>({M, C}, 100, 102, generator), 50);
            check_statistics(random_tensor<BFloat16, Cuda>({M, C}, 1, 3, generator), 50);
        }
}

TEST_CASE("statistics on Cuda: a first row unlike all others") {
    Generator generator{6, 0, 0};
    for (const Index M : {40, 3000}) {
        std::vector<float> values = random_tensor<float, Cuda>({M, 8}, 999, 1001, generator).to_vector();
        std::fill_n(values.begin(), 8, 0.0f);
        // Its share is (1000 / sigma)^2 / M of the variance; k of the bound is sqrt(M) at most.
        check_statistics(Tensor<float, Cuda>::from({M, 8}, values), 50 * std::sqrt(static_cast<double>(M)));
    }
}

TEST_CASE("statistics on Cuda: equal values have the variance 0, a NaN stays in its channel") {
    const Index M = 3000, C = 8;
    std::vector<float> values(static_cast<std::size_t>(M * C), 1234.567f);
    values[static_cast<std::size_t>(2000 * C + 3)] = std::numeric_limits<float>::quiet_NaN();
    const Tensor<float, Cuda> x = Tensor<float, Cuda>::from({M, C}, values);
    Tensor<float, Cuda> mean({C}), var({C});
    batch_norm_statistics(Cuda{}, x.read<2>(), mean.write<1>(), var.write<1>());
    for (std::size_t c = 0; c < 8; ++c) {
        CHECK((c == 3 ? std::isnan(mean.to_vector()[c]) : mean.to_vector()[c] == 1234.567f));
        CHECK((c == 3 ? std::isnan(var.to_vector()[c]) : var.to_vector()[c] == 0));
    }
}

TEST_CASE("batch norm on Cuda agrees with Reference in double") {
    Generator generator{5, 0, 0};
    for (const Index C : {1, 3, 10, 16, 24, 130})
        for (const Index M : {2, 37, 300, 3000}) check_agrees_with_reference<Cuda>(M, C, generator);
}

TEST_CASE("batch norm on Cuda: only the gradient that is asked for; no rows") {
    Generator generator{4, 0, 0};
    const Tensor<float, Cuda> values = random_tensor<float, Cuda>({6, 5}, -1, 1, generator), dy = values.clone();
    BatchNorm2d<float, Cuda> layer(5, {.relu = true});
    const Variable<float, Cuda> constant(values), shortcut(values, true);  // x needs no gradient, the shortcut does
    layer(constant, shortcut).backward(dy);
    CHECK(!constant.grad().defined());
    CHECK(shortcut.grad().defined());
    layer.eval();
    const Variable<float, Cuda> empty(Tensor<float, Cuda>(Shape{0, 5}), true);
    layer.gamma.zero_grad();
    layer(empty).backward(Tensor<float, Cuda>(Shape{0, 5}));
    CHECK(layer.gamma.grad().to_vector() == std::vector<float>(5, 0.0f));
}

TEST_CASE("batch norm on Cuda: a slice that is not aligned to a pack") {
    Generator generator{7, 0, 0};
    const Tensor<float, Cuda> whole = random_tensor<float, Cuda>({1700}, -1, 1, generator);
    for (Index begin = 0; begin < 5; ++begin) {
        const Tensor<float, Cuda> x = whole.slice(begin, begin + 1600).reshape({200, 8});
        check_statistics(x, 50);
        BatchNorm2d<float, Cuda> layer(8);
        BatchNorm2d<float, Reference> expected(8);
        const Variable<float, Cuda> in(x, true);
        const Variable<float, Reference> in2(x.to<Reference>(), true);
        const Variable<float, Cuda> y = layer(in);
        const Variable<float, Reference> y2 = expected(in2);
        y.backward(x);
        y2.backward(x.to<Reference>());
        CHECK(worst_difference(y.value(), y2.value()) <= 1e-5);
        CHECK(worst_difference(in.grad(), in2.grad()) <= 1e-5);
    }
}

TEST_CASE("batch norm on Cuda: the same bits in every order of threads") {
    Generator generator{7, 0, 0};
    const Tensor<float, Cuda> x = random_tensor<float, Cuda>({3, 20, 20, 24}, -1, 1, generator), dy = x.clone();
    std::vector<float> y, dx, dgamma;
    in_every_order([&] {
        BatchNorm2d<float, Cuda> layer(24, {.relu = true});
        const Variable<float, Cuda> in(x, true);
        const Variable<float, Cuda> out = layer(in, in);
        out.backward(dy);
        if (y.empty()) {
            y = out.value().to_vector();
            dx = in.grad().to_vector();
            dgamma = layer.gamma.grad().to_vector();
        }
        CHECK((out.value().to_vector() == y));
        CHECK((in.grad().to_vector() == dx));
        CHECK((layer.gamma.grad().to_vector() == dgamma));
    });
}

TEST_CASE("BatchNorm2d on Cuda: running statistics, evaluation and the state of another device") {
    Generator generator{8, 0, 0};
    const Tensor<float, Cuda> x = random_tensor<float, Cuda>({4, 5, 5, 6}, -2, 2, generator);
    BatchNorm2d<float, Cuda> layer(6);
    BatchNorm2d<float, Reference> expected(6), loaded(6);
    for (int step = 0; step < 3; ++step) {
        layer(Variable<float, Cuda>(x));
        expected(Variable<float, Reference>(x.to<Reference>()));
    }
    CHECK(worst_difference(layer.running_mean, expected.running_mean) <= 1e-6);
    CHECK(worst_difference(layer.running_var, expected.running_var) <= 1e-5);

    load_state_dict(loaded, state_dict(layer));  // from Cuda to Reference
    CHECK(loaded.running_var.to_vector() == layer.running_var.to_vector());
    BatchNorm2d<float, Cuda> back(6);
    load_state_dict(back, state_dict(loaded));
    CHECK(back.running_mean.to_vector() == layer.running_mean.to_vector());

    layer.eval();
    loaded.eval();
    const Variable<float, Cuda> y = layer(Variable<float, Cuda>(x));
    const Variable<float, Reference> y2 = loaded(Variable<float, Reference>(x.to<Reference>()));
    CHECK(worst_difference(y.value(), y2.value()) <= 1e-5);
}
