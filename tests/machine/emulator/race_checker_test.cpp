// The race checker: each planted fault is found, with both lines; correct kernels draw no report. Compiled with
// -fsanitize=thread and linked with racecheck.cpp.
#include "gradus/machine/emulator/race_checker.hpp"

#include "emulator_checks.hpp"
#include "gradus/machine/cuda/ptx.hpp"
#include "gradus/machine/emulator/program_places.hpp"
#include "gradus/machine/emulator/race_shadow.hpp"

using namespace gradus;

namespace {

constexpr int shared_race_line = __LINE__ + 6;
template <int>
__global__ void shared_race_kernel(float* x) {
    GRADUS_SHARED(float, s, [64]);
    const unsigned t = threadIdx.x;
    s[t] = x[t];
    x[t] = s[(t + 1) % 64];  // no barrier between
}

constexpr int late_write_line = __LINE__ + 8;
template <int>
__global__ void write_after_read_kernel(float* x) {
    GRADUS_SHARED(float, s, [64]);
    const unsigned t = threadIdx.x;
    s[t] = x[t];
    __syncthreads();
    const float v = s[(t + 1) % 64];
    s[t] = 2 * v;  // a neighbour may not have read yet
    __syncthreads();
    x[t] = s[t];
}

template <int>
__global__ void warp_race_kernel(float* x) {
    GRADUS_SHARED(float, s, [32]);
    const unsigned t = threadIdx.x;
    s[t] = x[t];
    __syncwarp();
    for (unsigned half = 16; half > 0; half /= 2)
        if (t < half) s[t] += s[t + half];  // needs __syncwarp between the steps
    if (t == 0) x[0] = s[0];
}

template <int>
__global__ void warp_sum_kernel(float* x) {
    GRADUS_SHARED(float, s, [32]);
    const unsigned t = threadIdx.x;
    s[t] = x[t];
    __syncwarp();
    for (unsigned half = 16; half > 0; half /= 2) {
        const float other = t < half ? s[t + half] : 0.0f;
        __syncwarp();
        if (t < half) s[t] += other;
        __syncwarp();
    }
    if (t == 0) x[0] = s[0];
}

// What lanes of a warp do together before each reads what its neighbour has written. Only __syncwarp orders memory.
enum class Together { syncwarp, shuffle, ballot, match, fragment };
template <int>
__global__ void neighbour_kernel(Together how, const Half* matrix, float* x) {
    GRADUS_SHARED(float, s, [32]);
    const unsigned t = threadIdx.x;
    nvcuda::wmma::fragment<nvcuda::wmma::matrix_a, 16, 16, 16, Half, nvcuda::wmma::row_major> a;
    s[t] = x[t];
    if (how == Together::syncwarp) __syncwarp();
    if (how == Together::shuffle) __shfl_xor_sync(0xffffffffu, 1.0f, 1);
    if (how == Together::ballot) __ballot_sync(0xffffffffu, 1);
    if (how == Together::match) __match_any_sync(0xffffffffu, 1);
    if (how == Together::fragment) nvcuda::wmma::load_matrix_sync(a, matrix, 16);
    x[t] = s[(t + 1) % 32];
}

template <int>
__global__ void sixteen_lanes_kernel(int* x, int width) {
    int sum = x[threadIdx.x];
    for (unsigned distance = 8; distance > 0; distance /= 2)
        if (threadIdx.x < 16) sum += __shfl_down_sync(0x0000ffffu, sum, distance, width);
    if (threadIdx.x == 0) x[0] = sum;
}

template <int>
__global__ void same_element_kernel(float* x) {
    x[(blockIdx.x * blockDim.x + threadIdx.x) / 2] = 1;
}
struct Row {
    float values[32];
};
template <int>
__global__ void same_row_kernel(const Row* x, Row* y, unsigned divisor) {
    y[threadIdx.x / divisor] = x[threadIdx.x];
}
// Each thread copies 256 bytes into shared memory; then its own or its neighbour's are read, or cleared.
template <int>
__global__ void memcpy_kernel(const Row* x, Row* y, unsigned distance, bool clears, std::size_t bytes) {
    GRADUS_SHARED(Row, rows, [64]);
    const unsigned t = threadIdx.x, other = (t + distance) % 32;
    std::memcpy(rows + 2 * t, x + 2 * t, bytes);
    if (clears)
        std::memset(rows + 2 * other, 0, bytes);
    else
        std::memmove(y + 2 * t, rows + 2 * other, bytes);
}
template <int>
__global__ void across_blocks_kernel(float* x) {
    x[threadIdx.x] += 1;
}
template <int>
__global__ void neighbour_half_kernel(Half* x) {  // different bytes of one word: no race
    x[threadIdx.x] = Half(1.0f);
    x[threadIdx.x] = Half(static_cast<float>(x[threadIdx.x]) + 1.0f);
}
template <int>
__global__ void next_half_kernel(Half* x, unsigned reader) {  // the reader writes the other half of the word itself
    GRADUS_SHARED(Half, s, [64]);
    s[threadIdx.x] = Half(1.0f);
    if (threadIdx.x == reader) x[0] = s[reader + 1];
}
template <int>
__global__ void plain_and_atomic_kernel(int* x) {
    if (threadIdx.x == 0) *x = 0;
    atomicAdd(x, 1);
}
// The thread that counts last in its block reads its own atomic, and those of others without a barrier.
template <int>
__global__ void count_and_read_kernel(int* x) {
    GRADUS_SHARED(int, count, [1]);
    if (threadIdx.x == 0) count[0] = 0;
    __syncthreads();
    atomicAdd(count, 1);
    if (threadIdx.x == 0) *x = count[0];
}
// A barrier of the block is none of the grid: the last block reads what others still add to.
template <int>
__global__ void total_kernel(int* total, int* x) {
    atomicAdd(total, 1);
    __syncthreads();
    if (blockIdx.x == gridDim.x - 1 && threadIdx.x == 0) *x = *total;
}
// Every block divides its numbers by the first of all, which the first block changes.
template <int>
__global__ void normalise_kernel(float* x) {
    const float first = x[0];
    __syncthreads();
    x[blockIdx.x * blockDim.x + threadIdx.x] /= first;
}
template <int>
__global__ void atomic_kernel(int* x) {
    atomicAdd(x, 1);
}

template <int>
__global__ void outside_buffer_kernel(float* x, int n) {
    const int i = static_cast<int>(threadIdx.x);
    if (i <= n) x[i] = 1;
}
template <int>
__global__ void outside_array_kernel(float* x) {
    GRADUS_SHARED(float, s, [64]);
    s[threadIdx.x + 1] = x[threadIdx.x];
}
template <int>
__global__ void outside_dynamic_kernel(float* x) {
    GRADUS_DYNAMIC_SHARED(float, s);
    s[threadIdx.x] = x[threadIdx.x];
}
template <int>
__global__ void unwritten_shared_kernel(float* x) {
    GRADUS_SHARED(float, s, [64]);
    if (threadIdx.x < 63) s[threadIdx.x] = 1;
    __syncthreads();
    x[threadIdx.x] = s[threadIdx.x];
}
template <int>
__global__ void copy_kernel(const float* x, float* y) {
    y[threadIdx.x] = x[threadIdx.x];
}
template <int>
__global__ void misaligned_kernel(float* x) {
    *reinterpret_cast<float4*>(x + 1) = make_float4(1, 2, 3, 4);
}
template <int>
__global__ void misaligned_word_kernel(float* x) {
    *reinterpret_cast<int*>(reinterpret_cast<char*>(x) + 1) = 1;
}

// Structs whose members are written one by one and which are then copied as a whole: bytes between members and behind
// the last one are nobody's, and a copy of 8 or 16 bytes at once asks for no more alignment than the struct has.
struct IntBehindDouble {
    double value;
    int index;
};
struct CharBehindFloat {
    float value;
    char index;
};
struct TwoWords {
    float value;
    int index;
};
template <class Item>
__global__ void largest_kernel(Item* result, unsigned without_members) {
    GRADUS_SHARED(Item, items, [64]);
    const unsigned t = threadIdx.x;
    if (t != without_members) {
        items[t].value = static_cast<float>(t * 37 % 64);
        items[t].index = static_cast<decltype(Item::index)>(t);
    }
    __syncthreads();
    Item mine = items[t ^ 32];
    __syncthreads();
    items[t] = mine;
    __syncthreads();
    for (unsigned half = 32; half > 0; half /= 2) {
        if (t < half && items[t].value < items[t + half].value) items[t] = items[t + half];
        __syncthreads();
    }
    if (t == 0) *result = items[0];
}

template <int>
__global__ void copy_without_barrier_kernel(const float* x, float* y) {
    GRADUS_SHARED_ALIGNED(16, float, tile, [128]);
    const unsigned t = threadIdx.x;
    cp_async<16>(tile + 4 * t, x + 4 * t);
    cp_async_commit();
    cp_async_wait<0>();  // waits for this thread's copies only
    y[t] = tile[127 - t];
}
template <class T>
__global__ void copy_without_wait_kernel(const T* x, T* y) {
    GRADUS_SHARED(T, tile, [32]);
    const unsigned t = threadIdx.x;
    cp_async<4>(tile + t, x + t);
    cp_async_commit();
    y[t] = tile[t];
    cp_async_wait<0>();
}
template <int>
__global__ void fragment_without_barrier_kernel(const Half* x, float* y) {
    using namespace nvcuda;
    GRADUS_SHARED_ALIGNED(32, Half, tile, [256]);
    for (unsigned i = threadIdx.x; i < 256; i += 64) tile[i] = x[i];
    wmma::fragment<wmma::matrix_a, 16, 16, 16, Half, wmma::row_major> a;
    wmma::load_matrix_sync(a, tile, 16);  // the other warp may not have written its part
    y[threadIdx.x] = static_cast<float>(a.x[0]);
}

// Correct kernels, one of each kind.
template <int Tile>
__global__ void matmul_kernel(const float* a, const float* b, float* c, int n) {
    GRADUS_SHARED(float, a_tile, [Tile][Tile]);
    GRADUS_SHARED(float, b_tile, [Tile][Tile]);
    const int x = static_cast<int>(threadIdx.x), y = static_cast<int>(threadIdx.y);
    const int row = static_cast<int>(blockIdx.y) * Tile + y, column = static_cast<int>(blockIdx.x) * Tile + x;
    float sum = 0;
    for (int k0 = 0; k0 < n; k0 += Tile) {
        a_tile[y][x] = a[row * n + k0 + x];
        b_tile[y][x] = b[(k0 + y) * n + column];
        __syncthreads();
        for (int k = 0; k < Tile; ++k) sum += a_tile[y][k] * b_tile[k][x];
        __syncthreads();
    }
    c[row * n + column] = sum;
}
template <int>
__global__ void last_block_kernel(int* partial, unsigned* tickets, int* total) {
    GRADUS_SHARED(bool, is_last, [1]);
    if (threadIdx.x == 0) partial[blockIdx.x] = 1;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) is_last[0] = atomicAdd(tickets, 1u) == gridDim.x - 1;
    __syncthreads();
    if (is_last[0]) {
        __threadfence();
        if (threadIdx.x == 0) {
            int sum = 0;
            for (unsigned b = 0; b < gridDim.x; ++b) sum += partial[b];
            *total = sum;
        }
    }
}
template <int>
__global__ void no_fence_kernel(int* partial, unsigned* tickets, int* total) {
    partial[blockIdx.x] = 1;
    if (atomicAdd(tickets, 1u) == gridDim.x - 1) {
        int sum = 0;
        for (unsigned b = 0; b < gridDim.x; ++b) sum += partial[b];
        *total = sum;
    }
}

enum class Fence { none, block, device };
__device__ inline void fence(Fence kind) {
    if (kind == Fence::block) __threadfence_block();
    if (kind == Fence::device) __threadfence();
}
// As last_block_kernel, one thread a block, with a choice of fences.
template <int>
__global__ void tickets_kernel(Fence before, Fence after, int* partial, unsigned* tickets, int* total) {
    partial[blockIdx.x] = 1;
    fence(before);
    if (atomicAdd(tickets, 1u) == gridDim.x - 1) {
        fence(after);
        int sum = 0;
        for (unsigned b = 0; b < gridDim.x; ++b) sum += partial[b];
        *total = sum;
    }
}
// Each block writes the same element between fences and atomics, but on a counter of its own.
template <int>
__global__ void two_counters_kernel(int* x, unsigned* counters) {
    atomicAdd(counters + blockIdx.x, 1u);
    __threadfence();
    *x = 1;
    __threadfence();
    atomicAdd(counters + blockIdx.x, 1u);
}
// Of one block: the warp whose lane 0 comes last adds what the lanes 0 of all warps have written.
template <int>
__global__ void last_warp_kernel(Fence before, Fence after, int* total) {
    GRADUS_SHARED(int, partial, [4]);
    GRADUS_SHARED(unsigned, tickets, [1]);
    if (threadIdx.x == 0) tickets[0] = 0;
    __syncthreads();
    if (threadIdx.x % 32 == 0) {
        partial[threadIdx.x / 32] = 1;
        fence(before);
        if (atomicAdd(tickets, 1u) == 3) {
            fence(after);
            *total = partial[0] + partial[1] + partial[2] + partial[3];
        }
    }
}

template <class Kernel, class... Arguments>
std::string found(Kernel kernel, dim3 grid, dim3 block, std::size_t shared_bytes, Arguments... arguments) {
    return message_of([&] { launch(kernel, grid, block, shared_bytes, nullptr, arguments...); });
}

}  // namespace

TEST_CASE("races within a block: who read, who wrote, and where") {
    in_every_order([] {
        const DeviceArray<float> x(64);
        const std::string message = found(shared_race_kernel<0>, 1, 64, 0, x.data());
        INFO(message);
        CHECK(contains(message, "shared_race_kernel<0>: the race checker found"));
        CHECK(contains(message, "; grid (1, 1, 1), block (64, 1, 1), 0 bytes of dynamic shared memory"));
        CHECK(contains(message, "race on shared memory, byte"));
        CHECK(contains(message, " of s"));
        CHECK(contains(message, "read by thread ("));
        CHECK(contains(message, "written by thread ("));
        CHECK(contains(message, "at " + line_of(__FILE__, shared_race_line - 1)));
        CHECK(contains(message, "at " + line_of(__FILE__, shared_race_line)));
        CHECK(contains(message, "nothing orders these two: __sync"));
        const std::string late = found(write_after_read_kernel<0>, 1, 64, 0, x.data());
        INFO(late);
        CHECK(contains(late, "race on shared memory"));
        CHECK(contains(late, "written by thread"));
        CHECK(contains(late, "at " + line_of(__FILE__, late_write_line)));
    });
}

TEST_CASE("lanes of a warp are ordered by __syncwarp alone") {
    in_every_order([] {
        const DeviceArray<float> x(32);
        const std::string in_warp = found(warp_race_kernel<0>, 1, 32, 0, x.data());
        CHECK(contains(in_warp, "race on shared memory"));
        CHECK(contains(in_warp, "nothing orders these two: __syncwarp() would, between them"));
        CHECK(found(warp_sum_kernel<0>, 1, 32, 0, x.data()) == "");
        const DeviceArray<Half> matrix(256);
        for (const Together how :
             {Together::syncwarp, Together::shuffle, Together::ballot, Together::match, Together::fragment}) {
            INFO("how: " << static_cast<int>(how));
            const std::string message = found(neighbour_kernel<0>, 1, 32, 0, how, matrix.data(), x.data());
            CHECK(contains(message, "race on shared memory") == (how != Together::syncwarp));
        }
    });
}

TEST_CASE("a shuffle that reads a lane outside of its mask") {
    in_every_order([] {
        const DeviceArray<int> x(32);
        const std::string message = found(sixteen_lanes_kernel<0>, 1, 32, 0, x.data(), 32);
        INFO(message);
        CHECK(contains(message, "found 1 fault"));
        CHECK(contains(message, "a shuffle: lane 8 reads lane 16, which takes no part"));
        CHECK(contains(message, "by thread (8, 0, 0) of block (0, 0, 0) at race_checker_test.cpp:"));
        CHECK(found(sixteen_lanes_kernel<0>, 1, 32, 0, x.data(), 16) == "");
    });
}

TEST_CASE("races in device memory: in a block, across blocks, between plain and atomic accesses") {
    in_every_order([] {
        const DeviceArray<float> x(128);
        const DeviceArray<int> count(1);
        const DeviceArray<Half> halves(64);
        CHECK(contains(found(same_element_kernel<0>, 1, 64, 0, x.data()), "race on device memory, byte"));
        const std::string across_blocks = found(across_blocks_kernel<0>, 2, 64, 0, x.data());
        CHECK(contains(across_blocks, "of a buffer of 512 bytes"));
        CHECK(contains(across_blocks, "blocks of one launch are ordered by fences with atomics, or not at all"));
        CHECK(found(across_blocks_kernel<0>, 1, 64, 0, x.data()) == "");
        CHECK(found(neighbour_half_kernel<0>, 1, 64, 0, halves.data()) == "");
        for (const unsigned reader : {0u, 1u})
            CHECK(contains(found(next_half_kernel<0>, 1, 64, 0, halves.data(), reader), "race on shared memory"));
        CHECK(contains(found(plain_and_atomic_kernel<0>, 1, 64, 0, count.data()), "race on device memory"));
        CHECK(found(atomic_kernel<0>, 3, 64, 0, count.data()) == "");
    });
}

TEST_CASE("what a thread, a warp or a block did last does not hide what others did before") {
    in_every_order([] {
        const DeviceArray<int> total(1), x(1);
        const DeviceArray<float> numbers(std::vector<float>(128, 2.0f));
        CHECK(contains(found(count_and_read_kernel<0>, 1, 64, 0, x.data()), "race on shared memory"));
        CHECK(contains(found(total_kernel<0>, 3, 64, 0, total.data(), x.data()), "race on device memory"));
        CHECK(found(total_kernel<0>, 1, 64, 0, total.data(), x.data()) == "");
        CHECK(contains(found(normalise_kernel<0>, 2, 64, 0, numbers.data()), "race on device memory"));
        CHECK(found(normalise_kernel<0>, 1, 64, 0, numbers.data()) == "");
    });
}

TEST_CASE("copies of structs and of whole ranges are accesses too") {
    in_every_order([] {
        const DeviceArray<Row> x(64), y(64);
        CHECK(contains(found(same_row_kernel<0>, 1, 64, 0, x.data(), y.data(), 2u), "race on device memory"));
        CHECK(found(same_row_kernel<0>, 1, 64, 0, x.data(), y.data(), 1u) == "");
        for (const bool clears : {false, true}) {
            CHECK(found(memcpy_kernel<0>, 1, 32, 0, x.data(), y.data(), 0u, clears, 2 * sizeof(Row)) == "");
            const std::string message =
                found(memcpy_kernel<0>, 1, 32, 0, x.data(), y.data(), 1u, clears, 2 * sizeof(Row));
            INFO(message);
            CHECK(contains(message, "race on shared memory"));
            CHECK(contains(message, "at race_checker_test.cpp:"));
        }
    });
}

template <class Item>
void check_largest() {
    const DeviceArray<Item> result(1);
    CHECK(found(largest_kernel<Item>, 1, 64, 0, result.data(), 64u) == "");
    CHECK(result.host()[0].value == 63);
    CHECK(
        contains(found(largest_kernel<Item>, 1, 64, 0, result.data(), 17u), "read of memory that nobody has written"));
}
TEST_CASE("structs are copied with the gaps between their members, and aligned as these are") {
    in_every_order([] {
        check_largest<TwoWords>();
        check_largest<IntBehindDouble>();
        check_largest<CharBehindFloat>();
    });
}

TEST_CASE("out of bounds of buffers and of arrays, and misaligned") {
    in_every_order([] {
        const DeviceArray<float> x(64);
        CHECK(contains(found(outside_buffer_kernel<0>, 1, 128, 0, x.data(), 64),
                       "out of bounds on device memory, byte 256 of a buffer of 256 bytes"));
        CHECK(contains(found(outside_buffer_kernel<0>, 1, 1, 0, x.data() - 1, 64),
                       "out of bounds on device memory, byte -4 of a buffer of 256 bytes"));
        CHECK(found(outside_buffer_kernel<0>, 1, 128, 0, x.data(), 63) == "");
        CHECK(contains(found(outside_array_kernel<0>, 1, 64, 0, x.data()),
                       "out of bounds on shared memory, byte 256 of s, which has 256 bytes"));
        CHECK(contains(found(outside_dynamic_kernel<0>, 1, 64, 63 * 4, x.data()),
                       "out of bounds on shared memory, byte 252 of dynamic shared memory, which has 252 bytes"));
        CHECK(found(outside_dynamic_kernel<0>, 1, 64, 64 * 4, x.data()) == "");
        CHECK(contains(found(misaligned_kernel<0>, 1, 1, 0, x.data()), "misaligned access"));
        CHECK(contains(found(misaligned_word_kernel<0>, 1, 1, 0, x.data()), "misaligned access"));
        float* freed = nullptr;
        REQUIRE(cudaMalloc(&freed, 1024) == cudaSuccess);
        cudaFree(freed);
        CHECK(contains(found(outside_buffer_kernel<0>, 1, 64, 0, freed, 63), "in a buffer that was freed"));
    });
}

TEST_CASE("reads of what nobody has written") {
    in_every_order([] {
        const DeviceArray<float> y(64);
        CHECK(contains(found(unwritten_shared_kernel<0>, 2, 64, 0, y.data()),
                       "read of memory that nobody has written on shared memory, byte 252 of s"));
        float* x = nullptr;
        REQUIRE(cudaMalloc(&x, 64 * sizeof(float)) == cudaSuccess);
        CHECK(contains(found(copy_kernel<0>, 1, 64, 0, x, y.data()), "nobody has written on device memory"));
        cudaMemset(x, 0, 64 * sizeof(float));
        CHECK(found(copy_kernel<0>, 1, 64, 0, x, y.data()) == "");
        cudaFree(x);
    });
}

TEST_CASE("asynchronous copies and fragments are accesses like others") {
    in_every_order([] {
        const DeviceArray<float> x(128), y(64);
        const DeviceArray<Half> h(256);
        CHECK(contains(found(copy_without_barrier_kernel<0>, 1, 32, 0, x.data(), y.data()), "race on shared memory"));
        const DeviceArray<int> from(32), to(32);
        CHECK(contains(found(copy_without_wait_kernel<int>, 1, 32, 0, from.data(), to.data()),
                       "read of memory that nobody has written on shared memory"));
        const std::string message = found(fragment_without_barrier_kernel<0>, 1, 64, 0, h.data(), y.data());
        INFO(message);
        CHECK(contains(message, "race on shared memory"));
        CHECK(contains(message, "read by thread"));
    });
}

TEST_CASE("fences and atomics order blocks") {
    in_every_order([] {
        const DeviceArray<int> partial(8), total(1);
        const DeviceArray<unsigned> tickets(1);
        CHECK(found(last_block_kernel<0>, 8, 32, 0, partial.data(), tickets.data(), total.data()) == "");
        CHECK(total.host()[0] == 8);
        cudaMemset(tickets.data(), 0, 4);
        CHECK(contains(found(no_fence_kernel<0>, 8, 1, 0, partial.data(), tickets.data(), total.data()),
                       "race on device memory"));
    });
}

TEST_CASE("a fence of the block orders the block only, and threads meet in the same counter only") {
    in_every_order([] {
        const DeviceArray<int> partial(8), total(1), x(1);
        const DeviceArray<unsigned> tickets(2);
        for (const Fence before : {Fence::none, Fence::block, Fence::device})
            for (const Fence after : {Fence::none, Fence::block, Fence::device}) {
                INFO("before " << static_cast<int>(before) << ", after " << static_cast<int>(after));
                cudaMemset(tickets.data(), 0, 8);
                const bool orders_blocks = before == Fence::device && after == Fence::device;
                const std::string of_blocks =
                    found(tickets_kernel<0>, 8, 1, 0, before, after, partial.data(), tickets.data(), total.data());
                CHECK(contains(of_blocks, "race on device memory") == !orders_blocks);
                const bool orders_warps = before != Fence::none && after != Fence::none;
                const std::string of_warps = found(last_warp_kernel<0>, 1, 128, 0, before, after, total.data());
                CHECK(contains(of_warps, "race on shared memory") == !orders_warps);
                CHECK((of_warps == "") == orders_warps);
            }
        const std::string unrelated = found(two_counters_kernel<0>, 2, 1, 0, x.data(), tickets.data());
        CHECK(contains(unrelated, "race on device memory"));
    });
}

TEST_CASE("a correct kernel draws no report, and its faults are counted anew in each launch") {
    in_every_order([] {
        const DeviceArray<float> a(32 * 32), b(32 * 32), c(32 * 32);
        CHECK(found(matmul_kernel<16>, dim3(2, 2), dim3(16, 16), 0, a.data(), b.data(), c.data(), 32) == "");
        CHECK(found(matmul_kernel<8>, dim3(4, 4), dim3(8, 8), 0, a.data(), b.data(), c.data(), 32) == "");
    });
}

TEST_CASE("places: an instruction or a site, as a number") {
    emulator::ProgramPlaces places;
    const std::uint32_t one = places.of_site({"a/b.cuh", 7}), two = places.of_site({"a/b.cuh", 8});
    CHECK(one != two);
    CHECK(places.describe(one) == "b.cuh:7");
    CHECK(places.describe(places.of_instruction(nullptr)) != "");
}
