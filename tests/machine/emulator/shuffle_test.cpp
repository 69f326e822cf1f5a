// The four shuffles against their definitions, for every width and the sizes of value that they take.
#include "gradus/machine/emulator/shuffle.hpp"

#include <cmath>

#include "emulator_checks.hpp"

using namespace gradus;

namespace {

enum class Kind { from, exclusive_or, down, up };

template <class T>
__global__ void shuffle_kernel(Kind kind, int argument, int width, T* out) {
    const unsigned t = threadIdx.x;
    const T mine = static_cast<T>(1000 + t);
    T got = 0;
    if (kind == Kind::from) got = __shfl_sync(0xffffffffu, mine, argument, width);
    if (kind == Kind::exclusive_or) got = __shfl_xor_sync(0xffffffffu, mine, argument, width);
    if (kind == Kind::down) got = __shfl_down_sync(0xffffffffu, mine, static_cast<unsigned>(argument), width);
    if (kind == Kind::up) got = __shfl_up_sync(0xffffffffu, mine, static_cast<unsigned>(argument), width);
    out[t] = got;
}

int source_lane(Kind kind, int lane, int argument, int width) {
    const int first = lane / width * width;
    switch (kind) {
        case Kind::from:
            return first + (argument % width + width) % width;
        case Kind::exclusive_or:
            return ((lane ^ argument) / width * width) > first ? lane : lane ^ argument;
        case Kind::down:
            return lane + argument >= first + width ? lane : lane + argument;
        case Kind::up:
            return lane - argument < first ? lane : lane - argument;
    }
    return -1;
}

template <class T>
void check_all() {
    const DeviceArray<T> out(64);
    bool good = true;
    for (const Kind kind : {Kind::from, Kind::exclusive_or, Kind::down, Kind::up})
        for (const int width : {2, 4, 8, 16, 32})
            for (const int argument : {0, 1, 2, 3, 5, 16, 31}) {
                launch(shuffle_kernel<T>, 1, 64, 0, nullptr, kind, argument, width, out.data());
                const std::vector<T> got = out.host();
                for (int t = 0; t < 64; ++t) {
                    const int want = t / 32 * 32 + source_lane(kind, t % 32, argument, width);
                    good = good && got[static_cast<std::size_t>(t)] == static_cast<T>(1000 + want);
                }
            }
    CHECK(good);
}

template <class T>
__global__ void reduce_kernel(const T* x, T* sums) {
    T sum = x[threadIdx.x];
    for (int offset = 16; offset > 0; offset /= 2)
        sum += __shfl_down_sync(0xffffffffu, sum, static_cast<unsigned>(offset));
    if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = sum;
}

template <int>
__global__ void inactive_source_kernel(float* out) {
    if (threadIdx.x < 16) out[threadIdx.x] = __shfl_sync(0x0000ffffu, 1.0f, 20);
}

}  // namespace

TEST_CASE("each kind, width and distance") {
    in_every_order([] {
        check_all<int>();
        check_all<unsigned>();
        check_all<long long>();
        check_all<float>();
        check_all<double>();
    });
}

TEST_CASE("a warp sums with shuffles") {
    std::vector<double> x(64, 0.5);
    const DeviceArray<double> dx(x), sums(2);
    in_every_order([&] {
        launch(reduce_kernel<double>, 1, 64, 0, nullptr, dx.data(), sums.data());
        CHECK(sums.host() == std::vector<double>{16, 16});
    });
}

TEST_CASE("a width that is no power of two up to 32 is an error") {
    const DeviceArray<int> out(32);
    for (const Kind kind : {Kind::from, Kind::exclusive_or, Kind::down, Kind::up})
        for (const int width : {12, 0, 64, -2}) {
            const std::string message =
                message_of([&] { launch(shuffle_kernel<int>, 1, 32, 0, nullptr, kind, 1, width, out.data()); });
            INFO(message);
            CHECK(contains(message, "_sync at shuffle_test.cpp:"));
            CHECK(contains(message, "width " + std::to_string(width) + " is no power of two from 1 to 32"));
        }
    CHECK(message_of([&] { launch(shuffle_kernel<int>, 1, 32, 0, nullptr, Kind::up, 1, 1, out.data()); }) == "");
}

TEST_CASE("the value of a lane outside the mask is NaN") {
    const DeviceArray<float> out(16);
    launch(inactive_source_kernel<0>, 1, 32, 0, nullptr, out.data());
    CHECK(std::isnan(out.host()[7]));
}
