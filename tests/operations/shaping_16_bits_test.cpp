#include "operations/shaping_operations.hpp"

#include "operations/walk.hpp"

using operations::ShapingOperations;

TEST_CASE("shaping: 16 bits against Reference in double") { operations::check_16_bits<ShapingOperations>(); }
