#include "operations/elementwise_operations.hpp"

#include "operations/walk.hpp"

using operations::ElementwiseOperations;

TEST_CASE("elementwise: gradients in double") { operations::check_gradients<ElementwiseOperations>(); }
TEST_CASE("elementwise: float against Reference in double") { operations::check_float<ElementwiseOperations>(); }
TEST_CASE("elementwise: 16 bits against Reference in double") { operations::check_16_bits<ElementwiseOperations>(); }
TEST_CASE("elementwise: what the graph keeps") { operations::check_graph<ElementwiseOperations>(); }
