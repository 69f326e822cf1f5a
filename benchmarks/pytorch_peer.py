#!/usr/bin/env python3
"""Times a training step of CIFAR ResNet-20 in PyTorch: forward, cross-entropy, backward, SGD with momentum.

    pytorch_peer.py [--threads 1 2] [--batch 128 37] [--variants ...]     prints a table of all variants
    pytorch_peer.py --serve --variant V --allocator A --threads T --batch B
                                                          prints "ready", then answers lines on stdin:
        step N     runs N steps and prints the milliseconds of each on one line
        memory     prints the peak bytes of a step, three numbers (see below)
        quit       ends, as does the end of the input

A variant is LAYOUT or LAYOUT+compile, LAYOUT being nchw or channels_last; "+compile" means torch.compile over the
network and the loss. A step is: zero_grad(set_to_none=True), network, cross_entropy, backward, SGD step (momentum 0.9,
weight decay 1e-4) with the fastest of PyTorch's implementations (fused, foreach, single tensors). Images and labels are
the same random numbers in every step.

Memory, three ways. "resident": the highest resident size of the process while it runs steps (VmHWM of
/proc/self/status, which is ru_maxrss counted from a chosen moment), minus the resident size before the network and the
batch were made. A small network was trained before that moment, so that code pages of the libraries do not count; the
freed memory the allocator holds on to does. "tensors": the most bytes that were live at one moment in PyTorch's CPU
allocator in a step, as its profiler reports them (parameters, gradients, momentum and the batch included, what
malloc adds and oneDNN's private scratch not). "saved": the bytes of the distinct storages that the graph keeps between
forward and backward, parameters not counted.
"""
import argparse
import gc
import statistics
import subprocess
import sys
import time

import pytorch_common as common

VARIANTS = ("nchw", "channels_last", "nchw+compile", "channels_last+compile")


class Step:
    """One variant, ready to run."""

    def __init__(self, variant, batch, optimizer="fused"):
        import torch

        layout, _, compiled = variant.partition("+")
        torch.manual_seed(1)
        self.torch = torch
        self.model = common.build_resnet(20, 10)
        assert sum(p.numel() for p in self.model.parameters()) == 269722
        self.images = torch.randn(batch, 3, 32, 32)
        self.labels = torch.randint(0, 10, (batch,))
        if layout == "channels_last":
            self.model = self.model.to(memory_format=torch.channels_last)
            self.images = self.images.contiguous(memory_format=torch.channels_last)
        how = {"fused": {"fused": True}, "foreach": {"foreach": True}, "single": {"foreach": False}}[optimizer]
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4, **how)

        def loss_of(images, labels):
            return torch.nn.functional.cross_entropy(self.model(images), labels)

        self.loss_of = torch.compile(loss_of) if compiled else loss_of
        self.loss = None

    def run(self):
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss_of(self.images, self.labels)
        loss.backward()
        self.optimizer.step()
        self.loss = loss.detach()

    def times(self, steps):
        """Runs steps and returns the milliseconds of each."""
        result = []
        for _ in range(steps):
            begin = time.perf_counter_ns()
            self.run()
            result.append((time.perf_counter_ns() - begin) * 1e-6)
        return result


def prepare(threads):
    import torch

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)


def live_tensor_peak(step):
    """The most bytes live in the CPU allocator in a step, from the profiler's record of every allocation."""
    torch = step.torch
    from torch.profiler import ProfilerActivity, profile

    step.run()
    step.optimizer.zero_grad(set_to_none=True)  # the gradients are made anew in the step and counted there
    step.loss = None
    gc.collect()
    held = {}
    holders = [step.images, step.labels, *step.model.parameters(), *step.model.buffers()]
    holders += [state["momentum_buffer"] for state in step.optimizer.state.values()]
    for tensor in holders:
        held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        step.run()
    live = peak = sum(held.values())
    for event in record.profiler.kineto_results.events():
        if event.name() == "[memory]" and event.device_type() == torch.autograd.DeviceType.CPU:
            live += event.nbytes()
            peak = max(peak, live)
    return peak


def saved_bytes(step):
    """The bytes the graph keeps for the backward pass, parameters not counted."""
    torch = step.torch
    parameters = {p.untyped_storage().data_ptr() for p in step.model.parameters()}
    saved = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = torch.nn.functional.cross_entropy(step.model(step.images), step.labels)
    loss.backward()
    return sum(saved.values())


def measured_step(arguments):
    """Makes the step of --variant and returns it with its resident growth after a few steps."""
    prepare(arguments.threads[0])
    small = Step("channels_last" if "channels_last" in arguments.variant else "nchw", 2)
    small.times(2)
    del small
    gc.collect()
    before = common.resident_bytes()
    step = Step(arguments.variant, arguments.batch[0], arguments.optimizer)
    common.reset_peak_resident()
    step.times(4)
    return step, common.peak_resident_bytes() - before


def serve(arguments):
    step, resident = measured_step(arguments)
    step.times(3)
    print("ready", flush=True)
    for line in sys.stdin:
        words = line.split()
        if words[:1] == ["step"]:
            print(" ".join(f"{ms:.4f}" for ms in step.times(int(words[1]))), flush=True)
        elif words == ["memory"]:
            print(resident, live_tensor_peak(step), saved_bytes(step), flush=True)
        elif words == ["quit"]:
            break
        else:
            sys.exit(f"pytorch_peer: unknown request {line!r}")


class Peer:
    """A server process and its answers. Used by the table here and by compare.py for both sides."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.name = " ".join(command)
        if (line := self.process.stdout.readline().strip()) != "ready":
            raise RuntimeError(f"{self.name}: expected 'ready', got {line!r} (exit status {self.process.poll()})")

    def ask(self, request):
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name}: no answer to {request!r} (exit status {self.process.wait()})")
        return [float(word) for word in line.split()]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def serve_command(variant, allocator, threads, batch, optimizer="fused"):
    return [sys.executable, __file__, "--serve", "--variant", variant, "--allocator", allocator,
            "--threads", str(threads), "--batch", str(batch), "--optimizer", optimizer]


def table(arguments):
    import torch

    print(f"PyTorch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, oneDNN "
          f"{torch.backends.mkldnn.is_available()}")
    print(f"{'threads':>7} {'batch':>5}  {'variant':<22} {'allocator':<14} {'optimizer':<9} {'median ms':>9} {'min ms':>8}"
          f" {'resident MB':>11} {'tensors MB':>10} {'saved MB':>8}")
    for threads in arguments.threads:
        for batch in arguments.batch:
            for variant in arguments.variants:
                for allocator in arguments.allocators:
                    if common.allocator_environment(allocator) is None:
                        continue
                    for optimizer in arguments.optimizers:
                        print(row(threads, batch, variant, allocator, optimizer, arguments.steps), flush=True)


def row(threads, batch, variant, allocator, optimizer, steps):
    try:
        peer = Peer(serve_command(variant, allocator, threads, batch, optimizer))
    except RuntimeError as error:
        return f"{threads:>7} {batch:>5}  {variant:<22} {allocator:<14} {optimizer:<9} does not work: {error}"
    times = peer.ask(f"step {steps}")
    resident, tensors, saved = peer.ask("memory")
    peer.close()
    return (f"{threads:>7} {batch:>5}  {variant:<22} {allocator:<14} {optimizer:<9} {statistics.median(times):>9.2f}"
            f" {min(times):>8.2f} {resident / 1e6:>11.1f} {tensors / 1e6:>10.1f} {saved / 1e6:>8.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batch", type=int, nargs="+", default=[128, 37])
    parser.add_argument("--steps", type=int, default=30, help="timed steps of a variant in the table")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=VARIANTS, metavar="V")
    parser.add_argument("--allocators", nargs="+", choices=common.ALLOCATORS, default=["jemalloc"], metavar="A")
    parser.add_argument("--optimizers", nargs="+", choices=("fused", "foreach", "single"), default=["fused"])
    parser.add_argument("--serve", action="store_true", help="answer requests on stdin for one variant")
    parser.add_argument("--variant", choices=VARIANTS, default="channels_last", help="of --serve")
    parser.add_argument("--allocator", choices=common.ALLOCATORS, default="malloc", help="of --serve")
    parser.add_argument("--optimizer", choices=("fused", "foreach", "single"), default="fused", help="of --serve")
    arguments = parser.parse_args()
    if arguments.serve:
        common.use_allocator(arguments.allocator)
        serve(arguments)
    else:
        table(arguments)


if __name__ == "__main__":
    main()
