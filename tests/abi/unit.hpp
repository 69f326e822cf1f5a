// What unit.cpp defines, once for each set of flags.
#pragma once

#include <vector>

namespace baseline {
const char* abi();
std::vector<float> trained_weights();
}  // namespace baseline
namespace serial {  // -DGRADUS_NO_THREADS
const char* abi();
std::vector<float> trained_weights();
}  // namespace serial
namespace aborting {  // -fno-exceptions -fno-rtti
const char* abi();
std::vector<float> trained_weights();
}  // namespace aborting
namespace avx {  // -mavx, on x86-64
const char* abi();
std::vector<float> trained_weights();
}  // namespace avx
namespace avx2 {  // -mavx2 -mfma, on x86-64
const char* abi();
std::vector<float> trained_weights();
}  // namespace avx2
