#include "gradus/reduction/max_cuda.cuh"
#include "gradus/reduction/sum_cuda.cuh"

#include "operations/reduction_operations.hpp"
#include "operations/walk_cuda.hpp"

using operations::ReductionOperations;

TEST_CASE("reduction on Cuda: float") { operations::check_cuda<ReductionOperations, float>(); }
TEST_CASE("reduction on Cuda: double") { operations::check_cuda<ReductionOperations, double>(); }
TEST_CASE("reduction on Cuda: Half") { operations::check_cuda<ReductionOperations, gradus::Half>(); }
TEST_CASE("reduction on Cuda: BFloat16") { operations::check_cuda<ReductionOperations, gradus::BFloat16>(); }
TEST_CASE("reduction on Cuda: what the graph keeps") { operations::check_cuda_graph<ReductionOperations>(); }
