// benchmarks/first_losses.cpp   The first losses of a training run, for comparison with PyTorch, step by step.
//     ./first_losses --out DIR [--data CIFAR10] [--steps 20] [--seed 1]
// Makes ResNet-20 and its batches from a seed, writes DIR/init.safetensors (weights, as PyTorch names and orders them)
// and DIR/batches.safetensors ("images" (N, H, W, C), "labels"), trains on them in double and in float, and prints a
// line for each step: step, loss in double, loss in float. benchmarks/first_losses_peer.py does the same in PyTorch.
// With --steps 0 it only writes the weights: those that examples/train.cpp starts from with the same seed.
// The recipe: SGD, rate 0.01, Nesterov momentum 0.9, weight decay 5e-4 on weights of rank 2 and more, batch 128.
#include <cstdio>

#include "gradus/data/load_dataset.hpp"
#include "gradus/data/loader.hpp"
#include "gradus/models/cifar_resnet.hpp"
#include "gradus/nn/state_dict.hpp"
#include "gradus/softmax/cross_entropy.hpp"
#include "gradus/training/command_line.hpp"
#include "gradus/training/safetensors.hpp"
#include "gradus/training/sgd.hpp"

using namespace gradus;

namespace {

constexpr Index batch_size = 128;

// `steps` batches of CIFAR-10 in the loader's order, or random images where no folder is given.
Batch<float> make_batches(const std::string& folder, Index steps, std::uint64_t seed) {
    const Index count = steps * batch_size;
    if (folder.empty()) {
        Generator generator{7, 0, 0};
        Batch<float> batch{Tensor<float>::randn({count, 32, 32, 3}, generator), Tensor<std::int64_t>({count}), {}, 0};
        std::int64_t* labels = batch.labels.mutable_data();
        for (Index i = 0; i < count; ++i) labels[i] = static_cast<std::int64_t>(generator.below(10));
        return batch;
    }
    const Dataset train = load_dataset(folder).value().train;
    const Loader<float> loader(train, {.batch_size = count,
                                       .shuffle = true,
                                       .seed = seed,
                                       .augmentation = {.flip = true, .crop_padding = 4},
                                       .normalisation = channel_statistics(train)});
    return *loader.epoch(0).next();
}

// The parameters and statistics of a float model, in another type.
template <class P>
std::vector<NamedTensor<P>> converted(const std::vector<NamedTensor<float>>& state) {
    std::vector<NamedTensor<P>> result;
    for (const NamedTensor<float>& entry : state) result.push_back({entry.name, entry.tensor.template as<P>()});
    return result;
}

template <class T>
std::vector<double> losses(const std::vector<NamedTensor<float>>& init, const Batch<float>& batches, Index steps) {
    CifarResNet<T> model;
    load_state_dict(model, converted<Sum<T>>(init));
    Sgd<Sum<T>> sgd(no_bias_decay(model.parameters(), 5e-4), {.momentum = 0.9, .nesterov = true});
    std::vector<double> all;
    for (Index step = 0; step < steps; ++step) {
        const Index begin = step * batch_size, end = begin + batch_size;
        const Variable<T> images(batches.images.slice(begin, end).template as<T>());
        sgd.zero_grad();
        const Variable<Sum<T>> loss = cross_entropy(model(images), batches.labels.slice(begin, end));
        loss.backward();
        sgd.step(0.01);
        all.push_back(static_cast<double>(loss.item()));
    }
    return all;
}

}  // namespace

int main(int argc, char** argv) {
    std::string data, out;
    Index steps = 20, seed = 1;
    CommandLine line("first_losses", "the first losses of ResNet-20, and the files to repeat them with.");
    line.string("data", data, "DIR", "CIFAR-10; random images without it");
    line.string("out", out, "DIR", "folder for init.safetensors and batches.safetensors");
    line.integer("steps", steps, {0, 390}, "how many; 0 writes init.safetensors alone");
    line.integer("seed", seed, {0, 1000000000}, "of the weights, and of the order and augmentation of CIFAR-10");
    const CommandLine::Outcome outcome = line.parse(argc, argv);
    if (outcome.stop) return outcome.print();
    if (out.empty()) return std::fprintf(stderr, "first_losses: --out is missing\n"), 2;

    manual_seed(static_cast<std::uint64_t>(seed));
    CifarResNet<float> model;
    const std::vector<NamedTensor<float>> init = state_dict(model);
    std::vector<FileTensor> weights;
    for (const NamedTensor<float>& entry : init) weights.push_back(file_tensor(entry.name, entry.tensor));
    write_safetensors(out + "/init.safetensors", std::move(weights)).value();
    if (steps == 0) return 0;

    const Batch<float> batches = make_batches(data, steps, static_cast<std::uint64_t>(seed));
    write_safetensors(out + "/batches.safetensors",
                      {file_tensor("images", batches.images), file_tensor("labels", batches.labels)})
        .value();
    const std::vector<double> in_double = losses<double>(init, batches, steps);
    const std::vector<double> in_float = losses<float>(init, batches, steps);
    for (std::size_t i = 0; i < in_double.size(); ++i) std::printf("%zu %.17g %.17g\n", i, in_double[i], in_float[i]);
}
