#include "operations/binary_operations.hpp"

#include "operations/walk.hpp"

using operations::BinaryOperations;

TEST_CASE("binary: gradients in double") { operations::check_gradients<BinaryOperations>(); }
TEST_CASE("binary: float against Reference in double") { operations::check_float<BinaryOperations>(); }
TEST_CASE("binary: what the graph keeps") { operations::check_graph<BinaryOperations>(); }
