// benchmarks/layers.cpp   Times single convolutions: forward and both gradients, for benchmarks/compare_layers.py.
// It calls the kernels that autograd calls, with buffers that exist before, so weights are transformed and bands copied
// inside of the time, as in a training step. By hand, for every layer of the list:
//     ./layers --threads 1
// With --serve it answers lines: "ready" first, then for "forward LAYER N", "data LAYER N" or "weights LAYER N" (LAYER
// counts from 0) the milliseconds of N calls after one to warm up. It ends at the end of its input.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "gradus/convolution/conv2d.hpp"
#include "gradus/training/command_line.hpp"

using namespace gradus;

namespace {

const char* const passes[] = {"forward", "data", "weights"};

struct Layer {
    char name[32];
    Index batch, rows, columns, inputs, outputs, kernel, stride, padding, groups;
};

std::vector<Layer> read_layers(const char* path) {
    std::FILE* file = std::fopen(path, "r");
    GRADUS_CHECK(file, "layers: cannot read ", path);
    std::vector<Layer> layers;
    char line[256];
    while (std::fgets(line, sizeof line, file)) {
        Layer layer;
        long long number[9];
        if (line[0] == '#' || line[0] == '\n') continue;
        GRADUS_CHECK(
            std::sscanf(line, "%31s %lld %lld %lld %lld %lld %lld %lld %lld %lld", layer.name, number, number + 1,
                        number + 2, number + 3, number + 4, number + 5, number + 6, number + 7, number + 8) == 10,
            "layers: a name and nine numbers expected in ", path, ", got ", line);
        Index* const fields[] = {&layer.batch,  &layer.rows,   &layer.columns, &layer.inputs, &layer.outputs,
                                 &layer.kernel, &layer.stride, &layer.padding, &layer.groups};
        for (int i = 0; i < 9; ++i) *fields[i] = number[i];
        layers.push_back(layer);
    }
    std::fclose(file);
    return layers;
}

// One layer with its tensors, ready to run.
struct Convolution {
    Conv2dOptions options;
    Tensor<float> x, weight, y, dx, dweight, dy;

    explicit Convolution(const Layer& layer)
        : options{.stride = layer.stride, .padding = layer.padding, .groups = layer.groups},
          x(Tensor<float>::randn({layer.batch, layer.rows, layer.columns, layer.inputs})),
          weight(Tensor<float>::randn({layer.outputs, layer.kernel, layer.kernel, layer.inputs / layer.groups})),
          y({layer.batch, conv_extent(layer.rows, layer.kernel, layer.stride, layer.padding),
             conv_extent(layer.columns, layer.kernel, layer.stride, layer.padding), layer.outputs}),
          dx(x.shape()),
          dweight(weight.shape()),
          dy(Tensor<float>::randn(y.shape())) {}

    void run(const std::string& pass) {
        if (pass == "forward")
            conv2d_forward(Cpu{}, x.read<4>(), weight.read<4>(), Vector<const float>(nullptr, {0}), options,
                           y.write<4>());
        else if (pass == "data")
            conv2d_backward_data(Cpu{}, dy.read<4>(), weight.read<4>(), options, dx.write<4>(), Write::overwrite);
        else
            conv2d_backward_weights(Cpu{}, x.read<4>(), dy.read<4>(), options, dweight.write<4>(), Write::overwrite);
    }
    std::vector<double> milliseconds(const std::string& pass, int calls) {
        std::vector<double> times;
        run(pass);
        for (int i = 0; i < calls; ++i) {
            const auto start = std::chrono::steady_clock::now();
            run(pass);
            times.push_back(
                std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
        }
        return times;
    }
};

void print_table(const std::vector<Layer>& layers, int calls) {
    std::printf("%-20s %10s %10s %10s   median ms\n", "", passes[0], passes[1], passes[2]);
    for (const Layer& layer : layers) {
        Convolution convolution(layer);
        std::printf("%-20s", layer.name);
        for (const char* pass : passes) {
            std::vector<double> times = convolution.milliseconds(pass, calls);
            std::sort(times.begin(), times.end());
            std::printf(" %10.3f", times[times.size() / 2]);
        }
        std::printf("\n");
        std::fflush(stdout);
    }
}

void serve(const std::vector<Layer>& layers) {
    std::puts("ready");
    std::fflush(stdout);
    std::size_t current = layers.size();  // the layer whose tensors exist
    std::unique_ptr<Convolution> convolution;
    char line[64], pass[16];
    while (std::fgets(line, sizeof line, stdin)) {
        std::size_t layer = 0;
        int calls = 0;
        GRADUS_CHECK(std::sscanf(line, "%15s %zu %d", pass, &layer, &calls) == 3 && layer < layers.size(),
                     "layers: unknown request ", line);
        if (layer != current) convolution = std::make_unique<Convolution>(layers[layer]);
        current = layer;
        for (const double time : convolution->milliseconds(pass, calls)) std::printf("%.4f ", time);
        std::printf("\n");
        std::fflush(stdout);
    }
}

}  // namespace

int main(int argc, char** argv) {
    Index threads = 1, calls = 9;
    bool serving = false;
    std::string list = "benchmarks/layers.txt";
    CommandLine line("layers", "times single convolutions.");
    line.string("layers", list, "FILE", "the list of layers");
    line.integer("threads", threads, {1, 1024}, "of the pool");
    line.integer("calls", calls, {1, 1000000}, "to time of each pass");
    line.flag("serve", serving, "answer requests on standard input");
    const CommandLine::Outcome outcome = line.parse(argc, argv);
    if (outcome.stop) return outcome.print();
    set_threads(static_cast<int>(threads));
    manual_seed(1);
    const std::vector<Layer> layers = read_layers(list.c_str());
    if (serving)
        serve(layers);
    else
        print_table(layers, static_cast<int>(calls));
}
