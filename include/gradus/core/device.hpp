// core/device.hpp   The devices, as tags: Tensor<float, Cpu>.
//     Reference   the specification: the shortest loops that say what an operation means. Runs anywhere, slowly.
//     Cpu         the fast twin: vectors, threads, cache blocking.
//     Cuda        a GPU, in a program that nvcc compiles; with -DGRADUS_EMULATE_CUDA the emulator. Elsewhere there is
//                 no such name, and nothing of CUDA is included.
// A kernel is a family of overloads on the tag: conv2d_forward(Reference{}, ...), conv2d_forward(Cpu{}, ...). A page
// calls conv2d_forward(Device{}, ...) and lets argument-dependent lookup find the twin, wherever it was included.
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <vector>

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

// Whether work for this device is being recorded, to be done later and more than once (machine/cuda/cuda_graph.hpp).
template <HostDevice D>
bool is_capturing(D) {
    return false;
}

#if defined(__CUDACC__) || defined(GRADUS_EMULATE_CUDA)
inline constexpr bool has_cuda = true;
// Defined in machine/cuda/card.hpp: what is wrong with the card, "" if it can be used; and whether it is a real one.
std::string card_problem(Cuda);
bool is_emulated(Cuda);
#else
inline constexpr bool has_cuda = false;
#endif

// What with_device() understands in this build.
inline std::vector<std::string> device_names() {
    if (has_cuda) return {"auto", Cpu::name, Reference::name, "cuda"};
    return {"auto", Cpu::name, Reference::name};
}

// "auto" as the name of a device: a GPU if the program was compiled for one and there is one, else the CPU.
inline std::string resolve_device(const std::string& name) {
    if (name != "auto") return name;
#if defined(__CUDACC__) || defined(GRADUS_EMULATE_CUDA)
    if (!is_emulated(Cuda{}) && card_problem(Cuda{}).empty()) return Cuda::name;
#endif
    return Cpu::name;
}

// Chooses the device once, at the top of a program:
//     with_device("cpu", [](auto device) { train<decltype(device)>(); });
// Errors: a name that is none of device_names(); "cuda" where there is no GPU. Only "auto" falls back to another one.
template <class Run>
auto with_device(const std::string& wanted, Run&& run) {
    const std::string name = resolve_device(wanted);
    if (name == Cpu::name) return run(Cpu{});
    if (name == Reference::name) return run(Reference{});
#if defined(__CUDACC__) || defined(GRADUS_EMULATE_CUDA)
    if (name == Cuda::name) {
        const std::string problem = card_problem(Cuda{});
        GRADUS_CHECK(problem.empty(), "device: 'cuda' cannot be used: ", problem, "; choose cpu, or auto");
        return run(Cuda{});
    }
    fail(text("device: there is no '", name, "', choose auto, cuda, cpu or reference"));
#else
    if (name == "cuda")
        fail("device: 'cuda' is not in this build; compile with nvcc, or with -DGRADUS_EMULATE_CUDA for the emulator");
    fail(text("device: there is no '", name, "', choose auto, cpu or reference"));
#endif
}

}  // namespace gradus::inline GRADUS_ABI
