// examples/04_cuda_on_a_cpu.cpp   A CUDA kernel, three classic faults in it, and how the emulator shows them.
//     FLAGS="-std=c++20 -O1 -g -pthread -DGRADUS_EMULATE_CUDA -Iinclude"
//     g++ $FLAGS -c include/gradus/machine/emulator/racecheck.cpp
//     g++ $FLAGS -fsanitize=thread -fsanitize-coverage=trace-pc -c examples/04_cuda_on_a_cpu.cpp
//     g++ 04_cuda_on_a_cpu.o racecheck.o -pthread -o lesson && ./lesson
// The kernel is plain CUDA C++: nvcc would compile it for a GPU. Here its threads run on the CPU, one after the other,
// and the race checker sees every access. Read include/gradus/machine/cuda/launch.hpp first: how a kernel is written.
//
// In a debugger a thread of the kernel is a function like any other; threadIdx and blockIdx are its variables. Compile
// this file with -O0 instead of -O1, and for NN take the line below that begins with "for (int l":
//     gdb ./lesson
//     (gdb) break 04_cuda_on_a_cpu.cpp:NN if planted == 0 && threadIdx.x == 3 && threadIdx.y == 2 && blockIdx.x == 1
//     (gdb) run
//     (gdb) print threadIdx
//     (gdb) print a_tile[2]                             the row of the tile that this thread reads
//     (gdb) next                                        to the barrier; behind it, another thread may come first
//     (gdb) print sum
//
// On a card the order of the threads is chance, here you set it (include/gradus/machine/emulator/settings.hpp):
//     GRADUS_EMULATOR_ORDER=reverse ./lesson            or random:7; threads and blocks come in another order
//     GRADUS_EMULATOR_STREAMS=deferred ./lesson         what is queued runs only when something waits for it
// GRADUS_EMULATOR_BLOCKS=4 runs four blocks at once, but only in a program without the race checker.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

#include "gradus/core/random.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/machine/cuda/cuda_memory.hpp"
#include "gradus/machine/cuda/current_stream.hpp"
#include "gradus/machine/cuda/launch.hpp"
#include "gradus/machine/emulator/race_checker.hpp"

using namespace gradus;

namespace {

constexpr int tile = 16;

enum class Fault { none, race, missing_barrier, uncoalesced };

// C = A B for matrices (n, n). A block of 16 x 16 threads makes a tile of C, a thread one number of it. Each number of
// A and B would be read n times from device memory; the block copies tiles of A and B to shared memory, which lies on
// the multiprocessor itself, and reads them there: that leaves n / 16 reads.
template <Fault planted>
__global__ void __launch_bounds__(tile* tile) product_kernel(const float* a, const float* b, float* c, int n) {
    GRADUS_SHARED(float, a_tile, [tile][tile]);
    GRADUS_SHARED(float, b_tile, [tile][tile]);
    // Neighbouring threads have neighbouring threadIdx.x. So x must be the column: the 16 threads of a row then read 64
    // neighbouring bytes, two sectors of 32. As the row it makes them read 16 sectors, of which 4 bytes each are used;
    // the next 16 threads, the other half of the warp, use 4 more.
    const int column = static_cast<int>(planted == Fault::uncoalesced ? threadIdx.y : threadIdx.x);
    const int row = static_cast<int>(planted == Fault::uncoalesced ? threadIdx.x : threadIdx.y);
    const int i = static_cast<int>(blockIdx.y) * tile + row, j = static_cast<int>(blockIdx.x) * tile + column;

    // At the right and lower edge some threads have no number to make. They may not leave: the others wait for them at
    // the barrier, and CUDA does not promise that the wait ends, or how.
    if (planted == Fault::missing_barrier && (i >= n || j >= n)) return;

    float sum = 0;
    for (int k = 0; k < n; k += tile) {
        a_tile[row][column] = i < n && k + column < n ? a[i * n + k + column] : 0.0f;
        b_tile[row][column] = k + row < n && j < n ? b[(k + row) * n + j] : 0.0f;
        __syncthreads();  // all of the tile is there before anyone reads it
        for (int l = 0; l < tile; ++l) sum += a_tile[row][l] * b_tile[l][column];
        // All have read the tile before anyone overwrites it with the next one. Without this barrier the result
        // depends on who comes first. On a card that is chance. In the emulator a thread runs until it has to wait:
        // the first one to get here goes on to the next tile before the others have read this one, and C is wrong.
        if (planted != Fault::race) __syncthreads();
    }
    if (i < n && j < n) c[i * n + j] = sum;
}

struct Result {
    std::string error;  // what the emulator has to say, "" if nothing
    double worst = 0;   // the largest error of a number of C, if the kernel came to its end
    emulator::KernelCounts counts;
};

template <Fault planted>
Result run(int n) {
    Generator generator{1, 0, 0};
    const Tensor<float> a = Tensor<float>::uniform({n, n}, -1, 1, generator);
    const Tensor<float> b = Tensor<float>::uniform({n, n}, -1, 1, generator);
    const Tensor<float, Cuda> a_there = a.to<Cuda>(), b_there = b.to<Cuda>();
    Tensor<float, Cuda> c_there({n, n});
    const dim3 blocks(blocks_for(n, tile), blocks_for(n, tile));
    emulator::take_kernel_counts();  // those of kernels before
    Result result;
    try {
        launch(product_kernel<planted>, blocks, dim3(tile, tile), 0, nullptr, a_there.data(), b_there.data(),
               c_there.mutable_data(), n);
        synchronize();  // on a card the host goes on at once: what went wrong in the kernel shows here
    } catch (const Error& error) {
        result.error = error.what();
    }
    if (planted == Fault::missing_barrier) return result;
    result.counts = emulator::take_kernel_counts().at(0);
    const Tensor<float> c = c_there.to<Cpu>();
    const Matrix<const float> A = a.read<2>(), B = b.read<2>(), C = c.read<2>();
    for (int i = 0; i < n; ++i)
        for (int j = 0; j < n; ++j) {
            double exact = 0;
            for (int k = 0; k < n; ++k) exact += double(A(i, k)) * double(B(k, j));
            const double error = std::abs(C(i, j) - exact);
            if (std::isnan(error) || error > result.worst) result.worst = error;  // a NaN stays
        }
    return result;
}

bool mentions(const std::string& message, const std::string& part) { return message.find(part) != message.npos; }

}  // namespace

int main() {
    constexpr int n = 40;  // not a multiple of 16

    std::printf("1. A race: the barrier after the product is missing.\n\n");
    const Result race = run<Fault::race>(n);
    std::printf("%s\n\nThe largest error of a number of C is %.1f.\n\n", race.error.c_str(), race.worst);

    std::printf("2. A missing barrier: threads outside of C return early.\n\n");
    const Result barrier = run<Fault::missing_barrier>(n);
    std::printf("%s\n\n", barrier.error.c_str());

    std::printf("3. Uncoalesced: right, but each warp asks for more sectors than its numbers need.\n\n");
    const Result strided = run<Fault::uncoalesced>(n);
    const Result right = run<Fault::none>(n);
    std::printf("%s\n", emulator::table_of({strided.counts, right.counts}).c_str());
    std::printf(
        "A request is one instruction of a warp, of 32 lanes.\n"
        "  load, store        sectors of 32 bytes that were moved from and to device memory\n"
        "  sectors/least      these sectors, divided by the fewest that could hold the bytes asked for: 1 is ideal\n"
        "  passes/request     through shared memory: 1 is ideal, each conflict of banks takes one more. With x as the\n"
        "                     row, the lanes of a warp write down a column of the tile, 16 words apart: four of\n"
        "                     the 32 banks hold them all\n"
        "  active lanes       that took part in a request, on average\n"
        "  partial            requests in which not all lanes of the warp took part: branches, edges\n"
        "  divergent          the same of basic blocks, the stretches of code between branches\n"
        "  active threads     of a warp that ran such a block, on average\n"
        "  -                  in these two: not counted, for want of -fsanitize-coverage=trace-pc\n\n");

    std::printf("4. The kernel without a fault: largest error %.1e\n", right.worst);

    const bool found = mentions(race.error, "race on shared memory") &&
                       mentions(barrier.error, "waiting at the barrier") && strided.error.empty() &&
                       right.error.empty() && strided.counts.sectors_per_least() > 2 * right.counts.sectors_per_least();
    // Numbers of at most 1: 40 sums of at most 40, each rounded by at most 2^-24 of itself, and the products.
    const bool exact = right.worst < 1e-4 && strided.worst < 1e-4 && race.worst > 0.1;
    if (!found || !exact) std::printf("a planted fault was not found or did no harm, or the product is wrong\n");
    return found && exact ? 0 : 1;
}
