// Fibers: locals and floating-point values survive a switch, exceptions stay in their fiber, stacks are used again.
#include "gradus/machine/emulator/fiber.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <stdexcept>
#include <string>

#include "gradus/machine/cuda/launch.hpp"
#include "gradus/machine/emulator/fiber_stack.hpp"

using namespace gradus;
using namespace gradus::emulator;

namespace {

// Two fibers that hand over to the test and back. What they do stands in `log`.
Fiber test_fiber, first_fiber, second_fiber, grave;
std::string log_text;

void first() {
    enter_fiber(test_fiber);
    double sum = 0.0;
    int kept[64];
    for (int i = 0; i < 64; ++i) kept[i] = i;
    for (int i = 0; i < 3; ++i) {
        sum += std::sqrt(static_cast<double>(i));
        log_text += 'a';
        switch_fiber(first_fiber, second_fiber);
    }
    int total = 0;
    for (int i = 0; i < 64; ++i) total += kept[i];
    log_text += total == 2016 && std::fabs(sum - 2.414213562) < 1e-8 ? "good" : "bad";
    leave_fiber(grave, test_fiber);
}

void second() {
    enter_fiber(test_fiber);
    for (;;) {
        try {
            throw std::runtime_error("b");
        } catch (const std::exception& error) {
            log_text += error.what();
        }
        switch_fiber(second_fiber, first_fiber);
    }
}

}  // namespace

TEST_CASE("two fibers take turns") {
    FiberStacks stacks(64 * 1024);
    prepare_fiber(first_fiber, stacks.take(), first);
    prepare_fiber(second_fiber, stacks.take(), second);
    log_text.clear();
    switch_fiber(test_fiber, first_fiber);
    CHECK(log_text == "abababgood");
}

TEST_CASE("a stack that was given back is taken next, and guard pages are known") {
    FiberStacks stacks(64 * 1024);
    FiberStack* const one = stacks.take();
    FiberStack* const two = stacks.take();
    CHECK(one != two);
    stacks.give_back(one);
    CHECK(stacks.take() == one);
    char* const bottom = static_cast<char*>(one->bottom);
    CHECK(stacks.is_guard(bottom - 1));
    CHECK(!stacks.is_guard(bottom));
    CHECK(!stacks.is_guard(bottom + one->bytes - 1));
    CHECK(!stacks.is_guard(&stacks));
    CHECK(one->top > reinterpret_cast<std::uintptr_t>(bottom));
    CHECK(one->top <= reinterpret_cast<std::uintptr_t>(bottom) + one->bytes);
}

TEST_CASE("hundreds of stacks at once, all different and apart") {
    FiberStacks stacks(32 * 1024);
    std::vector<FiberStack*> taken;
    for (int i = 0; i < 300; ++i) taken.push_back(stacks.take());
    bool good = true;
    for (std::size_t i = 0; i < taken.size(); ++i) {
        static_cast<char*>(taken[i]->bottom)[0] = 1;  // writable down to the guard page
        for (std::size_t j = 0; j < i; ++j) {
            const auto a = reinterpret_cast<std::uintptr_t>(taken[i]->bottom);
            const auto b = reinterpret_cast<std::uintptr_t>(taken[j]->bottom);
            good = good && (a > b ? a - b : b - a) >= 36 * 1024;
        }
    }
    CHECK(good);
}
