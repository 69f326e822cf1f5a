#include "gradus/linear/linear_cuda.cuh"

#include "gradus/linear/matmul_cuda.cuh"
#include "operations/linear_operations.hpp"
#include "operations/walk_cuda.hpp"

using operations::LinearOperations;

TEST_CASE("linear on Cuda: float") { operations::check_cuda<LinearOperations, float>(); }
TEST_CASE("linear on Cuda: double") { operations::check_cuda<LinearOperations, double>(); }
TEST_CASE("linear on Cuda: Half") { operations::check_cuda<LinearOperations, gradus::Half>(); }
TEST_CASE("linear on Cuda: BFloat16") { operations::check_cuda<LinearOperations, gradus::BFloat16>(); }
TEST_CASE("linear on Cuda: what the graph keeps") { operations::check_cuda_graph<LinearOperations>(); }
