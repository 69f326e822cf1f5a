#include "operations/softmax_operations.hpp"

#include "operations/walk.hpp"

using operations::SoftmaxOperations;

TEST_CASE("softmax: gradients in double") { operations::check_gradients<SoftmaxOperations>(); }
TEST_CASE("softmax: float against Reference in double") { operations::check_float<SoftmaxOperations>(); }
TEST_CASE("softmax: 16 bits against Reference in double") { operations::check_16_bits<SoftmaxOperations>(); }
TEST_CASE("softmax: what the graph keeps") { operations::check_graph<SoftmaxOperations>(); }
