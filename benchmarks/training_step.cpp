// benchmarks/training_step.cpp   Times a training step of CIFAR ResNet-20: forward, cross-entropy, backward, SGD.
// Through the ordinary modules, autograd and optimiser, as examples/train.cpp uses them. By hand:
//     ./training_step --threads 2 --batch 128 --steps 20
// prints the median. With --serve it answers benchmarks/compare.py line by line: "ready" first, then for "step N" the
// milliseconds of N steps on one line, for "memory" the peak bytes of the step, and it ends at the end of its input.
#include <algorithm>
#include <chrono>
#include <cstdio>

#include <sys/resource.h>

#include "gradus/models/cifar_resnet.hpp"
#include "gradus/softmax/cross_entropy.hpp"
#include "gradus/training/command_line.hpp"
#include "gradus/training/sgd.hpp"

using namespace gradus;

namespace {

// In bytes: the most memory that this process has ever had resident.
Index peak_resident_bytes() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<Index>(usage.ru_maxrss) * 1024;
}

struct Step {
    CifarResNet<float> model;
    Sgd<float> sgd;
    Tensor<float> images;
    Tensor<std::int64_t> labels;

    explicit Step(Index batch)
        : sgd(no_bias_decay(model.parameters(), 1e-4), {.momentum = 0.9}),
          images(Tensor<float>::randn({batch, 32, 32, 3})),
          labels(Tensor<std::int64_t>({batch})) {
        std::int64_t* label = labels.mutable_data();
        for (Index i = 0; i < batch; ++i) label[i] = i % 10;
    }
    double milliseconds() {
        const auto start = std::chrono::steady_clock::now();
        sgd.zero_grad();
        cross_entropy(model(Variable<float>(images)), labels).backward();
        sgd.step(0.1);
        return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    }
};

}  // namespace

int main(int argc, char** argv) {
    Index threads = 1, batch = 128, steps = 20;
    bool serve = false;
    CommandLine line("training_step", "times a training step of CIFAR ResNet-20.");
    line.integer("threads", threads, {1, 1024}, "of the pool");
    line.integer("batch", batch, {1, 65536}, "images in a step");
    line.integer("steps", steps, {1, 1000000}, "to time, after 3 to warm up");
    line.flag("serve", serve, "answer \"step N\" and \"memory\" on standard input");
    const CommandLine::Outcome outcome = line.parse(argc, argv);
    if (outcome.stop) return outcome.print();

    set_threads(static_cast<int>(threads));
    manual_seed(1);
    const Index before = peak_resident_bytes();
    Step step(batch);
    for (int i = 0; i < 3; ++i) step.milliseconds();
    if (!serve) {
        std::vector<double> times;
        for (Index i = 0; i < steps; ++i) times.push_back(step.milliseconds());
        std::sort(times.begin(), times.end());
        std::printf("%lld threads, batch %lld: median %.1f ms, least %.1f ms, peak %.1f MB (buffers %.1f MB)\n",
                    static_cast<long long>(threads), static_cast<long long>(batch), times[times.size() / 2], times[0],
                    static_cast<double>(peak_resident_bytes() - before) * 1e-6,
                    static_cast<double>(memory_stats(Cpu{}).peak_bytes) * 1e-6);
        return 0;
    }
    std::puts("ready");
    std::fflush(stdout);
    char command[64];
    while (std::fgets(command, sizeof command, stdin)) {
        int count = 0;
        if (std::sscanf(command, "step %d", &count) == 1) {
            for (int i = 0; i < count; ++i) std::printf(i == 0 ? "%.4f" : " %.4f", step.milliseconds());
            std::printf("\n");
        } else {
            std::printf("%lld\n", static_cast<long long>(peak_resident_bytes() - before));
        }
        std::fflush(stdout);
    }
}
