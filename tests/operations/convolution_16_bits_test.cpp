#include "operations/convolution_operations.hpp"

#include "operations/walk.hpp"

using operations::ConvolutionOperations;

TEST_CASE("convolution: 16 bits against Reference in double") { operations::check_16_bits<ConvolutionOperations>(); }
