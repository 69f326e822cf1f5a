#include "operations/unary_operations.hpp"

#include "operations/walk.hpp"

using operations::UnaryOperations;

TEST_CASE("unary: gradients in double") { operations::check_gradients<UnaryOperations>(); }
TEST_CASE("unary: float against Reference in double") { operations::check_float<UnaryOperations>(); }
TEST_CASE("unary: what the graph keeps") { operations::check_graph<UnaryOperations>(); }
