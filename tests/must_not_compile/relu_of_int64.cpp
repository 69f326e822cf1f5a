// An operation that has a derivative, on integers.
// expected: FloatingElement
#include "gradus/elementwise/unary.hpp"
gradus::Variable<std::int64_t> f(const gradus::Variable<std::int64_t>& x) { return gradus::relu(x); }
