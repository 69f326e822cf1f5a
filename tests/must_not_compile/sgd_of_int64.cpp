// An optimiser of parameters that have no gradient.
// expected: FloatingElement
#include "gradus/training/sgd.hpp"
gradus::Sgd<std::int64_t>* sgd = nullptr;
