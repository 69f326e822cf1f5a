// A tensor of a type that no device stores. Labels are int64.
// expected: Element
#include "gradus/core/tensor.hpp"
gradus::Tensor<int> labels;
