// core/device.hpp   The devices, as tags: Tensor<float, Cpu>.
//     Reference   the specification: the shortest loops that say what an operation means. Runs anywhere, slowly.
//     Cpu         the fast twin: vectors, threads, cache blocking.
//     Cuda        a GPU, in a program that nvcc compiles; with -DGRADUS_EMULATE_CUDA the emulator. Elsewhere there is
//                 no such name, and nothing of CUDA is included.
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
#if defined(__CUDACC__) || defined(GRADUS_EMULATE_CUDA)
struct Cuda {
    static constexpr const char* name = "cuda";
};
#endif

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
#if defined(__CUDACC__) || defined(GRADUS_EMULATE_CUDA)
    if (name == Cuda::name) return run(Cuda{});
    fail(text("device: there is no '", name, "', choose cuda, cpu or reference"));
#else
    if (name == "cuda")
        fail("device: 'cuda' is not in this build; compile with nvcc, or with -DGRADUS_EMULATE_CUDA for the emulator");
    fail(text("device: there is no '", name, "', choose cpu or reference"));
#endif
}

}  // namespace gradus::inline GRADUS_ABI
