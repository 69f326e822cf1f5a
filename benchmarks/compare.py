#!/usr/bin/env python3
"""Gradus against PyTorch: the training step of ResNet-20, both in turn, on one machine, in one run.

    g++ -O2 -std=c++20 -march=native -pthread -Iinclude benchmarks/training_step.cpp -o training_step
    python3 benchmarks/compare.py ./training_step                needs PyTorch: pip install torch

For every number of threads and batch it first times each PyTorch variant (memory layout, torch.compile) under each
allocator that is installed, for a few steps, and takes the fastest. Then the two programs answer in turn, a few steps
each, for many rounds: what else the machine does hits both. The ratio is torch / gradus, so above 1 Gradus is faster.

Both programs speak the same lines: they print "ready", and answer "step N" with N times in milliseconds, and "memory"
with the peak bytes of a step. For both that is the growth of the process's largest resident size over what it was
before the network was made (a small network has run before in PyTorch, so that its libraries' pages do not count).
"""
import argparse
import statistics

import pytorch_common as common
from pytorch_peer import VARIANTS, Peer, serve_command


def fastest_variant(arguments, threads, batch):
    best = None
    for variant in arguments.variants:
        for allocator in arguments.allocators:
            if common.allocator_environment(allocator) is None:
                continue
            try:
                peer = Peer(serve_command(variant, allocator, threads, batch))
            except RuntimeError as error:
                print(f"{variant} with {allocator} does not work: {error}")
                continue
            time = statistics.median(peer.ask("step 8"))
            peer.close()
            if best is None or time < best[0]:
                best = (time, variant, allocator)
    return best[1:]


def compare(arguments, threads, batch):
    variant, allocator = fastest_variant(arguments, threads, batch)
    ours = Peer([arguments.program, "--serve", "--threads", str(threads), "--batch", str(batch)])
    torch = Peer(serve_command(variant, allocator, threads, batch))
    times, rounds = ([], []), []
    for _ in range(arguments.rounds):
        pair = [statistics.median(peer.ask(f"step {arguments.steps}")) for peer in (ours, torch)]
        for all_times, time in zip(times, pair):
            all_times.append(time)
        rounds.append(pair[1] / pair[0])
    gradus_ms, torch_ms = (statistics.median(t) for t in times)
    memory = [peer.ask("memory")[0] / 1e6 for peer in (ours, torch)]
    for peer in (ours, torch):
        peer.close()
    print(f"{threads:>7} {batch:>5}  {variant + ', ' + allocator:<36} {torch_ms:>9.1f} {gradus_ms:>9.1f}"
          f" {torch_ms / gradus_ms:>6.2f} {statistics.median(rounds):>6.2f} {memory[1]:>9.1f} {memory[0]:>9.1f}",
          flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the compiled benchmarks/training_step.cpp")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batch", type=int, nargs="+", default=[128, 37])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=3, help="of each program in a round")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=VARIANTS, metavar="V")
    parser.add_argument("--allocators", nargs="+", choices=common.ALLOCATORS,
                        default=["malloc", "jemalloc", "tcmalloc"], metavar="A")
    arguments = parser.parse_args()
    print(f"{'threads':>7} {'batch':>5}  {'fastest PyTorch':<36} {'torch ms':>9} {'gradus ms':>9} {'ratio':>6} "
          f"{'rounds':>6} {'torch MB':>9} {'gradus MB':>9}")
    for batch in arguments.batch:
        for threads in arguments.threads:
            compare(arguments, threads, batch)


if __name__ == "__main__":
    main()
