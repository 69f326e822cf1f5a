#include "operations/linear_operations.hpp"

#include "operations/walk.hpp"

using operations::LinearOperations;

TEST_CASE("linear: gradients in double") { operations::check_gradients<LinearOperations>(); }
TEST_CASE("linear: float against Reference in double") { operations::check_float<LinearOperations>(); }
TEST_CASE("linear: 16 bits against Reference in double") { operations::check_16_bits<LinearOperations>(); }
TEST_CASE("linear: what the graph keeps") { operations::check_graph<LinearOperations>(); }
