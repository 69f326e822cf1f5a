// A tensor on something that is not a device.
// expected: Device
#include "gradus/core/tensor.hpp"
struct Disk {};
gradus::Tensor<float, Disk> x;
