#include "gradus/elementwise/unary_cuda.cuh"

#include "operations/unary_operations.hpp"
#include "operations/walk_cuda.hpp"

using operations::UnaryOperations;

TEST_CASE("unary on Cuda: float") { operations::check_cuda<UnaryOperations, float>(); }
TEST_CASE("unary on Cuda: double") { operations::check_cuda<UnaryOperations, double>(); }
TEST_CASE("unary on Cuda: Half") { operations::check_cuda<UnaryOperations, gradus::Half>(); }
TEST_CASE("unary on Cuda: BFloat16") { operations::check_cuda<UnaryOperations, gradus::BFloat16>(); }
TEST_CASE("unary on Cuda: what the graph keeps") { operations::check_cuda_graph<UnaryOperations>(); }
