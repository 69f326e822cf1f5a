// benchmarks/emulator_cost.cpp   How many times longer a matrix product takes in the CUDA emulator than on Cpu.
//     g++ -O2 -std=c++20 -march=native -pthread -DGRADUS_EMULATE_CUDA -Iinclude benchmarks/emulator_cost.cpp -o cost
//     ./cost --size 256
// On one thread: the Cpu kernel on this one, the emulator with one block in flight. What counts is the processor's time
// that this thread has used, so other programs matter little. Medians of runs that take turns. With --at-most it is a
// test: it fails where the register-blocked product takes more than so many times the time of the Cpu backend.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "gradus/core/random.hpp"
#include "gradus/linear/matmul.hpp"
#include "gradus/linear/tiled_matmul_cuda.cuh"
#include "gradus/machine/cpu/thread_pool.hpp"
#include "gradus/machine/cuda/cuda_memory.hpp"
#include "gradus/training/command_line.hpp"

using namespace gradus;

namespace {

double thread_seconds() {
    timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// Seconds of one of `calls` calls.
template <class Body>
double seconds_of(int calls, const Body& body) {
    const double begin = thread_seconds();
    for (int i = 0; i < calls; ++i) body();
    return (thread_seconds() - begin) / calls;
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
    Index size = 256, runs = 7, at_most = 0;
    CommandLine line("emulator_cost",
                     "times matrix products in the CUDA emulator and on the device Cpu, on one thread.");
    line.integer("size", size, {1, 4096}, "of the square matrices");
    line.integer("runs", runs, {1, 1000}, "of each product, in turns");
    line.integer("at-most", at_most, {0, 1000000}, "fail above this ratio, register-blocked to Cpu; 0: never");
    const CommandLine::Outcome outcome = line.parse(argc, argv);
    if (outcome.stop) return outcome.print();

    set_threads(1);
    emulator::settings().blocks_in_flight = 1;
    Generator generator{1, 0, 0};
    const Tensor<float> a = Tensor<float>::uniform({size, size}, -1, 1, generator);
    const Tensor<float> b = Tensor<float>::uniform({size, size}, -1, 1, generator);
    Tensor<float> c({size, size});
    const Tensor<float, Cuda> a_there = a.to<Cuda>(), b_there = b.to<Cuda>();
    Tensor<float, Cuda> c_there({size, size});
    const auto on_cpu = [&] { matmul(Cpu{}, a.read<2>(), false, b.read<2>(), false, c.write<2>(), Write::overwrite); };
    const auto tiled = [&] {
        tiled_matmul(Cuda{}, a_there.read<2>(), false, b_there.read<2>(), false, c_there.write<2>(), Write::overwrite);
    };
    const auto blocked = [&] {
        register_blocked_matmul(Cuda{}, a_there.read<2>(), false, b_there.read<2>(), false, c_there.write<2>(),
                                Write::overwrite);
    };
    std::vector<double> cpu_times, tiled_times, blocked_times;
    on_cpu(), tiled(), blocked();  // to warm up
    for (Index run = 0; run < runs; ++run) {
        cpu_times.push_back(seconds_of(10, on_cpu));
        tiled_times.push_back(seconds_of(1, tiled));
        blocked_times.push_back(seconds_of(1, blocked));
    }
    const double cpu = median(cpu_times), ratio = median(blocked_times) / cpu;
    std::printf(
        "%s^3 in float, one thread: Cpu %.2f ms, in the emulator register-blocked %.1f ms (%.0f times), "
        "tiled %.1f ms (%.0f times)\n",
        text(size).c_str(), 1e3 * cpu, 1e3 * median(blocked_times), ratio, 1e3 * median(tiled_times),
        median(tiled_times) / cpu);
    if (at_most == 0 || ratio <= static_cast<double>(at_most)) return 0;
    std::printf("register-blocked is above %s times\n", text(at_most).c_str());
    return 1;
}
