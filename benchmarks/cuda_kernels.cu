// benchmarks/cuda_kernels.cu   Every CUDA kernel: what it must move and compute, the bound that follows, what it does.
// On a GPU it prints the achieved time beside the bound of that card (--tsv: for benchmarks/compare_cudnn.py):
//     nvcc -x cu -std=c++20 -O2 -arch=native -Iinclude benchmarks/cuda_kernels.cu -lcublas -o cuda_kernels
//     ./cuda_kernels
// On a CPU, in the emulator, it prints the bounds for three cards, and beside the ideal the bytes that the kernels
// really ask for, on smaller shapes. It fails where a kernel that the memory bounds asks for more than 1.25 times the
// ideal:
//     g++ -std=c++20 -O1 -g -DGRADUS_EMULATE_CUDA -Iinclude -c include/gradus/machine/emulator/racecheck.cpp
//     g++ -std=c++20 -O1 -g -DGRADUS_EMULATE_CUDA -Iinclude -fsanitize=thread -c -x c++ benchmarks/cuda_kernels.cu
//     g++ cuda_kernels.o racecheck.o -pthread -o cuda_kernels && ./cuda_kernels
// benchmarks/cuda_kernels.txt is what that printed. ./cuda_kernels --table prints the bounds alone, without running
// anything. benchmarks/kernel_report.py compiles this file to see the machine code of all kernels.
//
// Ideal bytes: each input read once, each output written once (and read once where it is added to). FLOP: two for each
// multiply-add, one for other operations. The bound is the larger of bytes / bandwidth and FLOP / arithmetic (roofline:
// Williams, Waterman, Patterson 2009).
// Counted bytes: for every load and store of a warp the sectors of 32 bytes that it touches, 32 bytes each. Sectors
// that two warps touch, or one twice, count twice. A card's caches catch most of these, so its memory moves less, but
// the way to the second-level cache is no wider than a few times the memory: what asks for little more than the ideal
// needs no luck with the caches.
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

// Not measured, because they move one element for each y, from anywhere, but compiled for kernel_report.py.
template void gradus::max_forward(Cuda, Vector<const float>, Vector<const std::int64_t>, Vector<float>);
template void gradus::max_backward(Cuda, Vector<const std::int64_t>, Vector<const float>, Vector<float>, Write);
template void gradus::max_forward(Cuda, Vector<const Half>, Vector<const std::int64_t>, Vector<Half>);
template void gradus::max_backward(Cuda, Vector<const std::int64_t>, Vector<const Half>, Vector<Half>, Write);
template void gradus::max_forward(Cuda, Vector<const BFloat16>, Vector<const std::int64_t>, Vector<BFloat16>);
template void gradus::max_backward(Cuda, Vector<const std::int64_t>, Vector<const BFloat16>, Vector<BFloat16>, Write);
template void gradus::max_forward(Cuda, Vector<const double>, Vector<const std::int64_t>, Vector<double>);
template void gradus::max_backward(Cuda, Vector<const std::int64_t>, Vector<const double>, Vector<double>, Write);

namespace {

// From the maker's data sheets: GB/s; TFLOP/s in float, in double, and on tensor cores in 16 bits with float sums.
struct Card {
    const char* name;
    double bandwidth, flops, double_flops, tensor_flops;
};
constexpr Card cards[] = {
    {"A100 40GB", 1555, 19.5, 9.7, 312}, {"H100 SXM", 3350, 67, 34, 989}, {"RTX 4090", 1008, 82.6, 1.29, 165}};

// Multiply-adds of a multiprocessor in a cycle: in float and double (CUDA C++ Programming Guide, "Arithmetic
// Instructions"), and on tensor cores as above (the architectures' white papers). GeForce cards of 7.5, 8.6, 8.9 and
// 12.0 have half of the last one, which cannot be asked for.
struct Multiprocessor {
    int architecture;
    double single, twice, tensor_cores;
};
constexpr Multiprocessor multiprocessors_known[] = {{75, 64, 2, 512},  {80, 64, 32, 1024},  {86, 128, 2, 512},
                                                    {89, 128, 2, 512}, {90, 128, 64, 2048}, {100, 128, 64, 4096},
                                                    {120, 128, 2, 512}};

// A card that is asked what it is. Of an architecture that is not known the arithmetic bounds nothing.
constexpr Card card_of(int architecture, int multiprocessors, double ghz, double bandwidth) {
    constexpr double none = 1e30;
    Card card{"this card", bandwidth, none, none, none};
    for (const Multiprocessor& m : multiprocessors_known)
        if (m.architecture == architecture) {
            const double cycles = 2 * multiprocessors * ghz / 1e3;  // FLOP for each multiply-add, in 1e12
            card.flops = m.single * cycles;
            card.double_flops = m.twice * cycles;
            card.tensor_flops = m.tensor_cores * cycles;
        }
    return card;
}
// The data sheet's numbers again.
constexpr bool agrees(const Card& found, const Card& sheet) {
    const auto close = [](double a, double b) { return a > 0.98 * b && a < 1.02 * b; };
    return close(found.flops, sheet.flops) && close(found.double_flops, sheet.double_flops) &&
           close(found.tensor_flops, sheet.tensor_flops);
}
static_assert(agrees(card_of(80, 108, 1.41, 1555), cards[0]));

enum class Arithmetic { single, twice, tensor_cores };

struct Benchmark {
    std::string name;
    double bytes, flops;
    Arithmetic arithmetic;
    std::function<void()> run;

    double bound_us(const Card& card) const {
        const double rate = arithmetic == Arithmetic::tensor_cores ? card.tensor_flops
                            : arithmetic == Arithmetic::twice      ? card.double_flops
                                                                   : card.flops;
        return std::max(bytes / (card.bandwidth * 1e3), flops / (rate * 1e6));
    }
};

struct Shapes {
    Index N, H, W, C, K, rows, features;
};
constexpr Shapes layer{32, 56, 56, 64, 1000, 512, 2048};  // of ResNet-50 at batch 32

template <class T>
struct LayerTensors : Shapes {
    // Without values for who only wants to know the bounds.
    template <class U>
    Tensor<U, Cuda> make(const Shape& shape) const {
        return has_values ? Tensor<U, Cuda>::ones(shape) : Tensor<U, Cuda>::empty(shape);
    }
    LayerTensors(const Shapes& shapes, bool with_values) : Shapes(shapes), has_values(with_values) {}

    bool has_values;
    Tensor<T, Cuda> x = make<T>({N, H, W, C}), dy = make<T>({N, H, W, C}), y = make<T>({N, H, W, C});
    Tensor<Sum<T>, Cuda> gamma = make<Sum<T>>({C}), mean = make<Sum<T>>({C}), var = make<Sum<T>>({C}),
                         rstd = make<Sum<T>>({C}), dgamma = make<Sum<T>>({C}), dbeta = make<Sum<T>>({C});
    Tensor<Sum<T>, Cuda> weight = make<Sum<T>>({C, 3, 3, C}), dweight = make<Sum<T>>({C, 3, 3, C});
    Tensor<Sum<T>, Cuda> depthwise = make<Sum<T>>({C, 3, 3, 1}), ddepthwise = make<Sum<T>>({C, 3, 3, 1});
    Tensor<T, Cuda> logits = make<T>({rows, K}), dlogits = make<T>({rows, K});
    Index labelled = std::max<Index>(rows, 256);  // for matrices of few classes
    Tensor<std::int64_t, Cuda> labels = Tensor<std::int64_t, Cuda>::zeros({labelled}),
                               found = Tensor<std::int64_t, Cuda>::zeros({N * H * W});
    Tensor<double, Cuda> squares = Tensor<double, Cuda>::zeros(Shape{norm_chunks<T>(N * H * W * C)});
    Tensor<Sum<T>, Cuda> m = make<Sum<T>>({labelled}), s = make<Sum<T>>({labelled}), loss = make<Sum<T>>({labelled}),
                         one = make<Sum<T>>({1}), total = make<Sum<T>>({1});
    Tensor<T, Cuda> a = make<T>({rows, features}), b = make<T>({features, features}), c = make<T>({rows, features});
    Tensor<std::uint8_t, Cuda> winner = Tensor<std::uint8_t, Cuda>::zeros({N, H / 2, W / 2, C});
    Tensor<T, Cuda> pooled = make<T>({N, H / 2, W / 2, C}), means = make<T>({N, C});
};

// Arithmetic without tensor cores.
template <class T>
constexpr Arithmetic plain = sizeof(T) == 8 ? Arithmetic::twice : Arithmetic::single;

using BenchmarkList = std::vector<Benchmark>;

template <class T>
void elementwise(BenchmarkList& list, const std::string& type, LayerTensors<T>& o) {
    const auto [N, H, W, C, K, rows, features] = static_cast<const Shapes&>(o);
    const double n = double(N * H * W * C), t = sizeof(T), s = sizeof(Sum<T>);
    const Vector<const T> x = o.x.template read<1>(), dy = o.dy.template read<1>();
    const Vector<T> y = o.y.template write<1>();
    const auto add = [&](const std::string& name, double bytes, double flops, const std::function<void()>& run) {
        list.push_back({name + type, bytes, flops, plain<T>, run});
    };
    add("relu forward", 2 * n * t, n, [=] { unary_forward(Cuda{}, Relu{}, x, y); });
    add("relu backward", 3 * n * t, n, [=] { unary_backward(Cuda{}, Relu{}, x, dy, y, Write::overwrite); });
    const Broadcast same("add", {N, H, W, C}, {N, H, W, C});
    add("add", 3 * n * t, n, [=] { binary_forward(Cuda{}, Add{}, same, x, dy, y); });
    const Broadcast channels("mul", {N, H, W, C}, {C});
    const Vector<const T> row = Vector<const T>(x.data(), {C});
    add("mul by channels", 2 * n * t, n, [=] { binary_forward(Cuda{}, Multiply{}, channels, x, row, y); });
    const Vector<const T> dz(dy.data(), dy.shape());
    add("divide, backward of the divisor", 4 * n * t, 4 * n,
        [=] { binary_backward(Cuda{}, Divide{}, Operand::y, same, x, x, dz, y, Write::overwrite); });
    const DropoutMask mask{Generator{1, 0, 0}, 1u << 31, 2};
    add("dropout", 2 * n * t, n, [=] { dropout_apply(Cuda{}, mask, x, y, Write::overwrite); });
    const Broadcast columns("sum", {1, 1, 1, C}, {N, H, W, C});
    const Vector<Sum<T>> sums = o.mean.template write<1>();
    add("sum over N, H, W", n * t, n, [=] { sum_forward(Cuda{}, columns, x, Sum<T>(1), sums, Write::overwrite); });
    add("sum backward", n * t, n, [=] { sum_backward(Cuda{}, columns, row, Sum<T>(1), y, Write::overwrite); });
    const Broadcast pixels("max", {N, H, W, 1}, {N, H, W, C});
    const Vector<std::int64_t> where = o.found.template write<1>();
    add("argmax of channels", n * t + n / double(C) * 8, n, [=] { max_positions(Cuda{}, pixels, x, where); });
    const Rows half{N * H * W, C, 1, 0, 1, C / 2};  // the first half of the channels
    const Vector<T> some(y.data(), {y.size() / 2});
    const Vector<const T> some_x(x.data(), {x.size() / 2});
    add("take half of the channels", n * t, 0, [=] { take_rows(Cuda{}, half, x, some, Write::overwrite); });
    add("put them back, zeros elsewhere", 1.5 * n * t, 0,
        [=] { place_rows(Cuda{}, half, some_x, y, Rest::zero, Write::overwrite); });
    add("put them back, rest stays", n * t, 0,
        [=] { place_rows(Cuda{}, half, some_x, y, Rest::leave, Write::overwrite); });
    add("permute to channels first", 2 * n * t, 0, [=] {
        permute_copy(Cuda{}, Permutation({N, H, W, C}, {0, 3, 1, 2}), x, y, Write::overwrite);
    });
    if constexpr (std::same_as<T, Sum<T>>) {
        const SgdRule<T> rule{T(0.1), T(1e-4), T(0.9), T(1), true};
        const Vector<T> w = o.y.template write<1>(), v = o.x.template write<1>();
        const Vector<T> no_velocity(nullptr, {0});
        const Vector<const T> no_rate(nullptr, {0});  // the rate is the rule's
        const std::vector<SgdParameter<T>> plain = {{w, dy, no_velocity, rule}}, parameters = {{w, dy, v, rule}};
        add("sgd without momentum", 3 * n * t, 4 * n, [=] { sgd_steps(Cuda{}, plain, no_rate); });
        add("sgd", 5 * n * t, 7 * n, [=] { sgd_steps(Cuda{}, parameters, no_rate); });
        add("unscale", 2 * n * s, n, [=] { unscale(Cuda{}, std::vector{w}, T(1), where); });
        const Vector<double> squares = o.squares.template write<1>();
        add("clip: sum of squares", n * t, 2 * n, [=] { sum_of_squares(Cuda{}, std::vector{dy}, squares); });
        add("clip: scale", 2 * n * t, n, [=] { scale_gradients(Cuda{}, std::vector{w}, T(1)); });
    }
}

template <class T>
void normalization(BenchmarkList& list, const std::string& type, LayerTensors<T>& o) {
    const double n = double(o.x.numel()), t = sizeof(T);
    const Matrix<const T> x = o.x.template read<2>(), dy = o.dy.template read<2>(), none(nullptr, {0, 0});
    const Matrix<T> y = o.y.template write<2>(), nowhere(nullptr, {0, 0});
    const BatchNormChannels<Sum<T>> by{o.gamma.template read<1>(), o.mean.template read<1>(), o.mean.template read<1>(),
                                       o.rstd.template read<1>()};
    const BatchNormSaved<T> saved{x, none, by, true};
    const Vector<Sum<T>> first = o.dgamma.template write<1>(), sums = o.dbeta.template write<1>();
    const Vector<const Sum<T>> var = o.var.template read<1>();
    const double channels = double(o.C) * sizeof(Sum<T>);
    const auto add = [&](const std::string& name, double bytes, double flops, const std::function<void()>& run) {
        list.push_back({name + type, bytes, flops, plain<T>, run});
    };
    add("batch norm statistics", n * t, 3 * n, [=] { batch_norm_statistics(Cuda{}, x, first, sums); });
    add("batch norm forward, shortcut", 3 * n * t, 5 * n, [=] { batch_norm_forward(Cuda{}, x, dy, by, true, y); });
    add("batch norm backward sums", 2 * n * t, 8 * n,
        [=] { batch_norm_backward_sums(Cuda{}, saved, dy, first, sums); });
    add("batch norm rstd", 2 * channels, 3 * double(o.C), [=] { batch_norm_rstd(Cuda{}, var, 1e-5, first); });
    add("batch norm running average", 3 * channels, 4 * double(o.C),
        [=] { batch_norm_update_running(Cuda{}, var, 1, 0.1, first); });
    add("batch norm share of a gradient", 3 * channels, double(o.C),
        [=] { batch_norm_add_share(Cuda{}, var, first, Write::add); });
    add("batch norm backward", 3 * n * t, 12 * n, [=] {
        batch_norm_backward(Cuda{}, saved, dy, by.gamma, by.mean, Sum<T>(0.5), y, Write::overwrite, nowhere,
                            Write::overwrite);
    });
}

template <class T>
void classification(BenchmarkList& list, const std::string& type, LayerTensors<T>& o) {
    const double n = double(o.logits.numel()), t = sizeof(T), each_row = double(o.rows), s = sizeof(Sum<T>);
    const Matrix<const T> z = o.logits.template read<2>();
    const Matrix<T> dz = o.dlogits.template write<2>();
    const CrossEntropyTargets<Sum<T>> targets{
        o.labels.template read<1>(), {nullptr, {0, 0}}, {nullptr, {0}}, Sum<T>(1), Sum<T>(0), -100};
    const Vector<Sum<T>> m = o.m.template write<1>(), sums = o.s.template write<1>(), loss = o.loss.template write<1>();
    const Vector<const Sum<T>> one = o.one.template read<1>();
    const Vector<Sum<T>> scale = o.m.template write<1>(), total = o.total.template write<1>();
    const auto add = [&](const std::string& name, double bytes, double flops, const std::function<void()>& run) {
        list.push_back({name + type, bytes, flops, plain<T>, run});
    };
    add("softmax forward", 2 * n * t, 5 * n, [=] { softmax_forward(Cuda{}, z, dz); });
    add("softmax backward", 3 * n * t, 4 * n, [=] { softmax_backward(Cuda{}, z, z, dz, Write::overwrite); });
    add("log softmax forward", 2 * n * t, 5 * n, [=] { log_softmax_forward(Cuda{}, z, dz); });
    add("log softmax backward", 3 * n * t, 4 * n, [=] { log_softmax_backward(Cuda{}, z, z, dz, Write::overwrite); });
    // A row has a label, and in float m, s and the loss.
    add("cross entropy forward", n * t + each_row * (8 + 3 * s), 4 * n,
        [=] { cross_entropy_forward(Cuda{}, z, targets, m, sums, loss); });
    add("cross entropy backward", 2 * n * t + each_row * (8 + 2 * s), 6 * n,
        [=] { cross_entropy_backward(Cuda{}, z, targets, m, sums, one, one, dz, Write::overwrite); });
    add("cross entropy, sum of the rows", double(o.labelled) * (8 + s), 2 * double(o.labelled),
        [=] { cross_entropy_total(Cuda{}, Vector<const Sum<T>>(loss), targets, Reduction::mean, scale, total); });
    // The same matrix with 10 and with 100 classes: rows that are no packs.
    for (const Index classes : {10, 100}) {
        const Index short_rows = std::min<Index>(o.labelled, o.logits.numel() / classes);
        const double m_bytes = double(short_rows * classes) * t, row_bytes = double(short_rows) * (8 + 3 * s);
        const Matrix<const T> short_z(z.data(), {short_rows, classes});
        const Matrix<T> short_dz(dz.data(), {short_rows, classes});
        const std::string of = " of " + std::to_string(classes) + " classes";
        add("softmax forward" + of, 2 * m_bytes, 5 * m_bytes / t, [=] { softmax_forward(Cuda{}, short_z, short_dz); });
        add("cross entropy forward" + of, m_bytes + row_bytes, 4 * m_bytes / t,
            [=] { cross_entropy_forward(Cuda{}, short_z, targets, m, sums, loss); });
        add("cross entropy backward" + of, 2 * m_bytes + row_bytes - double(short_rows) * s, 6 * m_bytes / t,
            [=] { cross_entropy_backward(Cuda{}, short_z, targets, m, sums, one, one, short_dz, Write::overwrite); });
    }
}

template <class T>
void pooling(BenchmarkList& list, const std::string& type, LayerTensors<T>& o) {
    const double n = double(o.x.numel()), t = sizeof(T);
    const PoolWindows windows = strided_windows("max_pool2d", o.H, 2, 2, 0, false);
    const Array4<const T> x = o.x.template read<4>(), small_dy = o.pooled.template read<4>();
    const Array4<T> y = o.pooled.template write<4>(), dx = o.y.template write<4>();
    const Array4<std::uint8_t> winner = o.winner.template write<4>();
    const Matrix<T> means = o.means.template write<2>();
    const auto add = [&](const std::string& name, double bytes, double flops, const std::function<void()>& run) {
        list.push_back({name + type, bytes, flops, plain<T>, run});
    };
    add("max pool forward", n * t + n / 4 * (t + 1), n,
        [=] { max_pool2d_forward(Cuda{}, x, windows, windows, y, winner); });
    add("max pool backward", n * t + n / 4 * (t + 1), n, [=] {
        max_pool2d_backward(Cuda{}, small_dy, Array4<const std::uint8_t>(winner), windows, windows, dx,
                            Write::overwrite);
    });
    add("average pool forward", n * t * 1.25, n, [=] { avg_pool2d_forward(Cuda{}, x, windows, windows, y); });
    add("average pool backward", n * t * 1.25, n,
        [=] { avg_pool2d_backward(Cuda{}, small_dy, windows, windows, dx, Write::overwrite); });
    add("global average pool", n * t, n, [=] { global_avg_pool2d_forward(Cuda{}, x, means); });
}

template <class T>
void products(BenchmarkList& list, const std::string& type, LayerTensors<T>& o) {
    const auto [N, H, W, C, K, rows, features] = static_cast<const Shapes&>(o);
    constexpr Arithmetic library = sizeof(T) == 2 ? Arithmetic::tensor_cores : plain<T>;
    const double bytes = double(2 * rows * features + features * features) * sizeof(T);
    const double flops = 2.0 * double(rows * features * features);
    const Matrix<const T> a = o.a.template read<2>(), b = o.b.template read<2>();
    const Matrix<T> c = o.c.template write<2>();
    list.push_back({"matmul, cuBLAS" + type, bytes, flops, library,
                    [=] { matmul(Cuda{}, a, false, b, false, c, Write::overwrite); }});
    list.push_back({"matmul, tiled" + type, bytes, flops, plain<T>,
                    [=] { tiled_matmul(Cuda{}, a, false, b, false, c, Write::overwrite); }});
    list.push_back({"matmul, register-blocked" + type, bytes, flops, plain<T>,
                    [=] { register_blocked_matmul(Cuda{}, a, false, b, false, c, Write::overwrite); }});
}

template <class T>
void convolutions(BenchmarkList& list, const std::string& type, LayerTensors<T>& o) {
    const Index C = o.C;
    const double n = double(o.x.numel()), t = sizeof(T), s = sizeof(Sum<T>);
    const Array4<const T> x = o.x.template read<4>(), dy = o.dy.template read<4>();
    const Array4<T> y = o.y.template write<4>();
    const Array4<const Sum<T>> weight = o.weight.template read<4>();
    const Array4<Sum<T>> dweight = o.dweight.template write<4>();
    const Vector<const Sum<T>> no_bias(nullptr, {0});
    const Conv2dOptions options{.padding = 1};
    const double bytes = 2 * n * t + double(weight.size()) * s, flops = 2 * n * 9 * double(C);
    const auto ladder = [&](const char* name, Conv2dRung rung, Arithmetic arithmetic) {
        list.push_back({std::string(name) + " forward" + type, bytes, flops, arithmetic, [=] {
                            const Conv2dRungScope scope(rung);
                            conv2d_forward(Cuda{}, x, weight, no_bias, options, y);
                        }});
        list.push_back({std::string(name) + " backward data" + type, bytes, flops, arithmetic, [=] {
                            const Conv2dRungScope scope(rung);
                            conv2d_backward_data(Cuda{}, dy, weight, options, y, Write::overwrite);
                        }});
        list.push_back({std::string(name) + " backward weights" + type, bytes, flops, arithmetic, [=] {
                            const Conv2dRungScope scope(rung);
                            conv2d_backward_weights(Cuda{}, x, dy, options, dweight, Write::overwrite);
                        }});
    };
    ladder("conv 3x3, direct", Conv2dRung::direct, plain<T>);
    ladder("conv 3x3, tiled", Conv2dRung::tiled, plain<T>);
    ladder("conv 3x3, im2col", Conv2dRung::im2col, sizeof(T) == 2 ? Arithmetic::tensor_cores : plain<T>);
    if (has_tensor_cores<T>()) ladder("conv 3x3, implicit GEMM", Conv2dRung::implicit_gemm, Arithmetic::tensor_cores);

    const Array4<const Sum<T>> windows = o.depthwise.template read<4>();
    const Array4<Sum<T>> dwindows = o.ddepthwise.template write<4>();
    const Conv2dOptions each{.padding = 1, .groups = C};
    list.push_back({"depthwise 3x3 forward" + type, 2 * n * t, 18 * n, plain<T>,
                    [=] { conv2d_forward(Cuda{}, x, windows, no_bias, each, y); }});
    list.push_back({"depthwise 3x3 backward data" + type, 2 * n * t, 18 * n, plain<T>,
                    [=] { conv2d_backward_data(Cuda{}, dy, windows, each, y, Write::overwrite); }});
    list.push_back({"depthwise 3x3 backward weights" + type, 2 * n * t, 18 * n, plain<T>,
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

// What the operands of all types are, and what is done with them.
struct AllBenchmarks {
    LayerTensors<float> single;
    LayerTensors<Half> half;
    LayerTensors<BFloat16> brain;
    LayerTensors<double> twice;
    BenchmarkList list;

    AllBenchmarks(const Shapes& shapes, bool with_values)
        : single(shapes, with_values),
          half(shapes, with_values),
          brain(shapes, with_values),
          twice(shapes, with_values) {
        add_all(list, single);
        add_all(list, half);
        add_all(list, brain);
        add_all(list, twice);
    }
};

void print_bound_names() {
    std::printf("%-48s %8s %8s %9s", "", "MB", "GFLOP", "FLOP/byte");
    for (const Card& card : cards) std::printf(" %9s", card.name);
}
void print_bound(const Benchmark& b) {
    std::printf("%-48s %8.2f %8.3f %9.2f", b.name.c_str(), b.bytes / 1e6, b.flops / 1e9, b.flops / b.bytes);
    for (const Card& card : cards) std::printf(" %9.1f", b.bound_us(card));
}
int print_bounds() {
    const AllBenchmarks all(layer, false);
    std::printf("N %lld, H, W %lld, C %lld; %lld rows of %lld classes; matrices of %lld x %lld. Bounds in us.\n",
                static_cast<long long>(layer.N), static_cast<long long>(layer.H), static_cast<long long>(layer.C),
                static_cast<long long>(layer.rows), static_cast<long long>(layer.K), static_cast<long long>(layer.rows),
                static_cast<long long>(layer.features));
    print_bound_names();
    std::printf("\n");
    for (const Benchmark& b : all.list) {
        print_bound(b);
        std::printf("\n");
    }
    return 0;
}

#if defined(__CUDACC__)

// Bandwidth from the memory's clock and bus, arithmetic from the multiprocessors and their highest clock.
Card this_card() {
    const auto ask = [](cudaDeviceAttr attribute) {
        int value = 0;
        check_cuda(cudaDeviceGetAttribute(&value, attribute, 0), "cudaDeviceGetAttribute");
        return value;
    };
    const int architecture = 10 * ask(cudaDevAttrComputeCapabilityMajor) + ask(cudaDevAttrComputeCapabilityMinor);
    const double bandwidth = 2.0 * ask(cudaDevAttrMemoryClockRate) * 1e3 * ask(cudaDevAttrGlobalMemoryBusWidth) / 8 /
                             1e9;  // two transfers a clock
    return card_of(architecture, ask(cudaDevAttrMultiProcessorCount), ask(cudaDevAttrClockRate) / 1e6, bandwidth);
}

// By events, on the card: without the time that the host takes to launch. Before each call a buffer larger than any
// second-level cache (126 MB of a B200) is overwritten: the operands, 26 MB each in float, come from memory, as they
// would in a network. While the card does that, the host queues the call.
double median_us(const std::function<void()>& run) {
    constexpr Index other_bytes = Index{1} << 28;
    const CudaBuffer<std::uint8_t> other(other_bytes);
    cudaEvent_t begin = nullptr, end = nullptr;
    check_cuda(cudaEventCreate(&begin), "cudaEventCreate");
    check_cuda(cudaEventCreate(&end), "cudaEventCreate");
    run();  // what is done once: memory, handles, the kernel's code
    std::vector<double> times;
    for (int i = 0; i < 25; ++i) {
        zero_bytes(Cuda{}, other.data(), other_bytes);
        check_cuda(cudaEventRecord(begin, current_stream()), "cudaEventRecord");
        run();
        check_cuda(cudaEventRecord(end, current_stream()), "cudaEventRecord");
        synchronize();
        float milliseconds = 0;
        check_cuda(cudaEventElapsedTime(&milliseconds, begin, end), "cudaEventElapsedTime");
        times.push_back(1e3 * double(milliseconds));
    }
    check_cuda(cudaEventDestroy(begin), "cudaEventDestroy");
    check_cuda(cudaEventDestroy(end), "cudaEventDestroy");
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
}

int run_all(bool as_tsv) {
    const AllBenchmarks all(layer, true);
    const Card card = this_card();
    if (as_tsv)
        std::printf("kernel\tus\tbound_us\tbytes\tflops\n");
    else
        std::printf("%-48s %10s %10s %6s %8s %8s   (memory: %.0f GB/s)\n", "", "us", "bound us", "share", "GB/s",
                    "TFLOP/s", card.bandwidth);
    for (const Benchmark& b : all.list) {
        const double us = median_us(b.run), bound = b.bound_us(card);
        if (as_tsv)
            std::printf("%s\t%.3f\t%.3f\t%.0f\t%.0f\n", b.name.c_str(), us, bound, b.bytes, b.flops);
        else
            std::printf("%-48s %10.1f %10.1f %5.0f%% %8.0f %8.2f\n", b.name.c_str(), us, bound, 100 * bound / us,
                        b.bytes / us / 1e3, b.flops / us / 1e6);
    }
    return 0;
}

#else

constexpr Shapes small{2, 12, 12, 64, 1000, 16, 256};

// Whether the memory bounds it: less arithmetic than 12.5 FLOP for each byte, what an A100 has in float. Products are
// bound by arithmetic where they are large, which those of the emulator are not.
bool is_bound_by_memory(const Benchmark& b) {
    return b.flops < 12.5 * b.bytes && b.name.find("matmul") == std::string::npos;
}

int run_all(bool) {
    const AllBenchmarks large(layer, false), all(small, true);
    std::printf(
        "Left: what a layer of ResNet-50 moves and computes, and the bounds that follow, in us on three cards.\n"
        "Right, a small layer in the emulator: ideal and counted KB and their ratio; passes of a request through\n"
        "shared memory (1: no conflicts) and lanes of a warp that take part, both of the kernel that is worst.\n"
        "0 counted: cuBLAS, whose kernels the emulator does not have.\n\n");
    print_bound_names();
    std::printf(" | %8s %8s %6s %6s %6s\n", "ideal KB", "counted", "ratio", "passes", "lanes");
    int failures = 0;
    for (std::size_t i = 0; i < all.list.size(); ++i) {
        const Benchmark& b = all.list[i];
        emulator::take_kernel_counts();
        b.run();
        synchronize();
        double bytes = 0, worst_passes = 1, lanes = 32;
        for (const emulator::KernelCounts& counts : emulator::take_kernel_counts()) {
            bytes += double(counts.bytes());
            worst_passes = std::max(worst_passes, counts.passes_per_request());
            lanes = std::min(lanes, counts.active_lanes());
        }
        const bool is_more = is_bound_by_memory(b) && bytes > 1.25 * b.bytes;
        failures += is_more;
        print_bound(large.list[i]);
        std::printf(" | %8.1f %8.1f %6.2f %6.2f %6.1f%s\n", b.bytes / 1e3, bytes / 1e3, bytes / b.bytes, worst_passes,
                    lanes, is_more ? "  FAILED: more than 1.25" : "");
        std::fflush(stdout);
    }
    return failures == 0 ? 0 : 1;
}

#endif

}  // namespace

int main(int argc, char** argv) {
    const std::string option = argc > 1 ? argv[1] : "";
    if (option == "--table") return print_bounds();
    if (option.empty() || option == "--tsv") return run_all(option == "--tsv");
    std::fprintf(stderr, "usage: %s [--table | --tsv]\n", argv[0]);
    return 2;
}
