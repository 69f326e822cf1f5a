#include "operations/shaping_operations.hpp"

#include "operations/walk.hpp"

using operations::ShapingOperations;

TEST_CASE("shaping: gradients in double") { operations::check_gradients<ShapingOperations>(); }
TEST_CASE("shaping: float against Reference in double") { operations::check_float<ShapingOperations>(); }
TEST_CASE("shaping: what the graph keeps") { operations::check_graph<ShapingOperations>(); }
