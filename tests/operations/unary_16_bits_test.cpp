#include "operations/unary_operations.hpp"

#include "operations/walk.hpp"

using operations::UnaryOperations;

TEST_CASE("unary: 16 bits against Reference in double") { operations::check_16_bits<UnaryOperations>(); }
