#include "gradus/normalization/channel_lanes_cpu.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace gradus;

namespace {

// Counts how often every element is visited, and checks which channel it is said to belong to.
struct CountingKernel {
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
    for (const Index C : {1, 3, 10, 16, 24, 64, 65, 130})
        for (const Index M : {0, 1, 2, 63, 64, 65, 20000}) {
            check_walk<float>(M, C);
            check_walk<double>(M, C);
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
