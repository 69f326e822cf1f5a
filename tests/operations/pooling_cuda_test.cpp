#include "gradus/pooling/avg_pool2d_cuda.cuh"
#include "gradus/pooling/global_avg_pool2d_cuda.cuh"
#include "gradus/pooling/max_pool2d_cuda.cuh"

#include "operations/pooling_operations.hpp"
#include "operations/walk_cuda.hpp"

using operations::PoolingOperations;

TEST_CASE("pooling on Cuda: float") { operations::check_cuda<PoolingOperations, float>(); }
TEST_CASE("pooling on Cuda: double") { operations::check_cuda<PoolingOperations, double>(); }
TEST_CASE("pooling on Cuda: Half") { operations::check_cuda<PoolingOperations, gradus::Half>(); }
TEST_CASE("pooling on Cuda: BFloat16") { operations::check_cuda<PoolingOperations, gradus::BFloat16>(); }
TEST_CASE("pooling on Cuda: what the graph keeps") { operations::check_cuda_graph<PoolingOperations>(); }
