#include "operations/pooling_operations.hpp"

#include "operations/walk.hpp"

using operations::PoolingOperations;

TEST_CASE("pooling: gradients in double") { operations::check_gradients<PoolingOperations>(); }
TEST_CASE("pooling: float against Reference in double") { operations::check_float<PoolingOperations>(); }
TEST_CASE("pooling: 16 bits against Reference in double") { operations::check_16_bits<PoolingOperations>(); }
TEST_CASE("pooling: what the graph keeps") { operations::check_graph<PoolingOperations>(); }
