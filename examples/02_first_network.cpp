// examples/02_first_network.cpp   A first network: it learns to read handwritten digits, in a second.
//     g++ -O2 -std=c++20 -march=native -pthread -Iinclude examples/02_first_network.cpp -o first && ./first
// Everything that every training has: data, a model, a loss, an optimiser, a loop. examples/train.cpp is this program
// grown up: residual blocks, a schedule, augmentation, checkpoints.
#include <cstdio>
#include <filesystem>

#include "gradus/gradus.hpp"

using namespace gradus;

namespace {

// (N, 8, 8, 1) -> (N, 10). Convolutions find strokes, the pooling says that a pixel to the left or right does not
// matter, and the last layer gives every digit a score.
struct Net : Module<float> {
    Conv2d<float> conv1{1, 16, {.kernel = 3, .padding = 1}};
    Conv2d<float> conv2{16, 32, {.kernel = 3, .padding = 1}};
    Linear<float> scores{4 * 4 * 32, 10};

    Net() {
        child("conv1", conv1);  // registered, so that parameters() finds the weights
        child("conv2", conv2);
        child("scores", scores);
    }
    Variable<float> forward(const Variable<float>& x) override {
        const Variable<float> strokes = relu(conv2(relu(conv1(x))));  // (N, 8, 8, 32)
        return scores(flatten(max_pool2d(strokes, {.kernel = 2})));   // (N, 4, 4, 32) -> (N, 512) -> (N, 10)
    }
};

}  // namespace

int main() {
    manual_seed(1);  // the same weights, and so the same result, in every run
    const std::filesystem::path folder = std::filesystem::path(__FILE__).parent_path() / "data";
    const DataPair digits = load_dataset(folder.string()).value();
    const ChannelStatistics statistics = channel_statistics(digits.train);  // the network sees mean 0, variance 1
    const Loader<float> train(digits.train, {.batch_size = 32, .shuffle = true, .normalisation = statistics});
    const Loader<float> test(digits.test, {.batch_size = 256, .normalisation = statistics});

    Net net;
    Sgd<float> sgd(net.parameters(), {.momentum = 0.9});

    for (Index epoch = 0; epoch < 10; ++epoch) {
        RunningAverage loss;
        for (const Batch<float>& batch : train.epoch(epoch)) {
            sgd.zero_grad();
            const Variable<float> objective = cross_entropy(net(Variable<float>(batch.images)), batch.labels);
            objective.backward();  // how the loss would change with each weight,
            sgd.step(0.02);        // and a small step against it
            loss.add(static_cast<double>(objective.item()), static_cast<double>(batch.size()));
        }
        const double accuracy = evaluate(net, test).accuracy();
        std::printf("epoch %2d   loss %.4f   test accuracy %s\n", static_cast<int>(epoch) + 1, loss.value(),
                    percent(accuracy).c_str());
    }

    const double accuracy = evaluate(net, test).accuracy();
    std::printf("reads %s of %d digits that it has never seen\n", percent(accuracy).c_str(),
                static_cast<int>(digits.test.size()));
    return accuracy >= 0.97 ? 0 : 1;
}
