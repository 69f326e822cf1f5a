// A shared array that the race checker would not see.
// flags: -DGRADUS_EMULATE_CUDA -fsanitize=thread
// expected: the race checker does not see a plain __shared__ array: use GRADUS_SHARED
#include "gradus/machine/cuda/launch.hpp"
template <int>
__global__ void sum_kernel(float* x) {
    __shared__ float s[64];
    s[threadIdx.x] = x[threadIdx.x];
}
