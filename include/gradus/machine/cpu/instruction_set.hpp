// machine/cpu/instruction_set.hpp   What the program was compiled for, and what the machine could do.
#pragma once

#include <string>

#include "gradus/core/abi.hpp"

namespace gradus::inline GRADUS_ABI {

#define GRADUS_QUOTE_NAME(name) #name
#define GRADUS_QUOTE(name) GRADUS_QUOTE_NAME(name)

// "avx512", "avx2", "avx", "sse2", "neon" or "portable": the vectors of this translation unit (core/abi.hpp).
inline std::string instruction_set() { return GRADUS_QUOTE(GRADUS_ISA); }

// A sentence for the user where training will be slow, "" where it will not.
inline std::string instruction_set_warning() {
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2"))
        return "warning: this machine has no AVX2; training will be several times slower";
#if defined(__CUDACC__)
    const std::string flag = "-Xcompiler -march=native";  // nvcc itself refuses g++'s flag
#else
    const std::string flag = "-march=native";
#endif
    if (instruction_set() == "sse2" || instruction_set() == "avx")
        return "warning: this program was built without AVX2; add " + flag + " to make it several times faster";
#endif
    return "";
}

}  // namespace gradus::inline GRADUS_ABI
