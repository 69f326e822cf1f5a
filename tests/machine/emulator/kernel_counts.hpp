// What the kernels of an operation asked of the memory, for tests that are linked with the race checker.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "gradus/machine/cuda/current_stream.hpp"
#include "gradus/machine/emulator/race_checker.hpp"

// One entry for each kernel that the body launches, in the order of the first launches.
template <class Body>
std::vector<gradus::emulator::KernelCounts> counts_of(const Body& body) {
    gradus::synchronize();
    gradus::emulator::take_kernel_counts();
    body();
    gradus::synchronize();
    return gradus::emulator::take_kernel_counts();
}

// Of a body that launches one kernel, whose name begins like this.
template <class Body>
gradus::emulator::KernelCounts counts_of_one(const std::string& name, const Body& body) {
    const std::vector<gradus::emulator::KernelCounts> counts = counts_of(body);
    REQUIRE(counts.size() == 1);
    INFO(gradus::emulator::table_of(counts));
    CHECK(counts[0].kernel.find("gradus::" + name) == 0);
    return counts[0];
}
