#include "gradus/softmax/softmax_cuda.cuh"
#include "gradus/softmax/cross_entropy_cuda.cuh"

#include "operations/softmax_operations.hpp"
#include "operations/walk_cuda.hpp"

using operations::SoftmaxOperations;

TEST_CASE("softmax on Cuda: float") { operations::check_cuda<SoftmaxOperations, float>(); }
TEST_CASE("softmax on Cuda: double") { operations::check_cuda<SoftmaxOperations, double>(); }
TEST_CASE("softmax on Cuda: Half") { operations::check_cuda<SoftmaxOperations, gradus::Half>(); }
TEST_CASE("softmax on Cuda: BFloat16") { operations::check_cuda<SoftmaxOperations, gradus::BFloat16>(); }
TEST_CASE("softmax on Cuda: what the graph keeps") { operations::check_cuda_graph<SoftmaxOperations>(); }
