#include "operations/normalization_operations.hpp"

#include "operations/walk.hpp"

using operations::NormalizationOperations;

TEST_CASE("normalization: gradients in double") { operations::check_gradients<NormalizationOperations>(); }
TEST_CASE("normalization: float against Reference in double") { operations::check_float<NormalizationOperations>(); }
TEST_CASE("normalization: 16 bits against Reference in double") {
    operations::check_16_bits<NormalizationOperations>();
}
TEST_CASE("normalization: what the graph keeps") { operations::check_graph<NormalizationOperations>(); }
