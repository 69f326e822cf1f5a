#include "gradus/machine/cuda/run.hpp"

#include <vector>

#include "machine/emulator/emulator_checks.hpp"

using namespace gradus;

namespace {

// y += 2 x, in runs of N.
template <int N, class T>
__global__ void add_twice_kernel(const T* x, T* y, int runs) {
    const int i = static_cast<int>(threadIdx.x) * N;
    if (i >= runs * N) return;
    Sum<T> v[N];
    load_run(x + i, v);
    for (int k = 0; k < N; ++k) v[k] *= 2;
    put_run(y + i, v, Write::add);
}

// From `offset` elements into the memory on, aligned or not; what lies before and behind stays.
template <int N, class T>
void check_runs() {
    const std::size_t runs = 5, most_offset = 3;
    std::vector<T> x, y;
    for (std::size_t i = 0; i < runs * N + 2 * most_offset; ++i) {
        x.push_back(static_cast<T>(static_cast<float>(i)));
        y.push_back(static_cast<T>(100.0f));
    }
    for (std::size_t offset = 0; offset <= most_offset; ++offset) {
        const DeviceArray<T> on_card(x), sums(y);
        launch(add_twice_kernel<N, T>, 1, 32, 0, nullptr, on_card.data() + offset, sums.data() + offset,
               static_cast<int>(runs));
        const std::vector<T> result = sums.host();
        for (std::size_t i = 0; i < result.size(); ++i) {
            const bool inside = i >= offset && i < offset + runs * N;
            CHECK(static_cast<float>(result[i]) == (inside ? 100.0f + 2 * static_cast<float>(i) : 100.0f));
        }
    }
}

}  // namespace

TEST_CASE("runs of one element, of a pack, and of a pack of shorter elements") {
    check_runs<1, float>();
    check_runs<4, float>();
    check_runs<8, float>();  // next to 8 halves
    check_runs<8, Half>();
    check_runs<1, Half>();
    check_runs<8, BFloat16>();
    check_runs<2, double>();
    check_runs<2, float>();  // words of 8 and of 4 bytes
    check_runs<4, Half>();
    check_runs<2, BFloat16>();
}

TEST_CASE("rows that are whole packs are walked in packs") {
    CHECK(run_length<float>(8) == 4);
    CHECK(run_length<float>(10) == 1);
    CHECK(run_length<Half>(8) == 8);
    CHECK(run_length<Half>(12) == 1);
    CHECK(run_length<double>(10) == 2);
}

TEST_CASE("the longest words that fit into a row and to the memory") {
    alignas(16) static Half memory[16] = {};
    const auto length = [](Index row, const Half* x, const Half* y) {
        int found = 0;
        with_run_length<Half>(row, {x, y}, [&](auto n) { found = decltype(n)::value; });
        return found;
    };
    CHECK(length(16, memory, memory + 8) == 8);
    CHECK(length(100, memory, memory) == 4);
    CHECK(length(10, memory, memory) == 2);
    CHECK(length(7, memory, memory) == 1);
    CHECK(length(16, memory, memory + 4) == 4);
    CHECK(length(16, memory + 2, memory) == 2);
    CHECK(length(16, memory + 1, memory) == 1);
}
