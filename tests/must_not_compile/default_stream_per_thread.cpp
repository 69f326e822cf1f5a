// nvcc --default-stream per-thread defines this: the loader's copies would run ahead of the steps that use the memory.
// flags: -DGRADUS_EMULATE_CUDA -DCUDA_API_PER_THREAD_DEFAULT_STREAM
// expected: compile without --default-stream per-thread
#include "gradus/machine/cuda/launch.hpp"
