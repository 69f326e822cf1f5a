#include "gradus/normalization/channel_lanes_cpu.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "worst_difference.hpp"

using namespace gradus;

namespace {

// Counts how often every element is visited, and checks which channel it is said to belong to.
struct CountingKernel {
    static constexpr Index streams = 3;
    std::vector<int>* visits;
    bool* channels_are_right;
    Index channels;

    template <class V, int N>
    void columns(Index offset, Index count, Index stride, Index lane) const {
        for (Index m = 0; m < count; ++m)
            for (Index l = 0; l < N * lanes_of<V>; ++l) {
                const Index at = offset + m * stride + l;
                ++visits->at(static_cast<std::size_t>(at));
                if (at % channels != (lane + l) % channels) *channels_are_right = false;
            }
    }
};

template <class T>
void check_walk(Index M, Index C) {
    CAPTURE(M);
    CAPTURE(C);
    const ChannelPlan plan(M, C, std::is_same_v<T, float>, sizeof(T));
    std::vector<int> visits(static_cast<std::size_t>(M * C));
    bool channels_are_right = true;
    const CountingKernel kernel{&visits, &channels_are_right, C};
    for (Index block = 0; block < plan.blocks; ++block) {
        const Index begin = block * plan.block_rows;
        walk_channels<T>(plan, begin, std::min(M, begin + plan.block_rows), kernel);
    }
    bool once = true;
    for (const int count : visits) once = once && count == 1;
    CHECK(once);
    CHECK(channels_are_right);
    CHECK(plan.blocks <= 64);
    CHECK(plan.lanes == plan.repeat * C);
}

}  // namespace

TEST_CASE("a walk visits every element once, under its channel") {
    for (const Index C : {1, 3, 10, 16, 24, 64, 65, 130, 400, 513})
        for (const Index M : {0, 1, 2, 63, 64, 65, 20000}) {
            check_walk<float>(M, C);
            check_walk<double>(M, C);
        }
}

// What the kernels rely on: a walk of float never leaves a vector incomplete, except in rows wider than 4096 lanes.
TEST_CASE("lanes are whole vectors, whole strips where they are few, and not too many") {
    for (Index C = 1; C <= 2000; ++C) {
        const ChannelPlan plan(1000, C, true, sizeof(float));
        CHECK(plan.lanes <= 4096);
        CHECK((plan.lanes % vec_floats == 0 || C > 4096 / vec_floats));
        CHECK(plan.lanes >= std::min(C, Index{channel_strip} * vec_floats));
    }
    CHECK(ChannelPlan(1000, 16, true, sizeof(float)).lanes == std::max(16, channel_strip * vec_floats));
}

struct SummingKernel {
    static constexpr Index streams = 2;
    const float* x;
    float *sum, *squares;  // by lane

    template <class V, int N>
    void columns(Index offset, Index count, Index stride, Index lane) const {
        for (Index l = 0; l < N * lanes_of<V>; ++l)
            for (Index m = 0; m < count; ++m) {
                const float value = x[offset + m * stride + l];
                sum[lane + l] += value;
                squares[lane + l] += value * value;
            }
    }
};

// 2^24 is where float cannot count any further: the sums must have gone to double before.
TEST_CASE("channel sums over many rows are exact where float would not be") {
    for (const Index C : {1, 5, 64, 520}) {
        const Index M = 4000;
        const ChannelPlan plan(M, C, true, sizeof(float));
        std::vector<float> x(static_cast<std::size_t>(M * C + vec_floats));
        for (Index i = 0; i < M * C; ++i) x[static_cast<std::size_t>(i)] = static_cast<float>(4096 + i % C);
        ChannelSums<float> sums(plan);
        const SummingKernel kernel{x.data(), sums.recent_first(), sums.recent_second()};
        for (int again = 0; again < 2; ++again) sums.run(0, M, kernel);  // a second run starts from 0
        double worst = 0;
        for (Index c = 0; c < C; ++c) {
            const double value = static_cast<double>(4096 + c), count = static_cast<double>(M);
            CHECK(sums.first(c) == value * count);
            worst = worse(worst, std::abs(sums.second(c) / (value * value * count) - 1));
        }
        CHECK(worst <= 128 * 0x1p-24);
    }
}

TEST_CASE("lanes are spread from channels, and added back into them") {
    const ChannelPlan plan(100, 24, true, sizeof(float));
    LaneBuffer<float> lanes(plan);
    lanes.fill(0);
    for (Index c = 0; c < 24; ++c) lanes.data()[c] = static_cast<float>(c);
    lanes.spread_channels();
    CHECK(lanes.data()[plan.lanes - 1] == 23);
    CHECK(lanes.data()[24] == 0);
    lanes.add_repeats();
    CHECK(lanes.data()[23] == 23 * static_cast<float>(plan.repeat));
}
