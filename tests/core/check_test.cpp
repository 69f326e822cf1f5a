#include "gradus/core/check.hpp"

#include <doctest/doctest.h>

#include "gradus/core/device.hpp"
#include "gradus/core/element.hpp"
#include "gradus/core/mutex.hpp"
#include "gradus/core/shape.hpp"
#include "gradus/core/storage.hpp"
#include "gradus/core/trace.hpp"

using namespace gradus;

TEST_CASE("a message joins its parts") {
    CHECK(text("a", 'b', std::string("c"), 3, -1L, true, 0.5, std::array<int, 2>{4, 5}) == "abc3-1true0.5(4, 5)");
    CHECK(text() == "");
    CHECK(text(1e-7f) == "1.00000001e-07");
}

TEST_CASE("a failed check says where in the network it happened") {
    const auto fails = [] { GRADUS_CHECK(1 > 2, "conv2d: input has ", 1, " channel, weight expects ", 3); };
    CHECK_THROWS_WITH_AS(fails(), "conv2d: input has 1 channel, weight expects 3", Error);
    const LayerScope root(""), stage("layer2"), block("0"), layer("conv1");
    CHECK_THROWS_WITH_AS(fails(), "conv2d (layer2.0.conv1): input has 1 channel, weight expects 3", Error);
}

TEST_CASE("parts of a check that holds are not evaluated") {
    int evaluated = 0;
    const auto part = [&] { return ++evaluated; };
    GRADUS_CHECK(true, "never: ", part());
    CHECK(evaluated == 0);
}

TEST_CASE("the layer's path is that of the open scopes") {
    CHECK(layer_path() == "");
    {
        const LayerScope outer("features");
        const LayerScope inner("3");
        CHECK(layer_path() == "features.3");
    }
    CHECK(layer_path() == "");
}

TEST_CASE("operation scopes nest and call the profiler's hooks") {
    static std::string events;
    events = "";
    trace_state().begin = [](const char* name) { events += text("+", name, " "); };
    trace_state().end = [](const char* name) { events += text("-", name, " "); };
    {
        const OperationScope outer("linear");
        CHECK(std::string(trace_state().operation) == "linear");
        {
            const OperationScope inner("matmul");
            CHECK(std::string(trace_state().operation) == "matmul");
        }
        CHECK(std::string(trace_state().operation) == "linear");
    }
    CHECK(std::string(trace_state().operation) == "");
    trace_state().begin = nullptr;
    trace_state().end = nullptr;
    CHECK(events == "+linear +matmul -matmul -linear ");
}

TEST_CASE("a program chooses its device by name") {
    CHECK(with_device("cpu", [](auto device) { return std::string(decltype(device)::name); }) == "cpu");
    CHECK(with_device("reference", [](auto device) { return std::string(decltype(device)::name); }) == "reference");
    CHECK(with_device("auto", [](auto device) { return std::string(decltype(device)::name); }) == "cpu");
    CHECK(device_names() == std::vector<std::string>{"auto", "cpu", "reference"});
    CHECK_THROWS_WITH_AS(with_device("gpu", [](auto) { return 0; }),
                         "device: there is no 'gpu', choose auto, cpu or reference", Error);
    CHECK_THROWS_WITH_AS(with_device("cuda", [](auto) { return 0; }),
                         "device: 'cuda' is not in this build; compile with nvcc, or with -DGRADUS_EMULATE_CUDA for "
                         "the emulator",
                         Error);
}

TEST_CASE("elements and what their sums are computed in") {
    static_assert(std::is_same_v<Sum<double>, double> && std::is_same_v<Sum<float>, float>);
    static_assert(std::is_same_v<Sum<Half>, float> && std::is_same_v<Sum<BFloat16>, float>);
    static_assert(FloatingElement<Half> && !FloatingElement<std::int64_t> && Element<std::uint8_t> && !Element<int>);
    CHECK(std::string(element_name<BFloat16>()) == "BFloat16");
    CHECK(std::string(element_name<std::int64_t>()) == "int64");
}

TEST_CASE("storage counts its writes") {
    Storage<Cpu> storage(16);
    CHECK(storage.bytes() == 16);
    CHECK(storage.version() == 0);
    storage.bump_version();
    CHECK(storage.version() == 1);
}
