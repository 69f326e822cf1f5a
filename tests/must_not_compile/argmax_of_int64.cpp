// A reduction of labels: it takes the types that scores can have.
// expected: FloatingElement
#include "gradus/reduction/max.hpp"
using namespace gradus;
Tensor<std::int64_t> f(const Tensor<std::int64_t>& labels) { return argmax(labels); }
