#include "gradus/convolution/conv2d_cuda.cuh"

#include "operations/convolution_operations.hpp"
#include "operations/walk_cuda.hpp"

using operations::ConvolutionOperations;

TEST_CASE("convolution on Cuda: float") { operations::check_cuda<ConvolutionOperations, float>(); }
TEST_CASE("convolution on Cuda: double") { operations::check_cuda<ConvolutionOperations, double>(); }
TEST_CASE("convolution on Cuda: Half") { operations::check_cuda<ConvolutionOperations, gradus::Half>(); }
TEST_CASE("convolution on Cuda: BFloat16") { operations::check_cuda<ConvolutionOperations, gradus::BFloat16>(); }
TEST_CASE("convolution on Cuda: what the graph keeps") { operations::check_cuda_graph<ConvolutionOperations>(); }
