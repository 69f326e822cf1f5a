// core/device.hpp   The devices, as tags: Tensor<float, Cpu>.
//     Reference   the specification: the shortest loops that say what an operation means. Runs anywhere, slowly.
//     Cpu         the fast twin: vectors, threads, cache blocking.
// A kernel is a family of overloads on the tag: conv2d_forward(Reference{}, ...), conv2d_forward(Cpu{}, ...). A page
// calls conv2d_forward(Device{}, ...) and lets argument-dependent lookup find the twin, wherever it was included.
#pragma once

#include <concepts>
#include <string_view>

#include "gradus/core/check.hpp"

namespace gradus::inline GRADUS_ABI {

struct Reference {
    static constexpr const char* name = "reference";
};
struct Cpu {
    static constexpr const char* name = "cpu";
};

template <class D>
concept Device = requires {
    { D::name } -> std::convertible_to<std::string_view>;
};

// A device whose memory the program can read and write directly.
template <class D>
concept HostDevice = std::same_as<D, Reference> || std::same_as<D, Cpu>;

// Chooses the device once, at the top of a program:
//     with_device("cpu", [](auto device) { train<decltype(device)>(); });
template <class Run>
auto with_device(std::string_view name, Run&& run) {
    if (name == Cpu::name) return run(Cpu{});
    if (name == Reference::name) return run(Reference{});
    fail(text("device: there is no '", name, "', choose cpu or reference"));
}

}  // namespace gradus::inline GRADUS_ABI
