// machine/emulator/emulator.hpp   CUDA on a CPU: the chapters, in the order to read them.
// Kernels include machine/cuda/launch.hpp, which includes this with -DGRADUS_EMULATE_CUDA and the toolkit under nvcc.
// Not included here, because it is compiled into a program in a way of its own: race_checker.hpp, which finds races
// and counts what makes a kernel slow.
#pragma once

// clang-format off
#include "gradus/machine/emulator/keywords.hpp"       // __global__ and other words
#include "gradus/machine/emulator/vector_types.hpp"   // dim3, float4
#include "gradus/machine/emulator/settings.hpp"       // order of threads, stacks
#include "gradus/machine/emulator/fiber.hpp"          // a function that can stop in the middle
#include "gradus/machine/emulator/block.hpp"          // threads and who runs next
#include "gradus/machine/emulator/barrier.hpp"        // __syncthreads
#include "gradus/machine/emulator/warp.hpp"           // what lanes do together
#include "gradus/machine/emulator/shuffle.hpp"        // __shfl_sync
#include "gradus/machine/emulator/vote.hpp"           // __ballot_sync
#include "gradus/machine/emulator/shared_memory.hpp"  // GRADUS_SHARED
#include "gradus/machine/emulator/atomics.hpp"        // atomicAdd
#include "gradus/machine/emulator/intrinsics.hpp"     // __expf, __popc, __ldg
#include "gradus/machine/emulator/half_intrinsics.hpp"  // __half2float
#include "gradus/machine/emulator/tensor_core.hpp"    // nvcuda::wmma
#include "gradus/machine/emulator/async_copy.hpp"     // cp.async
#include "gradus/machine/emulator/device_memory.hpp"  // what cudaMalloc gives
#include "gradus/machine/emulator/call_counts.hpp"    // what a test may ask
#include "gradus/machine/emulator/stream.hpp"         // work that waits its turn
#include "gradus/machine/emulator/grid.hpp"           // all blocks of a launch
#include "gradus/machine/emulator/runtime_api.hpp"    // cudaMalloc, cudaMemcpy
#include "gradus/machine/emulator/stream_api.hpp"     // cudaStreamCreate, cudaEventRecord
#include "gradus/machine/emulator/device_api.hpp"     // cudaGetDeviceProperties
// clang-format on
