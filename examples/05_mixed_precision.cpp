// examples/05_mixed_precision.cpp   Training in 16 bits: what is lost, and how it is saved.
//     g++ -O2 -std=c++20 -march=native -pthread -Iinclude examples/05_mixed_precision.cpp -o mixed && ./mixed
// The network computes in Half: half the memory, and what the tensor cores of a GPU are made for. (On a CPU it is
// slower than float: every number is converted.) Read include/gradus/training/loss_scaler.hpp along with this file.
#include <cstdio>
#include <filesystem>

#include "gradus/gradus.hpp"

using namespace gradus;

namespace {

float as_half(float x) { return static_cast<float>(static_cast<Half>(x)); }

// 1. What Half cannot hold.
void limits() {
    std::printf("a small step      1 + 0.0004 = %g     so weights stay in float\n", as_half(1 + 0.0004f));
    std::printf("a small gradient  1e-8       = %g     so the loss is multiplied by a scale\n", as_half(1e-8f));
    std::printf("scaled            1e-8 * 65536 / 65536 = %.3g\n", as_half(1e-8f * 65536) / 65536);
    std::printf("too large         70000      = %g   so a scale that is too large has to be noticed\n\n",
                as_half(70000));
}

// 2. A training step, in full. Returns whether it was made.
bool step(CifarResNet<Half>& network, Sgd<float>& sgd, LossScaler& scaler, const Batch<Half>& batch, double lr) {
    sgd.zero_grad();
    const Variable<Half> logits = network(Variable<Half>(batch.images));  // parameters are float, activations Half
    const Variable<float> loss = cross_entropy(logits, batch.labels);     // sums and losses are float
    loss.backward(Tensor<float>::scalar(static_cast<float>(scaler.scale())));
    const bool finite = unscale_gradients(sgd.groups(), scaler.scale());
    if (!scaler.update(finite)) return false;  // an overflow: the step is left out, the scale is halved
    sgd.step(lr);
    return true;
}

}  // namespace

int main() {
    limits();
    manual_seed(1);
    const std::filesystem::path folder = std::filesystem::path(__FILE__).parent_path() / "data";
    const DataPair digits = load_dataset(folder.string()).value();
    const ChannelStatistics normalisation = channel_statistics(digits.train);
    const Loader<Half> train(digits.train, {.batch_size = 32,
                                            .shuffle = true,
                                            .drop_last = true,
                                            .augmentation = {.crop_padding = 1},
                                            .normalisation = normalisation});
    const Loader<Half> test(digits.test, {.normalisation = normalisation});
    CifarResNet<Half> network({.depth = 8, .channels = 1});
    Sgd<float> sgd(no_bias_decay(network.parameters(), 5e-4), {.momentum = 0.9, .nesterov = true});

    // 3. A scale that is too large finds its way down; one that has worked for 100 steps in a row is doubled.
    LossScaler scaler({.scale = 0x1p30, .interval = 100});
    constexpr Index epochs = 6;
    const CosineDecay schedule{.lr = 0.05, .steps = epochs * train.batches()};
    Index steps = 0;
    double accuracy = 0;
    for (Index epoch = 0; epoch < epochs; ++epoch) {
        for (const Batch<Half>& batch : train.epoch(epoch)) {
            const double before = scaler.scale();
            const bool made = step(network, sgd, scaler, batch, schedule(steps++));
            if (scaler.scale() != before)
                std::printf("step %3d: %s the scale goes to %g\n", static_cast<int>(steps),
                            made ? "100 good steps in a row," : "an overflow,", scaler.scale());
        }
        accuracy = evaluate(network, test).accuracy();
        std::printf("epoch %d: test accuracy %s, %d steps skipped so far\n", static_cast<int>(epoch + 1),
                    percent(accuracy).c_str(), static_cast<int>(scaler.skipped()));
    }
    return accuracy >= 0.97 && scaler.skipped() > 0 ? 0 : 1;
}
