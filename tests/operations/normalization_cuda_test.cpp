#include "gradus/normalization/batch_norm_cuda.cuh"

#include "operations/normalization_operations.hpp"
#include "operations/walk_cuda.hpp"

using operations::NormalizationOperations;

TEST_CASE("normalization on Cuda: float") { operations::check_cuda<NormalizationOperations, float>(); }
TEST_CASE("normalization on Cuda: double") { operations::check_cuda<NormalizationOperations, double>(); }
TEST_CASE("normalization on Cuda: Half") { operations::check_cuda<NormalizationOperations, gradus::Half>(); }
TEST_CASE("normalization on Cuda: BFloat16") { operations::check_cuda<NormalizationOperations, gradus::BFloat16>(); }
TEST_CASE("normalization on Cuda: what the graph keeps") { operations::check_cuda_graph<NormalizationOperations>(); }
