#include "operations/reduction_operations.hpp"

#include "operations/walk.hpp"

using operations::ReductionOperations;

TEST_CASE("reduction: gradients in double") { operations::check_gradients<ReductionOperations>(); }
TEST_CASE("reduction: float against Reference in double") { operations::check_float<ReductionOperations>(); }
TEST_CASE("reduction: what the graph keeps") { operations::check_graph<ReductionOperations>(); }
TEST_CASE("reduction: 16 bits against Reference in double") { operations::check_16_bits<ReductionOperations>(); }
