// A __constant__ variable: the host could write it here, and on a card it could not.
// flags: -DGRADUS_EMULATE_CUDA
// expected: __constant__
#include "gradus/machine/cuda/launch.hpp"
__constant__ float factors[16];
