// Training with a captured step (cuda_graph.hpp): the bits of plain steps, one launch for each.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "gradus/gradus.hpp"
#include "machine/emulator/emulator_checks.hpp"

using namespace gradus;

namespace {

// What is left of some steps: losses, parameters and buffers, velocities.
struct Trained {
    std::vector<float> losses;
    std::vector<std::vector<float>> state;
    std::uint64_t launches = 0;  // of the last step

    void keep(Module<float, Cuda>& model, Sgd<float, Cuda>& sgd) {
        for (const NamedTensor<float>& entry : state_dict(model)) state.push_back(entry.tensor.to_vector());
        for (const Tensor<float, Cuda>& velocity : sgd.velocities()) state.push_back(velocity.to_vector());
    }
};

// What a card is asked to do, counted by the emulator; on a GPU the numbers stay 0.
#if defined(__CUDACC__)
struct CallCounts {
    std::uint64_t launches = 0, graph_launches = 0, allocations = 0, waits = 0;
};
CallCounts call_counts() { return {}; }
#else
using emulator::call_counts, emulator::CallCounts;
#endif

struct Setup {
    Loader<float, Cuda> loader;
    CosineDecay schedule;
    Index steps;
};

Setup setup() {
    const DataPair digits = load_dataset(std::string(GRADUS_SOURCE_DIR) + "/examples/data").value();
    return {Loader<float, Cuda>(digits.train, {.batch_size = 16, .shuffle = true, .drop_last = true, .seed = 3}),
            {.lr = 0.05, .steps = 8},
            under_race_checker ? 3 : 8};
}

Trained train_plainly(Module<float, Cuda>& model, const Setup& s) {
    Sgd<float, Cuda> sgd(no_bias_decay(model.parameters(), 1e-3), {.momentum = 0.9, .nesterov = true});
    Trained result;
    for (const Batch<float, Cuda>& batch : s.loader.epoch(0)) {
        if (batch.number == s.steps) break;
        const std::uint64_t before = call_counts().launches;
        sgd.zero_grad();
        const Variable<float, Cuda> loss =
            cross_entropy(model(Variable<float, Cuda>(batch.images)), batch.labels, {.label_smoothing = 0.1});
        loss.backward();
        sgd.step(s.schedule(batch.number));
        result.launches = call_counts().launches - before;
        result.losses.push_back(loss.item());
    }
    result.keep(model, sgd);
    return result;
}

Trained train_by_graph(Module<float, Cuda>& model, const Setup& s) {
    Sgd<float, Cuda> sgd(no_bias_decay(model.parameters(), 1e-3), {.momentum = 0.9, .nesterov = true});
    Trained result;
    Tensor<float, Cuda> images({16, 8, 8, 1}), rate(Shape{});
    Tensor<std::int64_t, Cuda> labels({16});
    Variable<float, Cuda> loss;
    const auto step = [&] {
        sgd.zero_grad();
        loss = cross_entropy(model(Variable<float, Cuda>(images)), labels, {.label_smoothing = 0.1});
        loss.backward();
        sgd.step(rate);
    };
    CudaGraph graph;
    for (const Batch<float, Cuda>& batch : s.loader.epoch(0)) {
        if (batch.number == s.steps) break;
        images.copy_from(batch.images);
        labels.copy_from(batch.labels);
        rate.copy_from(Tensor<float, Cuda>::scalar(static_cast<float>(s.schedule(batch.number))));
        if (batch.number == 0) {
            graph.run(step);
        } else {
            if (batch.number == 1) graph.capture(step);
            const CallCounts before = call_counts();
            graph.replay();
            CHECK(call_counts().launches == before.launches);
            CHECK(call_counts().graph_launches == before.graph_launches + (is_emulated(Cuda{}) ? 1 : 0));
            CHECK(call_counts().allocations == before.allocations);
            CHECK(call_counts().waits == before.waits);
        }
        result.losses.push_back(loss.item());
    }
    result.keep(model, sgd);
    return result;
}

template <class Make>
std::uint64_t check_same_bits(const Make& make) {
    const Setup s = setup();
    std::uint64_t launches = 0;
    for (const bool deferred : {false, true}) {
        if (deferred && under_race_checker) continue;
        const Deferred mode(deferred);
        manual_seed(5);
        const auto plain_model = make();
        manual_seed(5);
        const auto model = make();
        const Trained plain = train_plainly(*plain_model, s), captured = train_by_graph(*model, s);
        CHECK(plain.losses.size() == static_cast<std::size_t>(s.steps));
        CHECK(plain.losses == captured.losses);
        CHECK(plain.losses[2] != plain.losses[1]);
        CHECK((plain.state == captured.state));
        launches = plain.launches;
    }
    return launches;
}

}  // namespace

TEST_CASE("a perceptron's captured step has the bits of plain steps") {
    check_same_bits([] {
        auto model = std::make_unique<Sequential<float, Cuda>>();
        model->add<Flatten<float, Cuda>>().add<Linear<float, Cuda>>(64, 32).add<ReLU<float, Cuda>>();
        model->add<Linear<float, Cuda>>(32, 10);
        return model;
    });
}

TEST_CASE("so has that of a residual network, with its running averages") {
    const std::uint64_t launches = check_same_bits(
        [] { return std::make_unique<CifarResNet<float, Cuda>>(CifarResNetConfig{.depth = 8, .channels = 1}); });
    if (is_emulated(Cuda{})) CHECK(launches > 100);  // as cuda_graph.hpp says
}
