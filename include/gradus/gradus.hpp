// gradus.hpp   Gradus: a deep-learning library that is also a textbook. This is its table of contents.
// Read the chapters in this order; each header is a page. A page that ends in _cpu.hpp is the fast twin of the page
// before it, and is included by it; its twin on a GPU ends in _cuda.cuh, and cuda.hpp lists those.
#pragma once

// The order is that of the chapters:
// clang-format off

// 1. Tensors: what everything is made of
#include "gradus/core/tensor.hpp"
#include "gradus/core/print.hpp"
#include "gradus/core/random.hpp"

// 2. Autograd: derivatives of whole programs
#include "gradus/autograd/variable.hpp"
#include "gradus/autograd/gradcheck.hpp"
#include "gradus/elementwise/unary.hpp"
#include "gradus/elementwise/binary.hpp"
#include "gradus/elementwise/scalar.hpp"
#include "gradus/reduction/sum.hpp"
#include "gradus/reduction/max.hpp"
#include "gradus/shaping/reshape.hpp"
#include "gradus/shaping/permute.hpp"
#include "gradus/shaping/slice.hpp"
#include "gradus/shaping/concat.hpp"
#include "gradus/shaping/pad.hpp"

// 3. Linear layers, softmax and cross-entropy: a first classifier
#include "gradus/linear/matmul.hpp"
#include "gradus/linear/linear.hpp"
#include "gradus/softmax/softmax.hpp"
#include "gradus/softmax/cross_entropy.hpp"
#include "gradus/nn/module.hpp"
#include "gradus/nn/init.hpp"
#include "gradus/nn/linear_layer.hpp"
#include "gradus/nn/activation.hpp"
#include "gradus/nn/flatten_layer.hpp"
#include "gradus/nn/sequential.hpp"

// 4. Gradient descent and the training loop
#include "gradus/data/load_dataset.hpp"
#include "gradus/data/loader.hpp"
#include "gradus/training/sgd.hpp"
#include "gradus/training/clip_grad.hpp"
#include "gradus/training/metrics.hpp"
#include "gradus/training/evaluate.hpp"
#include "gradus/training/progress.hpp"

// 5. Convolution and pooling
#include "gradus/convolution/conv2d.hpp"
#include "gradus/pooling/max_pool2d.hpp"
#include "gradus/pooling/avg_pool2d.hpp"
#include "gradus/pooling/global_avg_pool2d.hpp"
#include "gradus/nn/conv2d_layer.hpp"
#include "gradus/nn/pool_layers.hpp"

// 6. Normalisation
#include "gradus/normalization/batch_norm.hpp"
#include "gradus/nn/batch_norm2d.hpp"

// 7. Blocks and models
#include "gradus/blocks/shortcut.hpp"
#include "gradus/blocks/residual.hpp"
#include "gradus/models/cifar_resnet.hpp"
#include "gradus/training/model_summary.hpp"

// 8. Regularisers
#include "gradus/elementwise/dropout.hpp"
#include "gradus/nn/dropout_layer.hpp"
#include "gradus/data/augmentation.hpp"

// 9. Learning-rate schedules
#include "gradus/training/schedule.hpp"

// 10. Training in 16 bits
#include "gradus/training/loss_scaler.hpp"
#include "gradus/training/unscale.hpp"

// 11. What a run leaves behind: checkpoints and the report
#include "gradus/nn/state_dict.hpp"
#include "gradus/training/checkpoint.hpp"
#include "gradus/training/report.hpp"

// The machinery, last: options of a program, threads, the micro-kernel
#include "gradus/core/result.hpp"
#include "gradus/core/sort.hpp"
#include "gradus/training/command_line.hpp"
#include "gradus/machine/cpu/thread_pool.hpp"
#include "gradus/machine/cpu/gemm.hpp"
#include "gradus/machine/cpu/instruction_set.hpp"

// CUDA, where there is a GPU's compiler or its emulator
#if defined(__CUDACC__) || defined(GRADUS_EMULATE_CUDA)
#include "gradus/cuda.hpp"
#endif
