#include "gradus/machine/cuda/find_first.hpp"

#include <vector>

#include "machine/emulator/emulator_checks.hpp"

using namespace gradus;

namespace {

struct IsAbove {
    const float* x;
    float limit;
    __device__ bool operator()(Index i) const { return x[i] > limit; }
};

}  // namespace

TEST_CASE("the first of several, whichever thread is faster; none; no elements") {
    const Index count = Index{9} * multiprocessors() * stride_threads;  // some threads look at two
    std::vector<float> values(static_cast<std::size_t>(count), 1.0f);
    for (std::size_t i = 700; i < values.size(); i += 300) values[i] = 2;
    values.back() = 3;
    const DeviceArray<float> x(values);
    in_every_order([&] {
        CHECK(find_first(count, IsAbove{x.data(), 1}) == 700);
        CHECK(find_first(count, IsAbove{x.data(), 2}) == count - 1);
        CHECK(find_first(count, IsAbove{x.data(), 3}) == count);
        CHECK(find_first(0, IsAbove{x.data(), 0}) == 0);
    });
    CHECK(element_on_host(x.data() + 700) == 2);
}
