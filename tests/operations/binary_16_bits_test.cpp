#include "operations/binary_operations.hpp"

#include "operations/walk.hpp"

using operations::BinaryOperations;

TEST_CASE("binary: 16 bits against Reference in double") { operations::check_16_bits<BinaryOperations>(); }
