// A layer whose activations are integers.
// expected: FloatingElement
#include "gradus/nn/module.hpp"
gradus::Module<std::int64_t>* module = nullptr;
