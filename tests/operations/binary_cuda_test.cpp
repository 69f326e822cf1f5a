#include "gradus/elementwise/binary_cuda.cuh"

#include "gradus/elementwise/dropout_cuda.cuh"
#include "gradus/elementwise/unary_cuda.cuh"
#include "operations/binary_operations.hpp"
#include "operations/walk_cuda.hpp"

using operations::BinaryOperations;

TEST_CASE("binary on Cuda: float") { operations::check_cuda<BinaryOperations, float>(); }
TEST_CASE("binary on Cuda: double") { operations::check_cuda<BinaryOperations, double>(); }
TEST_CASE("binary on Cuda: Half") { operations::check_cuda<BinaryOperations, gradus::Half>(); }
TEST_CASE("binary on Cuda: BFloat16") { operations::check_cuda<BinaryOperations, gradus::BFloat16>(); }
TEST_CASE("binary on Cuda: what the graph keeps") { operations::check_cuda_graph<BinaryOperations>(); }
