// machine/emulator/site.hpp   Places in the source and in the grid, and how messages name them.
// A barrier or a launch takes its caller's place as two default arguments:
//     void __syncthreads(const char* file = __builtin_FILE(), unsigned line = __builtin_LINE());
// (std::source_location does the same, but not yet in clang 14.)
#pragma once

#include <cstring>
#include <string>

#include "gradus/core/check.hpp"
#include "gradus/machine/emulator/vector_types.hpp"

namespace gradus::inline GRADUS_ABI::emulator {

struct Site {
    const char* file = "";
    unsigned line = 0;
};

// The same file may be named by two pointers: one for each translation unit that includes it.
GRADUS_EMULATOR_INLINE bool same_site(Site a, Site b) {
    return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0);
}

inline void append_text(std::string& out, Site site) {  // "reduce.cuh:42"
    const char* slash = std::strrchr(site.file, '/');
    out += gradus::text(slash ? slash + 1 : site.file, ':', site.line);
}

}  // namespace gradus::inline GRADUS_ABI::emulator

namespace gradus::inline GRADUS_ABI::cuda_names {

inline void append_text(std::string& out, uint3 index) {  // "(3, 0, 0)"
    out += gradus::text('(', index.x, ", ", index.y, ", ", index.z, ')');
}
inline void append_text(std::string& out, dim3 size) { append_text(out, uint3(size)); }

}  // namespace gradus::inline GRADUS_ABI::cuda_names
