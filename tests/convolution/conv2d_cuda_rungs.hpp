// The four rungs of conv2d on Cuda that are kernels of their own, under one set of names, for conv2d_cuda_checks.hpp.
#pragma once

#include "gradus/convolution/conv2d_depthwise_cuda.cuh"
#include "gradus/convolution/conv2d_direct_cuda.cuh"
#include "gradus/convolution/conv2d_implicit_gemm_cuda.cuh"
#include "gradus/convolution/conv2d_tiled_cuda.cuh"

struct DirectConvolution {
    template <class... Arguments>
    static void forward(const Arguments&... arguments) {
        gradus::conv2d_direct_forward(gradus::Cuda{}, arguments...);
    }
    template <class... Arguments>
    static void backward_data(const Arguments&... arguments) {
        gradus::conv2d_direct_backward_data(gradus::Cuda{}, arguments...);
    }
    template <class... Arguments>
    static void backward_weights(const Arguments&... arguments) {
        gradus::conv2d_direct_backward_weights(gradus::Cuda{}, arguments...);
    }
};

struct TiledConvolution {
    template <class... Arguments>
    static void forward(const Arguments&... arguments) {
        gradus::conv2d_tiled_forward(gradus::Cuda{}, arguments...);
    }
    template <class... Arguments>
    static void backward_data(const Arguments&... arguments) {
        gradus::conv2d_tiled_backward_data(gradus::Cuda{}, arguments...);
    }
    template <class... Arguments>
    static void backward_weights(const Arguments&... arguments) {
        gradus::conv2d_tiled_backward_weights(gradus::Cuda{}, arguments...);
    }
};

struct ImplicitGemmConvolution {
    template <class... Arguments>
    static void forward(const Arguments&... arguments) {
        gradus::conv2d_implicit_gemm_forward(gradus::Cuda{}, arguments...);
    }
    template <class... Arguments>
    static void backward_data(const Arguments&... arguments) {
        gradus::conv2d_implicit_gemm_backward_data(gradus::Cuda{}, arguments...);
    }
    template <class... Arguments>
    static void backward_weights(const Arguments&... arguments) {
        gradus::conv2d_implicit_gemm_backward_weights(gradus::Cuda{}, arguments...);
    }
};

struct DepthwiseConvolution {
    template <class... Arguments>
    static void forward(const Arguments&... arguments) {
        gradus::conv2d_depthwise_forward(gradus::Cuda{}, arguments...);
    }
    template <class... Arguments>
    static void backward_data(const Arguments&... arguments) {
        gradus::conv2d_depthwise_backward_data(gradus::Cuda{}, arguments...);
    }
    template <class... Arguments>
    static void backward_weights(const Arguments&... arguments) {
        gradus::conv2d_depthwise_backward_weights(gradus::Cuda{}, arguments...);
    }
};
