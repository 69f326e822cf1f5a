// instruction_set.hpp: the name follows the compiler's flags, the warning is there exactly where AVX2 is not.
#include "gradus/machine/cpu/instruction_set.hpp"

#include <doctest/doctest.h>

using namespace gradus;

TEST_CASE("instruction set: the name and the warning agree with how this test was compiled") {
#if defined(__AVX512F__)
    CHECK(instruction_set() == "avx512");
    CHECK(instruction_set_warning().empty());
#elif defined(__AVX2__) && defined(__FMA__)
    CHECK(instruction_set() == "avx2");
    CHECK(instruction_set_warning().empty());
#elif defined(__x86_64__)
#if defined(__AVX__)
    CHECK(instruction_set() == "avx");
#else
    CHECK(instruction_set() == "sse2");
#endif
    CHECK(instruction_set_warning().find("AVX2") != std::string::npos);
#if defined(__CUDACC__)
    if (__builtin_cpu_supports("avx2"))
        CHECK(instruction_set_warning().find("add -Xcompiler -march=native") != std::string::npos);
#endif
#endif
}
