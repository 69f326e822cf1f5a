#!/usr/bin/env python3
"""Gradus against oneDNN through PyTorch, layer by layer: forward, gradient of the input, gradient of the weights.

    g++ -O2 -std=c++20 -march=native -pthread -Iinclude benchmarks/layers.cpp -o layers
    python3 benchmarks/compare_layers.py ./layers                needs PyTorch: pip install torch
    python3 benchmarks/compare_layers.py ./layers --only dw --threads 2

For each layer of layers.txt three programs answer in turn, for some rounds: Gradus and PyTorch in both of its memory
layouts. A time is the least over the rounds of the median of some calls; PyTorch's is that of its faster layout. Few
calls would not do: on several threads the first milliseconds after a pause are slow, until the system has spread the
threads over the cores. And not the median of the rounds: on a virtual machine whose cores are at times two halves of
one, a whole round of either program takes twice as long, and that says nothing about it. The ratio is torch / gradus, so above 1 Gradus is faster. The rate is Gradus' GFLOP/s, two for
each multiply-add of the definition; of a depthwise layer GB/s, each tensor counted once.

Prints the least ratio at the end, and fails if it is under the gate.
"""
import argparse
import re
import statistics
import sys

from layers_peer import LAYOUTS, LIST, read_layers, serve_command
from pytorch_peer import Peer

PASSES = {"forward": "forward", "data": "backward data", "weights": "backward weights"}


def rate(layer, ms):
    n, o, p, q = layer.y_shape
    _, i, kh, kw = layer.weight_shape
    if layer.groups == layer.inputs:
        return 4e-6 * (n * o * p * q + layer.batch * layer.inputs * layer.rows * layer.columns) / ms
    return 2e-6 * n * o * p * q * i * kh * kw / ms


def compare(peers, number, arguments):
    """For each pass the least times in milliseconds: of Gradus, of PyTorch's faster layout."""
    medians = {name: [] for name in PASSES}
    for _ in range(arguments.rounds):
        for name in PASSES:
            medians[name].append([statistics.median(peer.ask(f"{name} {number} {arguments.calls}")) for peer in peers])
    least = {name: [min(times) for times in zip(*rounds)] for name, rounds in medians.items()}
    return {name: (gradus, min(torch)) for name, (gradus, *torch) in least.items()}


def table(arguments, threads):
    """Prints a line for each layer and returns the ratios with their names."""
    commands = [[arguments.program, "--serve", "--layers", arguments.layers, "--threads", str(threads)]]
    commands += [serve_command(layout, threads, arguments.layers) for layout in LAYOUTS]
    peers = [Peer(command) for command in commands]
    columns = f"{'gradus':>8} {'torch':>7} {'ratio':>5} {'rate':>5}"
    print(f"{threads} thread{'s' if threads > 1 else ''}, ms\n{'':<19}" +
          "".join(f" {title:>{len(columns)}}" for title in PASSES.values()))
    print(f"{'':<19}" + f" {columns}" * len(PASSES))
    ratios = []
    for number, layer in enumerate(read_layers(arguments.layers)):
        if not re.search(arguments.only, layer.name):
            continue
        line = f"{layer.name:<19}"
        for name, (gradus, torch) in compare(peers, number, arguments).items():
            ratios.append((torch / gradus, f"{layer.name}, {PASSES[name]}, {threads} thread{'s' if threads > 1 else ''}"))
            line += f" {gradus:>8.2f} {torch:>7.2f} {torch / gradus:>5.2f} {rate(layer, gradus):>5.0f}"
        print(line, flush=True)
    for peer in peers:
        peer.close()
    return ratios


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the compiled benchmarks/layers.cpp")
    parser.add_argument("--layers", default=LIST, help="the layers (default: layers.txt beside this file)")
    parser.add_argument("--only", default="", metavar="REGEX", help="layers whose name it matches")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=30, help="of each program in a round")
    parser.add_argument("--gate", type=float, default=0.7)
    arguments = parser.parse_args()
    ratios = [ratio for threads in arguments.threads for ratio in table(arguments, threads)]
    least, where = min(ratios)
    print(f"least ratio {least:.2f}: {where}; geometric mean {statistics.geometric_mean(r for r, _ in ratios):.2f}")
    if least < arguments.gate:
        sys.exit(f"under {arguments.gate}: " + "; ".join(f"{name} {r:.2f}" for r, name in ratios if r < arguments.gate))


if __name__ == "__main__":
    main()
