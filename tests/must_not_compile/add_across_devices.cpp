// A sum of two tensors on different devices: copies are explicit, x.value().to<Cpu>().
// expected: conflicting types for parameter 'D' \(.*Cpu.*Reference
#include "gradus/elementwise/binary.hpp"
using namespace gradus;
Variable<float, Cpu> f(const Variable<float, Cpu>& x, const Variable<float, Reference>& y) { return add(x, y); }
