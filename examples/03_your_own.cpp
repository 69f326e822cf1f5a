// examples/03_your_own.cpp   Your own function, layer, loss, data set and schedule, each in a few lines.
//     g++ -O2 -std=c++20 -march=native -pthread -Iinclude examples/03_your_own.cpp -o own && ./own
// What is missing in a library is what one needs next. Here every part of a training is home-made, and nothing has to
// be registered anywhere: the library's own parts are written in the same way. The task: tell a disc from a ring from a
// cross, drawn anywhere in a noisy picture.
#include <cmath>
#include <cstdio>

#include "gradus/gradus.hpp"

using namespace gradus;

namespace {

// 1. A function of one number: its value, and its derivative from x. Softsign, x / (1 + |x|): Turian et al. 2009. S is
// float, double or a register of floats, so these lines are also the fast kernel, on all threads. With
// GRADUS_HOST_DEVICE, which is nothing to other compilers, nvcc compiles them for a GPU too.
struct Softsign {
    static constexpr const char* name = "softsign";
    static constexpr From derivative_from = From::x;  // so x is kept for backward, and y is not

    template <class S>
    GRADUS_HOST_DEVICE static S size(S x) {
        return Math::select(x < 0, -x, x);
    }
    template <class S>
    GRADUS_HOST_DEVICE S value(S x) const {
        return x / (1 + size(x));
    }
    template <class S>
    GRADUS_HOST_DEVICE S derivative(S x) const {  // of both branches: 1 / (1 + |x|)^2
        return 1 / ((1 + size(x)) * (1 + size(x)));
    }
};

// 2. A layer: squeeze and excitation, Hu, Shen, Sun 2018, arXiv 1709.01507, section 3. Every channel is asked for its
// mean over the picture, a small network looks at all means, and turns each channel up or down. It is written with
// operations that know their gradients, so it needs none of its own. For any element type, so that it can be checked
// in double below.
template <FloatingElement T>
struct SqueezeExcitation : Module<T> {
    Linear<T> squeeze, excite;

    explicit SqueezeExcitation(Index channels) : squeeze(channels, channels / 4), excite(channels / 4, channels) {
        this->child("squeeze", squeeze);
        this->child("excite", excite);
    }
    const char* type() const override { return "SqueezeExcitation"; }
    Variable<T> forward(const Variable<T>& x) override {  // (N, H, W, C) -> the same
        const Variable<T> means = global_avg_pool2d(x);   // (N, C)
        const Variable<T> volume = sigmoid(excite(unary(Softsign{}, squeeze(means))));
        return x * reshape(volume, {x.shape()[0], 1, 1, x.shape()[3]});  // broadcast over H and W
    }
};

// 3. A loss: the focal loss, Lin, Goyal, Girshick, He, Dollar 2017, arXiv 1708.02002, equation (4) with gamma 2. With
// p the probability of the right class it is (1 - p)^2 * -log(p): what is right already counts for little.
Variable<float> focal_loss(const Variable<float>& logits, const Tensor<std::int64_t>& labels) {
    const Index N = logits.shape()[0], K = logits.shape()[1];
    Tensor<float> one_hot = Tensor<float>::zeros({N, K});
    const Matrix<float> rows = one_hot.write<2>();
    const Vector<const std::int64_t> label = labels.read<1>();
    for (Index n = 0; n < N; ++n) rows(n, label(n)) = 1;

    const Variable<float> log_p = sum(log_softmax(logits) * Variable<float>(one_hot), {1});  // (N): picks the label's
    return mean(square(1 - exp(log_p)) * -log_p);
}

// 4. A data set: bytes, labels and the names of the classes. Batches, shuffling, normalisation and augmentation work
// with any.
bool is_inside(Index shape, double down, double right, double radius) {
    const double distance = std::hypot(down, right), y = std::abs(down), x = std::abs(right);
    if (shape == 0) return distance <= radius;                           // disc
    if (shape == 1) return distance <= radius && distance > radius - 2;  // ring
    return std::abs(x - y) <= 1 && std::max(x, y) <= radius;             // cross: the two diagonals
}

Dataset shapes(Index size, std::uint64_t seed) {
    Dataset data = make_dataset("shapes", size, {16, 16, 1}, {"disc", "ring", "cross"});
    const View<std::uint8_t, 4> pixels = data.images.write<4>();
    const Vector<std::int64_t> labels = data.labels.write<1>();
    Generator random{seed};
    for (Index n = 0; n < size; ++n) {
        labels(n) = static_cast<std::int64_t>(random.below(3));
        const double radius = random.uniform(4, 6), top = random.uniform(5, 11), left = random.uniform(5, 11);
        for (Index h = 0; h < 16; ++h)
            for (Index w = 0; w < 16; ++w) {
                const double row = static_cast<double>(h), column = static_cast<double>(w);
                const double ink = is_inside(labels(n), row - top, column - left, radius) ? 170 : 60;
                pixels(n, h, w, 0) = static_cast<std::uint8_t>(ink + random.uniform(-60, 60));
            }
    }
    return data;
}

void print_image(const Dataset& data, Index n) {
    const std::string& name = data.classes[static_cast<std::size_t>(data.labels.read<1>()(n))];
    std::printf("\nimage %d, a %s\n", static_cast<int>(n), name.c_str());
    const View<const std::uint8_t, 4> pixels = data.images.read<4>();
    for (Index h = 0; h < 16; ++h) {
        for (Index w = 0; w < 16; ++w) {
            const char ink = " .:-=+*#%@"[pixels(n, h, w, 0) * 10 / 256];
            std::printf("%c%c", ink, ink);  // a character is twice as high as wide
        }
        std::printf("\n");
    }
}

// 5. A schedule is anything that turns a step into a rate: here a triangle, up for 30 % of the steps and down for the
// rest (after Smith 2018, arXiv 1803.09820).
Schedule triangle(double peak, Index steps) {
    return [peak, steps](Index step) {
        const double progress = static_cast<double>(step + 1) / static_cast<double>(steps);
        return peak * std::min(progress / 0.3, (1 - progress) / 0.7);
    };
}

struct Net : Module<float> {
    Conv2d<float> conv1{1, 16, {.kernel = 3, .padding = 1}};
    Conv2d<float> conv2{16, 16, {.kernel = 3, .padding = 1}};
    SqueezeExcitation<float> attention{16};
    Linear<float> scores{16, 3};

    Net() {
        child("conv1", conv1);
        child("conv2", conv2);
        child("attention", attention);
        child("scores", scores);
    }
    Variable<float> forward(const Variable<float>& x) override {
        const Variable<float> edges = max_pool2d(relu(conv1(x)), {.kernel = 2});  // (N, 8, 8, 16)
        const Variable<float> corners = attention(relu(conv2(edges)));            // (N, 8, 8, 16)
        return scores(global_avg_pool2d(corners));                                // (N, 3)
    }
};

}  // namespace

int main() {
    manual_seed(1);

    // First of all: is the new layer's gradient right? Its function's derivative was found by hand.
    SqueezeExcitation<double> layer(8);
    const Variable<double> x(Tensor<double>::randn({2, 3, 3, 8}), true);
    gradcheck([&layer](const auto& in) { return layer(in[0]); }, std::vector<Variable<double>>{x});
    std::printf("squeeze and excitation: backward agrees with difference quotients\n");

    const Dataset training_images = shapes(1500, 1), test_images = shapes(500, 2);
    for (Index n = 0; n < 2; ++n) print_image(test_images, n);
    const ChannelStatistics statistics = channel_statistics(training_images);
    const Loader<float> train(training_images, {.batch_size = 50, .shuffle = true, .normalisation = statistics});
    const Loader<float> test(test_images, {.batch_size = 250, .normalisation = statistics});

    Net net;
    std::printf("\n%s\n", summary_table(summary_rows(net, {1, 16, 16, 1})).c_str());
    Sgd<float> sgd(no_bias_decay(net.parameters(), 1e-4), {.momentum = 0.9, .nesterov = true});

    const Index epochs = 12;
    const Schedule schedule = triangle(0.2, epochs * train.batches());
    Index step = 0;
    for (Index epoch = 0; epoch < epochs; ++epoch) {
        RunningAverage loss;
        for (const Batch<float>& batch : train.epoch(epoch)) {
            sgd.zero_grad();
            const Variable<float> objective = focal_loss(net(Variable<float>(batch.images)), batch.labels);
            objective.backward();
            sgd.step(schedule(step++));
            loss.add(static_cast<double>(objective.item()), static_cast<double>(batch.size()));
        }
        std::printf("epoch %2d   focal loss %.4f   test accuracy %s\n", static_cast<int>(epoch) + 1, loss.value(),
                    percent(evaluate(net, test).accuracy()).c_str());
    }
    return evaluate(net, test).accuracy() >= 0.95 ? 0 : 1;
}
