#include "operations/convolution_operations.hpp"

#include "operations/walk.hpp"

using operations::ConvolutionOperations;

TEST_CASE("convolution: gradients in double") { operations::check_gradients<ConvolutionOperations>(); }
TEST_CASE("convolution: float against Reference in double") { operations::check_float<ConvolutionOperations>(); }
TEST_CASE("convolution: what the graph keeps") { operations::check_graph<ConvolutionOperations>(); }
