// Covers sgd_cuda.cuh and array_table.hpp: PyTorch's steps, every size, memory that is not aligned to a pack, more
// parameters than a table holds.
#include "gradus/training/sgd_cuda.cuh"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "machine/emulator/emulator_checks.hpp"
#include "training/sgd_checks.hpp"

using namespace gradus;

namespace {

// Three steps of many parameters in two groups: 0 to 2100 elements, aligned or not, one of them without a gradient.
template <class P, class D>
std::vector<std::vector<P>> run_many(int count, const SgdConfig& config, bool together) {
    Generator generator{8, 0, 0};
    std::vector<ParameterGroup<P, D>> groups = {{{}, 1e-2, 0.5}, {{}, 0, 1}};
    std::vector<Variable<P, D>> all;
    for (int p = 0; p < count; ++p) {
        const Index size = p % 7 * p % 23 + p % 5 * 525, offset = p % 3;
        all.emplace_back(Tensor<P, D>::randn({size + offset}, generator).slice(offset, size + offset), true);
        groups[p % 4 == 0].parameters.push_back(all.back());
    }
    std::vector<Sgd<P, D>> optimisers;
    if (together) optimisers.emplace_back(groups, config);
    for (const ParameterGroup<P, D>& group : groups)
        for (const Variable<P, D>& parameter : group.parameters)
            if (!together)
                optimisers.emplace_back(
                    std::vector<ParameterGroup<P, D>>{{{parameter}, group.weight_decay, group.lr_scale}}, config);
    for (int i = 0; i < 3; ++i) {
        for (int p = 0; p < count; ++p)
            if (p != 11)
                all[static_cast<std::size_t>(p)].mutable_grad() = Tensor<P, D>::randn(all[p].shape(), generator);
        for (Sgd<P, D>& sgd : optimisers) sgd.step(0.1);
    }
    std::vector<std::vector<P>> weights;
    for (const Variable<P, D>& parameter : all) weights.push_back(parameter.value().to_vector());
    return weights;
}

template <class P>
void check_many(int count) {
    for (const SgdConfig& config : {SgdConfig{}, SgdConfig{.momentum = 0.9, .nesterov = true}}) {
        const auto table = run_many<P, Cuda>(count, config, true), alone = run_many<P, Cuda>(count, config, false),
                   slow = run_many<P, Reference>(count, config, true);
        for (std::size_t p = 0; p < table.size(); ++p) {
            INFO("parameter " << p << " of " << count);
            CHECK((table[p] == alone[p]));
            // A few roundings a step, as in three_steps_error.
            CHECK(worst_difference(table[p], slow[p]) <= 32 * std::numeric_limits<P>::epsilon());
        }
    }
}

}  // namespace

TEST_CASE("SGD on Cuda: many parameters get the bits that each would get alone, over the capacity of a table too") {
    const int capacity = SgdTable<float>::capacity;
    for (const int count : {1, 2, 30, capacity, capacity + 1, 2 * capacity + 3}) check_many<float>(count);
    check_many<double>(SgdTable<double>::capacity + 1);
    static_assert(sizeof(SgdTable<float>) + 16 <= 4096 && sizeof(SgdTable<double>) + 16 <= 4096);
}

TEST_CASE("SGD on Cuda takes its rate from the card as it takes a number") {
    for (const SgdConfig& config : {SgdConfig{}, SgdConfig{.momentum = 0.9}}) {
        std::vector<float> ends[2];
        for (const bool is_tensor : {false, true}) {
            Generator generator{7, 0, 0};
            Variable<float, Cuda> w(Tensor<float, Cuda>::randn({37}, generator), true);
            Sgd<float, Cuda> sgd({{{w}, 1e-2, 0.5}}, config);
            Tensor<float, Cuda> on_card(Shape{});
            for (const double rate : {0.1, 0.03}) {
                w.mutable_grad() = Tensor<float, Cuda>::randn({37}, generator);
                on_card.copy_from(Tensor<float, Cuda>::scalar(static_cast<float>(rate)));
                is_tensor ? sgd.step(on_card) : sgd.step(rate);
            }
            ends[is_tensor] = w.value().to_vector();
        }
        CHECK((ends[0] == ends[1]));
    }
}

TEST_CASE("SGD on Cuda takes PyTorch's steps") {
    check_pytorch_steps<double, Cuda>();
    check_pytorch_steps<float, Cuda>();
}

TEST_CASE("SGD on Cuda agrees with Reference at every size, aligned or not") {
    const Index whole_grid = Index{8} * multiprocessors() * stride_threads * vector_length<float>;
    const SgdConfig configs[] = {{}, {.momentum = 0.9}, {.momentum = 0.9, .nesterov = true}};
    for (const Index size : {Index{0}, Index{1}, Index{15}, Index{16}, Index{37}, Index{2051}, whole_grid + 5})
        for (const Index offset : {0, 1, 2})
            for (const SgdConfig& config : configs) {
                if (size > 10'000 && (offset > 0 || config.momentum == 0)) continue;
                const auto fast = three_steps<float, Cuda>(size, offset, config);
                CHECK(worst_difference(fast, three_steps<float, Reference>(size, offset, config)) <= three_steps_error);
            }
    CHECK(three_steps<double, Cuda>(37, 1, configs[2]).size() == 37);
}

TEST_CASE("SGD on Cuda: the same bits in every order of threads") {
    std::vector<float> weights;
    in_every_order([&] {
        const std::vector<float> now = three_steps<float, Cuda>(5000, 0, {.momentum = 0.9, .nesterov = true});
        if (weights.empty()) weights = now;
        CHECK((now == weights));
    });
}
