// A value in the graph on something that is not a device: said where it is named, not from the inside of the class.
// expected: Device
#include "gradus/autograd/variable.hpp"
struct Disk {};
gradus::Variable<float, Disk> x;
