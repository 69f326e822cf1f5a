// The whole training of a small network on the device Cuda: in the emulator, or on a GPU, against the same on Cpu.
#include <doctest/doctest.h>

#include <string>

#include "gradus/gradus.hpp"
#include "machine/emulator/emulator_checks.hpp"

using namespace gradus;

namespace {

struct Trained {
    std::vector<double> losses;
    double accuracy = 0;
};

// Some steps on the digits, in T with float parameters.
template <class T, class D>
Trained train(const DataPair& digits, Index steps) {
    manual_seed(1);
    CifarResNet<T, D> model({.depth = 8, .channels = 1});
    Sgd<float, D> sgd(no_bias_decay(model.parameters(), 5e-4), {.momentum = 0.9, .nesterov = true});
    LossScaler scaler({.scale = sizeof(T) == 2 ? 1024.0 : 1.0});
    const ChannelStatistics normalisation = channel_statistics(digits.train);
    const Loader<T, D> loader(digits.train,
                              {.batch_size = 32, .shuffle = true, .drop_last = true, .normalisation = normalisation});
    const CosineDecay schedule{.lr = 0.05, .steps = steps};
    Trained result;
    Index step = 0;
    for (Index epoch = 0; step < steps; ++epoch)
        for (const Batch<T, D>& batch : loader.epoch(epoch)) {
            if (step == steps) break;
            sgd.zero_grad();
            const Variable<T, D> logits = model(Variable<T, D>(batch.images));
            const Variable<float, D> loss = cross_entropy(logits, batch.labels, {.label_smoothing = 0.1});
            CHECK(scaled_step(loss, sgd, scaler, schedule(step++)));
            result.losses.push_back(static_cast<double>(loss.item()));
        }
    if (under_race_checker) return result;
    result.accuracy = evaluate(model, Loader<T, D>(digits.test, {.normalisation = normalisation})).accuracy();
    return result;
}

// The same numbers at first; later the paths part, as they do between any two orders of sums, and end equally well.
template <class T>
void check(double first, double tenth) {
    const DataPair digits = load_dataset(std::string(GRADUS_SOURCE_DIR) + "/examples/data").value();
    const Index steps = under_race_checker ? 2 : 60;
    const Trained cpu = train<T, Cpu>(digits, steps), cuda = train<T, Cuda>(digits, steps);
    CHECK(cuda.losses[0] == doctest::Approx(cpu.losses[0]).epsilon(first));
    if (under_race_checker) return;
    CHECK(cuda.losses[9] == doctest::Approx(cpu.losses[9]).epsilon(tenth));
    MESSAGE(std::string(element_name<T>())
            << ": losses 1 and 10 on Cpu " << cpu.losses[0] << " " << cpu.losses[9] << ", on Cuda " << cuda.losses[0]
            << " " << cuda.losses[9] << ", accuracy " << cpu.accuracy << " and " << cuda.accuracy);
    CHECK(std::abs(cuda.accuracy - cpu.accuracy) <= 0.03);
    CHECK(cuda.accuracy >= 0.85);
}

}  // namespace

TEST_CASE("training on Cuda: float") { check<float>(1e-6, 1e-3); }
TEST_CASE("training on Cuda: Half") { check<Half>(2e-3, 2e-2); }
