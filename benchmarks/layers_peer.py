#!/usr/bin/env python3
"""Times the convolutions of layers.txt in PyTorch, which calls oneDNN: forward and both gradients.

    layers_peer.py --layout channels_last --threads 1       prints "ready", then answers lines on stdin:
        forward LAYER N      the milliseconds of N calls of conv2d, after one to warm up; LAYER counts from 0
        data LAYER N         the same for the gradient of the input alone
        weights LAYER N      the same for the gradient of the weights alone

The gradients are what autograd calls: aten::convolution_backward with its output_mask. Tensors are in the layout, the
weights too, as a model after .to(memory_format=...) has them.
"""
import argparse
import os
import sys
import time
from dataclasses import dataclass

import pytorch_common as common
from pytorch_peer import prepare

LAYOUTS = ("nchw", "channels_last")
LIST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "layers.txt")


@dataclass
class Layer:
    name: str
    batch: int
    rows: int
    columns: int
    inputs: int
    outputs: int
    kernel: int
    stride: int
    padding: int
    groups: int

    def output(self, extent):
        return (extent + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def x_shape(self):
        return self.batch, self.inputs, self.rows, self.columns

    @property
    def y_shape(self):
        return self.batch, self.outputs, self.output(self.rows), self.output(self.columns)

    @property
    def weight_shape(self):
        return self.outputs, self.inputs // self.groups, self.kernel, self.kernel


def read_layers(path):
    with open(path) as file:
        lines = [line.split() for line in file if line.strip() and not line.startswith("#")]
    return [Layer(name, *(int(number) for number in numbers)) for name, *numbers in lines]


class Convolution:
    """One layer with its tensors, ready to run."""

    def __init__(self, layer, layout):
        import torch

        def random(shape):
            format = torch.channels_last if layout == "channels_last" else torch.contiguous_format
            return torch.randn(shape).contiguous(memory_format=format)

        self.torch = torch
        self.layer = layer
        self.x, self.weight, self.dy = random(layer.x_shape), random(layer.weight_shape), random(layer.y_shape)

    def run(self, name):
        stride, padding, groups = self.layer.stride, self.layer.padding, self.layer.groups
        if name == "forward":
            return self.torch.nn.functional.conv2d(self.x, self.weight, None, stride, padding, 1, groups)
        mask = [name == "data", name == "weights", False]
        return self.torch.ops.aten.convolution_backward(self.dy, self.x, self.weight, None, [stride] * 2, [padding] * 2,
                                                        [1, 1], False, [0, 0], groups, mask)

    def times(self, name, calls):
        result = []
        with self.torch.no_grad():
            self.run(name)
            for _ in range(calls):
                begin = time.perf_counter_ns()
                self.run(name)
                result.append((time.perf_counter_ns() - begin) * 1e-6)
        return result


def serve_command(layout, threads, path):
    return [sys.executable, __file__, "--layout", layout, "--threads", str(threads), "--layers", path]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layout", choices=LAYOUTS, default="channels_last")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--layers", default=LIST, help="the list of layers")
    parser.add_argument("--allocator", choices=common.ALLOCATORS, default="malloc")
    arguments = parser.parse_args()
    common.use_allocator(arguments.allocator)
    prepare(arguments.threads)
    layers = read_layers(arguments.layers)
    current, convolution = None, None
    print("ready", flush=True)
    for line in sys.stdin:
        name, number, calls = line.split()
        if number != current:
            convolution = None  # frees its tensors first
            convolution = Convolution(layers[int(number)], arguments.layout)
            current = number
        print(" ".join(f"{ms:.4f}" for ms in convolution.times(name, int(calls))), flush=True)


if __name__ == "__main__":
    main()
