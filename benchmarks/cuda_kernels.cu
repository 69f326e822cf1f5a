// benchmarks/cuda_kernels.cu   Every CUDA kernel: what it must move and compute, the bound that follows, what it does.
// On a GPU it prints the achieved time beside the bound of that card:
//     nvcc -x cu -std=c++20 -O2 -arch=native -Iinclude benchmarks/cuda_kernels.cu -lcublas -o cuda_kernels
//     ./cuda_kernels
// On a CPU, in the emulator, it counts the bytes that the kernels really ask for, on smaller shapes, and fails where a
// kernel that the memory bounds asks for more than 1.25 times the ideal:
//     g++ -std=c++20 -O1 -g -DGRADUS_EMULATE_CUDA -Iinclude -c include/gradus/machine/emulator/racecheck.cpp
//     g++ -std=c++20 -O1 -g -DGRADUS_EMULATE_CUDA -Iinclude -fsanitize=thread -c -x c++ benchmarks/cuda_kernels.cu
//     g++ cuda_kernels.o racecheck.o -pthread -o cuda_kernels && ./cuda_kernels
// ./cuda_kernels --table prints the bounds for three cards, without running anything. benchmarks/kernel_report.py
// compiles this file to see the machine code of all kernels.
//
// Ideal bytes: each input read once, each output written once (and read once where it is added to). FLOP: two for each
// multiply-add, one for other operations. The bound is the larger of bytes / bandwidth and FLOP / arithmetic (roofline:
// Williams, Waterman, Patterson 2009).
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "gradus/gradus.hpp"
#if !defined(__CUDACC__)
#include "gradus/machine/emulator/race_checker.hpp"
#endif

using namespace gradus;

namespace {

// From the makers' data sheets: GB/s; TFLOP/s in float, and on tensor cores in 16 bits with float sums.
struct Card {
    const char* name;
    double bandwidth, flops, tensor_flops;
};
constexpr Card cards[] = {{"A100 40GB", 1555, 19.5, 312}, {"H100 SXM", 3350, 67, 989}, {"RTX 4090", 1008, 82.6, 165}};

struct Benchmark {
    std::string name;
    double bytes, flops;
    bool on_tensor_cores;
    std::function<void()> run;

    double bound_us(const Card& card) const {
        const double arithmetic = on_tensor_cores ? card.tensor_flops : card.flops;
        return std::max(bytes / (card.bandwidth * 1e3), flops / (arithmetic * 1e6));
    }
};

// The shapes: of a layer of ResNet-50 at batch 32 on a card, small ones with the same proportions in the emulator.
#if defined(__CUDACC__)
constexpr Index N = 32, H = 56, W = 56, C = 64, K = 1000, rows = 512, features = 2048;
#else
constexpr Index N = 2, H = 12, W = 12, C = 64, K = 200, rows = 64, features = 256;
#endif

template <class T>
struct LayerTensors {
    Tensor<T, Cuda> x = Tensor<T, Cuda>::ones({N, H, W, C}), dy = x.clone(), y = x.clone();
    Tensor<Sum<T>, Cuda> gamma = Tensor<Sum<T>, Cuda>::ones({C}), mean = gamma.clone(), var = gamma.clone(),
                         rstd = gamma.clone();
    Tensor<Sum<T>, Cuda> weight = Tensor<Sum<T>, Cuda>::ones({C, 3, 3, C}), dweight = weight.clone();
    Tensor<Sum<T>, Cuda> depthwise = Tensor<Sum<T>, Cuda>::ones({C, 3, 3, 1}), ddepthwise = depthwise.clone();
    Tensor<T, Cuda> logits = Tensor<T, Cuda>::ones({rows, K}), dlogits = logits.clone();
    Tensor<std::int64_t, Cuda> labels = Tensor<std::int64_t, Cuda>::zeros({rows}), found = labels.clone();
    Tensor<Sum<T>, Cuda> m = Tensor<Sum<T>, Cuda>::ones({rows}), s = m.clone(), loss = m.clone(),
                         one = Tensor<Sum<T>, Cuda>::ones({1});
    Tensor<T, Cuda> a = Tensor<T, Cuda>::ones({rows, features}), b = Tensor<T, Cuda>::ones({features, features}),
                    c = a.clone();
    Tensor<std::uint8_t, Cuda> winner = Tensor<std::uint8_t, Cuda>::zeros({N, H / 2, W / 2, C});
    Tensor<T, Cuda> pooled = Tensor<T, Cuda>::ones({N, H / 2, W / 2, C}), means = Tensor<T, Cuda>::ones({N, C});
};

using BenchmarkList = std::vector<Benchmark>;

template <class T>
void elementwise(BenchmarkList& list, const std::string& type, LayerTensors<T>& o) {
    const double n = double(N * H * W * C), t = sizeof(T), s = sizeof(Sum<T>);
    const Vector<const T> x = o.x.template read<1>(), dy = o.dy.template read<1>();
    const Vector<T> y = o.y.template write<1>();
    const auto add = [&](const char* name, double bytes, double flops, const std::function<void()>& run) {
        list.push_back({name + type, bytes, flops, false, run});
    };
    add("relu forward", 2 * n * t, n, [=] { unary_forward(Cuda{}, Relu{}, x, y); });
    add("relu backward", 3 * n * t, n, [=] { unary_backward(Cuda{}, Relu{}, x, dy, y, Write::overwrite); });
    const Broadcast same("add", {N, H, W, C}, {N, H, W, C});
    add("add", 3 * n * t, n, [=] { binary_forward(Cuda{}, Add{}, same, x, dy, y); });
    const Broadcast channels("mul", {N, H, W, C}, {C});
    const Vector<const T> row = Vector<const T>(x.data(), {C});
    add("mul by channels", 2 * n * t, n, [=] { binary_forward(Cuda{}, Multiply{}, channels, x, row, y); });
    const DropoutMask mask{Generator{1, 0, 0}, 1u << 31, 2};
    add("dropout", 2 * n * t, n, [=] { dropout_apply(Cuda{}, mask, x, y, Write::overwrite); });
    const Broadcast columns("sum", {1, 1, 1, C}, {N, H, W, C});
    const Vector<Sum<T>> sums = o.mean.template write<1>();
    add("sum over N, H, W", n * t, n, [=] { sum_forward(Cuda{}, columns, x, Sum<T>(1), sums, Write::overwrite); });
    add("permute to channels first", 2 * n * t, 0, [=] {
        permute_copy(Cuda{}, Permutation({N, H, W, C}, {0, 3, 1, 2}), x, y, Write::overwrite);
    });
    if constexpr (std::same_as<T, Sum<T>>) {
        const SgdRule<T> rule{T(0.1), T(1e-4), T(0.9), T(1), true};
        const Vector<T> w = o.y.template write<1>(), v = o.x.template write<1>();
        const Vector<const T> none(nullptr, {0});
        const std::vector<SgdParameter<T>> parameters = {{w, dy, v, rule}};
        add("sgd", 5 * n * t, 7 * n, [=] { sgd_steps(Cuda{}, parameters, none); });
        const Vector<std::int64_t> found = o.found.template write<1>();
        add("unscale", 2 * n * s, n, [=] { unscale(Cuda{}, std::vector{w}, T(1), found); });
    }
}

template <class T>
void normalization(BenchmarkList& list, const std::string& type, LayerTensors<T>& o) {
    const double n = double(N * H * W * C), t = sizeof(T);
    const Matrix<const T> x = o.x.template read<2>(), dy = o.dy.template read<2>(), none(nullptr, {0, 0});
    const Matrix<T> y = o.y.template write<2>(), nowhere(nullptr, {0, 0});
    const BatchNormChannels<Sum<T>> by{o.gamma.template read<1>(), o.mean.template read<1>(), o.mean.template read<1>(),
                                       o.rstd.template read<1>()};
    const BatchNormSaved<T> saved{x, none, by, true};
    const Vector<Sum<T>> first = o.var.template write<1>(), second = o.s.template write<1>();
    const Vector<Sum<T>> sums(second.data(), {C});
    const auto add = [&](const char* name, double bytes, double flops, const std::function<void()>& run) {
        list.push_back({name + type, bytes, flops, false, run});
    };
    add("batch norm statistics", n * t, 3 * n, [=] { batch_norm_statistics(Cuda{}, x, first, sums); });
    add("batch norm forward, shortcut", 3 * n * t, 5 * n, [=] { batch_norm_forward(Cuda{}, x, dy, by, true, y); });
    add("batch norm backward sums", 2 * n * t, 8 * n,
        [=] { batch_norm_backward_sums(Cuda{}, saved, dy, first, sums); });
    add("batch norm backward", 3 * n * t, 12 * n, [=] {
        batch_norm_backward(Cuda{}, saved, dy, by.gamma, by.mean, Sum<T>(0.5), y, Write::overwrite, nowhere,
                            Write::overwrite);
    });
}

template <class T>
void classification(BenchmarkList& list, const std::string& type, LayerTensors<T>& o) {
    const double n = double(rows * K), t = sizeof(T);
    const Matrix<const T> z = o.logits.template read<2>();
    const Matrix<T> dz = o.dlogits.template write<2>();
    const CrossEntropyTargets<Sum<T>> targets{
        o.labels.template read<1>(), {nullptr, {0, 0}}, {nullptr, {0}}, Sum<T>(1), Sum<T>(0), -100};
    const Vector<Sum<T>> m = o.m.template write<1>(), s = o.s.template write<1>(), loss = o.loss.template write<1>();
    const Vector<const Sum<T>> one = o.one.template read<1>();
    const auto add = [&](const char* name, double bytes, double flops, const std::function<void()>& run) {
        list.push_back({name + type, bytes, flops, false, run});
    };
    add("softmax forward", 2 * n * t, 5 * n, [=] { softmax_forward(Cuda{}, z, dz); });
    add("softmax backward", 3 * n * t, 4 * n, [=] { softmax_backward(Cuda{}, z, z, dz, Write::overwrite); });
    add("cross entropy forward", n * t, 4 * n, [=] { cross_entropy_forward(Cuda{}, z, targets, m, s, loss); });
    add("cross entropy backward", 2 * n * t, 6 * n,
        [=] { cross_entropy_backward(Cuda{}, z, targets, m, s, one, one, dz, Write::overwrite); });
}

template <class T>
void pooling(BenchmarkList& list, const std::string& type, LayerTensors<T>& o) {
    const double n = double(N * H * W * C), t = sizeof(T);
    const PoolWindows windows = strided_windows("max_pool2d", H, 2, 2, 0, false);
    const Array4<const T> x = o.x.template read<4>(), small = o.pooled.template read<4>();
    const Array4<T> y = o.pooled.template write<4>(), dx = o.y.template write<4>();
    const Array4<std::uint8_t> winner = o.winner.template write<4>();
    const Matrix<T> means = o.means.template write<2>();
    const auto add = [&](const char* name, double bytes, double flops, const std::function<void()>& run) {
        list.push_back({name + type, bytes, flops, false, run});
    };
    add("max pool forward", n * t + n / 4 * (t + 1), n,
        [=] { max_pool2d_forward(Cuda{}, x, windows, windows, y, winner); });
    add("max pool backward", n * t + n / 4 * (t + 1), n, [=] {
        max_pool2d_backward(Cuda{}, small, Array4<const std::uint8_t>(winner), windows, windows, dx, Write::overwrite);
    });
    add("average pool forward", n * t * 1.25, n, [=] { avg_pool2d_forward(Cuda{}, x, windows, windows, y); });
    add("global average pool", n * t, n, [=] { global_avg_pool2d_forward(Cuda{}, x, means); });
}

template <class T>
void products(BenchmarkList& list, const std::string& type, LayerTensors<T>& o) {
    constexpr bool is_16_bits = sizeof(T) == 2;
    const double bytes = double(2 * rows * features + features * features) * sizeof(T);
    const double flops = 2.0 * double(rows * features * features);
    const Matrix<const T> a = o.a.template read<2>(), b = o.b.template read<2>();
    const Matrix<T> c = o.c.template write<2>();
    list.push_back({"matmul, cuBLAS" + type, bytes, flops, is_16_bits,
                    [=] { matmul(Cuda{}, a, false, b, false, c, Write::overwrite); }});
    list.push_back({"matmul, tiled" + type, bytes, flops, false,
                    [=] { tiled_matmul(Cuda{}, a, false, b, false, c, Write::overwrite); }});
    list.push_back({"matmul, register-blocked" + type, bytes, flops, false,
                    [=] { register_blocked_matmul(Cuda{}, a, false, b, false, c, Write::overwrite); }});
}

template <class T>
void convolutions(BenchmarkList& list, const std::string& type, LayerTensors<T>& o) {
    const double n = double(N * H * W * C), t = sizeof(T), s = sizeof(Sum<T>);
    const Array4<const T> x = o.x.template read<4>(), dy = o.dy.template read<4>();
    const Array4<T> y = o.y.template write<4>();
    const Array4<const Sum<T>> weight = o.weight.template read<4>();
    const Array4<Sum<T>> dweight = o.dweight.template write<4>();
    const Vector<const Sum<T>> no_bias(nullptr, {0});
    const Conv2dOptions options{.padding = 1};
    const double bytes = 2 * n * t + double(weight.size()) * s, flops = 2 * n * 9 * double(C);
    const auto ladder = [&](const char* name, Conv2dRung rung, bool on_tensor_cores) {
        list.push_back({std::string(name) + " forward" + type, bytes, flops, on_tensor_cores, [=] {
                            const Conv2dRungScope scope(rung);
                            conv2d_forward(Cuda{}, x, weight, no_bias, options, y);
                        }});
        list.push_back({std::string(name) + " backward data" + type, bytes, flops, on_tensor_cores, [=] {
                            const Conv2dRungScope scope(rung);
                            conv2d_backward_data(Cuda{}, dy, weight, options, y, Write::overwrite);
                        }});
        list.push_back({std::string(name) + " backward weights" + type, bytes, flops, on_tensor_cores, [=] {
                            const Conv2dRungScope scope(rung);
                            conv2d_backward_weights(Cuda{}, x, dy, options, dweight, Write::overwrite);
                        }});
    };
    ladder("conv 3x3, direct", Conv2dRung::direct, false);
    ladder("conv 3x3, tiled", Conv2dRung::tiled, false);
    ladder("conv 3x3, im2col", Conv2dRung::im2col, sizeof(T) == 2);
    if constexpr (sizeof(T) == 2) ladder("conv 3x3, implicit GEMM", Conv2dRung::implicit_gemm, true);

    const Array4<const Sum<T>> windows = o.depthwise.template read<4>();
    const Array4<Sum<T>> dwindows = o.ddepthwise.template write<4>();
    const Conv2dOptions each{.padding = 1, .groups = C};
    list.push_back({"depthwise 3x3 forward" + type, 2 * n * t, 18 * n, false,
                    [=] { conv2d_forward(Cuda{}, x, windows, no_bias, each, y); }});
    list.push_back({"depthwise 3x3 backward data" + type, 2 * n * t, 18 * n, false,
                    [=] { conv2d_backward_data(Cuda{}, dy, windows, each, y, Write::overwrite); }});
    list.push_back({"depthwise 3x3 backward weights" + type, 2 * n * t, 18 * n, false,
                    [=] { conv2d_backward_weights(Cuda{}, x, dy, each, dwindows, Write::overwrite); }});
}

template <class T>
void add_all(BenchmarkList& list, LayerTensors<T>& operands) {
    const std::string type = std::string(", ") + element_name<T>();
    elementwise(list, type, operands);
    normalization(list, type, operands);
    classification(list, type, operands);
    pooling(list, type, operands);
    products(list, type, operands);
    convolutions(list, type, operands);
}

void print_bounds(const BenchmarkList& list) {
    std::printf("%-44s %9s %9s %9s", "", "MB", "GFLOP", "FLOP/byte");
    for (const Card& card : cards) std::printf(" %10s", card.name);
    std::printf("   bounds in us\n");
    for (const Benchmark& b : list) {
        std::printf("%-44s %9.2f %9.3f %9.2f", b.name.c_str(), b.bytes / 1e6, b.flops / 1e9, b.flops / b.bytes);
        for (const Card& card : cards) std::printf(" %10.1f", b.bound_us(card));
        std::printf("\n");
    }
}

#if defined(__CUDACC__)

// The card's own bandwidth, from its clock and bus; its arithmetic is not asked for, only the memory's bound is shown.
double bandwidth_of_this_card() {
    int khz = 0, bits = 0;
    check_cuda(cudaDeviceGetAttribute(&khz, cudaDevAttrMemoryClockRate, 0), "cudaDeviceGetAttribute");
    check_cuda(cudaDeviceGetAttribute(&bits, cudaDevAttrGlobalMemoryBusWidth, 0), "cudaDeviceGetAttribute");
    return 2.0 * khz * 1e3 * bits / 8 / 1e9;  // two transfers a clock
}

double median_us(const std::function<void()>& run) {
    std::vector<double> times;
    for (int i = 0; i < 25; ++i) {
        synchronize();
        const auto start = std::chrono::steady_clock::now();
        run();
        synchronize();
        times.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count());
    }
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
}

int run_all(const BenchmarkList& list) {
    const double bandwidth = bandwidth_of_this_card();
    std::printf("%-44s %10s %10s %8s %8s   (memory: %.0f GB/s)\n", "", "us", "bound us", "GB/s", "TFLOP/s", bandwidth);
    for (const Benchmark& b : list) {
        const double us = median_us(b.run);
        std::printf("%-44s %10.1f %10.1f %8.0f %8.2f\n", b.name.c_str(), us, b.bytes / (bandwidth * 1e3),
                    b.bytes / us / 1e3, b.flops / us / 1e6);
    }
    return 0;
}

#else

int run_all(const BenchmarkList& list) {
    std::printf("%-44s %9s %9s %7s %7s %7s\n", "", "ideal KB", "counted", "ratio", "passes", "lanes");
    int failures = 0;
    for (const Benchmark& b : list) {
        emulator::take_kernel_counts();
        b.run();
        synchronize();
        double bytes = 0, worst_passes = 1, lanes = 32;
        for (const emulator::KernelCounts& counts : emulator::take_kernel_counts()) {
            bytes += double(counts.bytes());
            worst_passes = std::max(worst_passes, counts.passes_per_request());
            lanes = std::min(lanes, counts.active_lanes());
        }
        // Kernels that the memory bounds: less arithmetic than 12.5 FLOP for each byte, what an A100 has in float.
        const bool is_bound_by_memory = b.flops < 12.5 * b.bytes && b.name.find("matmul") == std::string::npos;
        const bool fails = is_bound_by_memory && bytes > 1.25 * b.bytes;
        failures += fails;
        std::printf("%-44s %9.1f %9.1f %7.2f %7.2f %7.1f%s\n", b.name.c_str(), b.bytes / 1e3, bytes / 1e3,
                    bytes / b.bytes, worst_passes, lanes, fails ? "   more than 1.25" : "");
        std::fflush(stdout);
    }
    return failures == 0 ? 0 : 1;
}

#endif

}  // namespace

int main(int argc, char** argv) {
    LayerTensors<float> single;
    LayerTensors<Half> half;
    LayerTensors<BFloat16> brain;
    LayerTensors<double> twice;
    BenchmarkList list;
    add_all(list, single);
    add_all(list, half);
    add_all(list, brain);
    add_all(list, twice);
    if (argc > 1 && std::strcmp(argv[1], "--table") == 0) {
        print_bounds(list);
        return 0;
    }
    return run_all(list);
}
