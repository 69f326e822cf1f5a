#!/usr/bin/env python3
"""Gradus' CUDA kernels against cuDNN, cuBLAS and PyTorch's own kernels, on the same shapes, on a GPU.

    nvcc -x cu -std=c++20 -O2 -arch=native -Iinclude benchmarks/cuda_kernels.cu -lcublas -o cuda_kernels
    python3 benchmarks/compare_cudnn.py ./cuda_kernels               needs PyTorch with CUDA: pip install torch

It runs the benchmark (cuda_kernels --tsv), then for every line that has an equivalent PyTorch in channels-last layout,
and prints both times, the bound, and the ratio torch / gradus: above 1 Gradus is faster. Times are medians of 25 calls by
the card's clock, each after the caches were overwritten, as in cuda_kernels.cu. Weights are in the type of the
activations here, as autocast would have them; Gradus converts them from float in every call.

It has never run on a card. To check this program without one:
    python3 benchmarks/compare_cudnn.py --check                      PyTorch on the CPU, small shapes, no comparison
"""
import argparse
import csv
import io
import os
import statistics
import subprocess
import sys

# The shapes of `layer` in cuda_kernels.cu, and small ones for --check.
LAYER = dict(n=32, h=56, w=56, c=64, k=1000, rows=512, features=2048)
SMALL = dict(n=2, h=8, w=8, c=8, k=10, rows=4, features=16)


def operations(torch, dtype, device, n, h, w, c, k, rows, features):
    """What PyTorch has for the lines of cuda_kernels.cu: their names without the type, and functions to run."""
    functional = torch.nn.functional
    aten = torch.ops.aten

    def image(height, width):
        return torch.ones(n, c, height, width, device=device, dtype=dtype).to(memory_format=torch.channels_last)

    x, dy = image(h, w), image(h, w)
    pooled = image(h // 2, w // 2)
    # Statistics and parameters are float beside 16-bit activations.
    channel_type = torch.float64 if dtype == torch.float64 else torch.float32
    gamma, beta, mean, var = (torch.ones(c, device=device, dtype=channel_type) for _ in range(4))
    weight = torch.ones(c, c, 3, 3, device=device, dtype=dtype).to(memory_format=torch.channels_last)
    window = torch.ones(c, 1, 3, 3, device=device, dtype=dtype)
    logits = torch.ones(rows, k, device=device, dtype=dtype)
    labels = torch.zeros(rows, device=device, dtype=torch.int64)
    log_p = torch.log_softmax(logits, 1)
    a, b = (torch.ones(r, features, device=device, dtype=dtype) for r in (rows, features))
    one = torch.ones((), device=device, dtype=dtype)
    _, places = functional.max_pool2d(x, 2, return_indices=True)

    def convolution_backward(kernel, groups, wanted):
        return lambda: aten.convolution_backward(dy, x, kernel, None, [1, 1], [1, 1], [1, 1], False, [0, 0], groups,
                                                 [wanted == "data", wanted == "weights", False])

    found = {
        "relu forward": lambda: torch.relu(x),
        "relu backward": lambda: aten.threshold_backward(dy, x, 0),
        "add": lambda: x + dy,
        "mul by channels": lambda: x * weight[:, :1, :1, :1].reshape(1, c, 1, 1),
        "dropout": lambda: functional.dropout(x, 0.5),
        "sum over N, H, W": lambda: x.sum((0, 2, 3)),
        "permute to channels first": lambda: x.contiguous(),
        "argmax of channels": lambda: x.argmax(1),
        "batch norm forward, shortcut": lambda: torch.relu(functional.batch_norm(x, mean, var, gamma, beta) + dy),
        "softmax forward": lambda: torch.softmax(logits, 1),
        "softmax backward": lambda: aten._softmax_backward_data(logits, logits, 1, dtype),
        "log softmax forward": lambda: torch.log_softmax(logits, 1),
        "log softmax backward": lambda: aten._log_softmax_backward_data(logits, log_p, 1, dtype),
        "cross entropy forward": lambda: functional.cross_entropy(logits, labels),
        "max pool forward": lambda: functional.max_pool2d(x, 2, return_indices=True),
        "max pool backward": lambda: aten.max_pool2d_with_indices_backward(pooled, x, [2, 2], [2, 2], [0, 0], [1, 1],
                                                                           False, places),
        "average pool forward": lambda: functional.avg_pool2d(x, 2),
        "average pool backward": lambda: aten.avg_pool2d_backward(pooled, x, [2, 2], [2, 2], [0, 0], False, True, None),
        "global average pool": lambda: x.mean((2, 3)),
        "matmul": lambda: torch.mm(a, b),
        "conv 3x3 forward": lambda: functional.conv2d(x, weight, padding=1),
        "conv 3x3 backward data": convolution_backward(weight, 1, "data"),
        "conv 3x3 backward weights": convolution_backward(weight, 1, "weights"),
        "depthwise 3x3 forward": lambda: functional.conv2d(x, window, padding=1, groups=c),
        "depthwise 3x3 backward data": convolution_backward(window, c, "data"),
        "depthwise 3x3 backward weights": convolution_backward(window, c, "weights"),
    }
    if dtype == channel_type:  # the optimiser's are of the parameters' type
        found["unscale"] = lambda: x.mul_(one)
    return found


def peer_name(name):
    """matmul for 'matmul, tiled' and conv 3x3 forward for 'conv 3x3, im2col forward': one peer for all of our rungs."""
    if name.startswith("matmul, "):
        return "matmul"
    if name.startswith("conv 3x3, "):
        for which in ("forward", "backward data", "backward weights"):
            if name.endswith(" " + which):
                return "conv 3x3 " + which
    return name


def read_table(text):
    """(name, type, microseconds, bound) of each line that cuda_kernels --tsv prints."""
    lines = list(csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))
    if not lines or set(lines[0]) != {"kernel", "us", "bound_us", "bytes", "flops"}:
        sys.exit("compare_cudnn.py: this is not what cuda_kernels --tsv prints:\n" + text[:400])
    for line in lines:
        name, _, kind = line["kernel"].rpartition(", ")
        yield name, kind, float(line["us"]), float(line["bound_us"])


def median_us(torch, run):
    other = torch.empty(1 << 28, dtype=torch.uint8, device="cuda")
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    run()
    times = []
    for _ in range(25):
        other.zero_()
        begin.record()
        run()
        end.record()
        torch.cuda.synchronize()
        times.append(1e3 * begin.elapsed_time(end))
    return statistics.median(times)


def compare(torch, text):
    torch.backends.cudnn.benchmark = True  # it tries its algorithms, and takes the fastest
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False  # float is float, as in Gradus
    peers = {kind: operations(torch, dtype, "cuda", **LAYER) for kind, dtype in types(torch).items()}
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}\n"
          f"{'':<48} {'gradus us':>10} {'torch us':>10} {'bound us':>10} {'torch/gradus':>12}")
    for name, kind, us, bound in read_table(text):
        run = peers.get(kind, {}).get(peer_name(name))
        torch_us = median_us(torch, run) if run else None
        print(f"{name + ', ' + kind:<48} {us:>10.1f} {'-' if torch_us is None else f'{torch_us:.1f}':>10} "
              f"{bound:>10.1f} {'-' if torch_us is None else f'{torch_us / us:.2f}':>12}", flush=True)


def types(torch):
    return {"float": torch.float32, "Half": torch.float16, "BFloat16": torch.bfloat16, "double": torch.float64}


def check(torch):
    """Every operation runs on the CPU, and the names are those of cuda_kernels.cu."""
    text = "kernel\tus\tbound_us\tbytes\tflops\nconv 3x3, im2col forward, float\t2.0\t1.5\t10\t20\n"
    assert list(read_table(text)) == [("conv 3x3, im2col forward", "float", 2.0, 1.5)]
    assert peer_name("conv 3x3, im2col forward") == "conv 3x3 forward" and peer_name("matmul, tiled") == "matmul"
    ran, failed = 0, []
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "cuda_kernels.cu")) as file:
        source = file.read()
    names = [name for name in operations(torch, torch.float32, "cpu", **SMALL)
             if name != "matmul" and not name.startswith("conv 3x3 ")]
    failed += [f"{name} is not in cuda_kernels.cu" for name in names if f'"{name}"' not in source]
    for kind, dtype in types(torch).items():
        for name, run in operations(torch, dtype, "cpu", **SMALL).items():
            try:
                run()
                ran += 1
            except (RuntimeError, NotImplementedError) as error:
                failed.append(f"{name}, {kind}: {str(error).splitlines()[0]}")
    print(f"{ran} operations run on the CPU" + "".join("\nFAILED: " + line for line in failed))
    sys.exit(1 if failed else 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", nargs="?", help="benchmarks/cuda_kernels.cu, compiled by nvcc")
    parser.add_argument("--check", action="store_true", help="run PyTorch's operations on the CPU, and compare nothing")
    arguments = parser.parse_args()
    try:
        import torch
    except ImportError:
        sys.exit("compare_cudnn.py needs PyTorch: pip install torch")
    if arguments.check:
        check(torch)
    if arguments.program is None:
        parser.error("which program? Compile benchmarks/cuda_kernels.cu with nvcc first")
    if not torch.cuda.is_available():
        sys.exit(f"compare_cudnn.py: PyTorch {torch.__version__} finds no CUDA GPU; there is nothing to compare. "
                 "--check runs its operations on the CPU")
    run = subprocess.run([arguments.program, "--tsv"], capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"{arguments.program} --tsv failed:\n{run.stderr or run.stdout[-400:]}")
    compare(torch, run.stdout)


if __name__ == "__main__":
    main()
