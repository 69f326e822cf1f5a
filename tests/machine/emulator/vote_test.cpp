// Votes and matches against their definitions.
#include "gradus/machine/emulator/vote.hpp"

#include "emulator_checks.hpp"

using namespace gradus;

namespace {

constexpr unsigned odd_lanes = 0xaaaaaaaau;

struct VoteResult {
    unsigned ballot;
    int any, all;
    unsigned equal, all_equal;
    int same;
};

template <class T>
__global__ void vote_kernel(const int* predicate, const T* value, VoteResult* results) {
    const unsigned t = threadIdx.x;
    if (t % 2 == 0) return;
    VoteResult result{};
    result.ballot = __ballot_sync(odd_lanes, predicate[t]);
    result.any = __any_sync(odd_lanes, predicate[t]);
    result.all = __all_sync(odd_lanes, predicate[t]);
    result.equal = __match_any_sync(odd_lanes, value[t]);
    result.all_equal = __match_all_sync(odd_lanes, value[t], &result.same);
    results[t] = result;
}

template <int>
__global__ void reduce_kernel(const int* x, int* out) {
    const unsigned t = threadIdx.x;
    if (t % 2 == 0) return;
    const unsigned u = static_cast<unsigned>(x[t]);
    out[0] = __reduce_add_sync(odd_lanes, x[t]);
    out[1] = __reduce_min_sync(odd_lanes, x[t]);
    out[2] = __reduce_max_sync(odd_lanes, x[t]);
    out[3] = static_cast<int>(__reduce_add_sync(odd_lanes, u));
    out[4] = static_cast<int>(__reduce_min_sync(odd_lanes, u));
    out[5] = static_cast<int>(__reduce_max_sync(odd_lanes, u));
    out[6] = static_cast<int>(__reduce_and_sync(odd_lanes, u));
    out[7] = static_cast<int>(__reduce_or_sync(odd_lanes, u));
    out[8] = static_cast<int>(__reduce_xor_sync(odd_lanes, u));
}

template <class T>
void check_votes(const std::vector<int>& predicate, const std::vector<T>& value) {
    const DeviceArray<int> p(predicate);
    const DeviceArray<T> v(value);
    const DeviceArray<VoteResult> results(32);
    launch(vote_kernel<T>, 1, 32, 0, nullptr, p.data(), v.data(), results.data());
    const std::vector<VoteResult> got = results.host();
    unsigned yes = 0;
    bool all_same = true, good = true;
    for (std::size_t t = 1; t < 32; t += 2) {
        if (predicate[t] != 0) yes |= 1u << t;
        all_same = all_same && value[t] == value[1];
    }
    for (std::size_t t = 1; t < 32; t += 2) {
        unsigned equal = 0;
        for (std::size_t u = 1; u < 32; u += 2)
            if (value[u] == value[t]) equal |= 1u << u;
        good = good && got[t].ballot == yes && got[t].any == (yes != 0) && got[t].all == (yes == odd_lanes);
        good =
            good && got[t].equal == equal && got[t].same == all_same && got[t].all_equal == (all_same ? odd_lanes : 0);
    }
    CHECK(good);
}

}  // namespace

TEST_CASE("ballot, any, all, match among some of the lanes") {
    in_every_order([] {
        std::vector<int> predicate(32);
        std::vector<double> value(32, 2.5);
        check_votes(predicate, value);
        predicate[2] = 1;  // not among those that vote
        check_votes(predicate, value);
        predicate[5] = -3;
        value[7] = 1.0;
        value[9] = 1.0;
        check_votes(predicate, value);
        check_votes(std::vector<int>(32, 1), std::vector<unsigned>(32, 9u));
    });
}

TEST_CASE("reductions of integers among some of the lanes, signed and unsigned") {
    std::vector<int> x(32);
    for (int t = 0; t < 32; ++t) x[static_cast<std::size_t>(t)] = 100 * t - 1000;
    int sum = 0, all = -1, some = 0, odd = 0;
    for (std::size_t t = 1; t < 32; t += 2) {
        sum += x[t];
        all &= x[t];
        some |= x[t];
        odd ^= x[t];
    }
    const DeviceArray<int> in(x), out(9);
    in_every_order([&] {
        launch(reduce_kernel<0>, 1, 32, 0, nullptr, in.data(), out.data());
        // As unsigned numbers the negative ones are the largest: the least is lane 11's 100, the greatest lane 9's
        // -100.
        CHECK(out.host() == std::vector<int>{sum, -900, 2100, sum, 100, -100, all, some, odd});
    });
}
