// Training in Half: float parameters, a scaled loss, and the accuracy of float.
#include <doctest/doctest.h>

#include <string>

#include "gradus/data/load_dataset.hpp"
#include "gradus/data/loader.hpp"
#include "gradus/models/cifar_resnet.hpp"
#include "gradus/training/evaluate.hpp"
#include "gradus/training/schedule.hpp"
#include "gradus/training/unscale.hpp"

using namespace gradus;

namespace {

// The test accuracy of the digits' network after some epochs.
template <class T>
double trained_accuracy(const DataPair& digits, std::uint64_t seed, LossScaler& scaler) {
    constexpr Index epochs = 6;
    manual_seed(seed);
    CifarResNet<T> model({.depth = 8, .channels = 1});
    Sgd<float> sgd(no_bias_decay(model.parameters(), 5e-4), {.momentum = 0.9, .nesterov = true});
    const ChannelStatistics normalisation = channel_statistics(digits.train);
    const Loader<T> loader(digits.train, {.batch_size = 32,
                                          .shuffle = true,
                                          .drop_last = true,
                                          .seed = seed,
                                          .augmentation = {.crop_padding = 1},
                                          .normalisation = normalisation});
    const CosineDecay schedule{.lr = 0.05, .steps = epochs * loader.batches()};
    Index step = 0;
    for (Index epoch = 0; epoch < epochs; ++epoch)
        for (const Batch<T>& batch : loader.epoch(epoch)) {
            sgd.zero_grad();
            scaled_step(cross_entropy(model(Variable<T>(batch.images)), batch.labels), sgd, scaler, schedule(step++));
        }
    return evaluate(model, Loader<T>(digits.test, {.normalisation = normalisation})).accuracy();
}

}  // namespace

TEST_CASE("mixed precision: the digits are learned in Half as well as in float, with steps skipped on the way") {
    const Result<DataPair> digits = load_dataset(std::string(GRADUS_SOURCE_DIR) + "/examples/data");
    REQUIRE(digits.ok());
    double difference = 0;
    for (const std::uint64_t seed : {1u, 2u, 3u, 4u, 5u}) {
        LossScaler none({.scale = 1, .dynamic = false}), dynamic({.scale = 0x1p30});
        difference += trained_accuracy<Half>(digits.value(), seed, dynamic);
        difference -= trained_accuracy<float>(digits.value(), seed, none);
        CHECK(dynamic.skipped() > 0);  // 2^30 is too much for 65504
        CHECK(dynamic.scale() < 0x1p30);
    }
    MESSAGE("Half - float, mean of 5 seeds: " << 100 * difference / 5 << " points");
    CHECK(std::abs(difference / 5) <= 0.005);
}
