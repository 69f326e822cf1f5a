#include "gradus/shaping/permute_cuda.cuh"
#include "gradus/shaping/rows_cuda.cuh"

#include "operations/shaping_operations.hpp"
#include "operations/walk_cuda.hpp"

using operations::ShapingOperations;

TEST_CASE("shaping on Cuda: float") { operations::check_cuda<ShapingOperations, float>(); }
TEST_CASE("shaping on Cuda: double") { operations::check_cuda<ShapingOperations, double>(); }
TEST_CASE("shaping on Cuda: Half") { operations::check_cuda<ShapingOperations, gradus::Half>(); }
TEST_CASE("shaping on Cuda: BFloat16") { operations::check_cuda<ShapingOperations, gradus::BFloat16>(); }
TEST_CASE("shaping on Cuda: what the graph keeps") { operations::check_cuda_graph<ShapingOperations>(); }
