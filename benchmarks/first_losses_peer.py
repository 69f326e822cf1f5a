#!/usr/bin/env python3
"""The first losses of ResNet-20 in PyTorch, beside those of benchmarks/first_losses.cpp, from the same weights and batches.

    ./first_losses --out DIR > DIR/losses.txt          writes init.safetensors, batches.safetensors and the losses
    python3 benchmarks/first_losses_peer.py DIR        needs PyTorch and safetensors: pip install torch safetensors

Prints, for every step, PyTorch's loss in double and three relative differences from it: Gradus in double, Gradus in
float, and PyTorch's own float. Fails where double differs by 1e-6, or where the mean difference of Gradus' float is more
than ten times that of PyTorch's float: once the first bits differ both drift, and which drifts faster is chance.
"""
import pathlib
import statistics
import sys

import pytorch_common as common

BATCH = 128


def losses(init, images, labels, steps, dtype):
    import torch

    model = common.build_resnet(20, 10)
    missing = model.load_state_dict(init, strict=False).missing_keys
    assert all(key.endswith("num_batches_tracked") for key in missing), missing
    model = model.to(dtype)
    weights = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": weights, "weight_decay": 5e-4}, {"params": others, "weight_decay": 0}]
    optimizer = torch.optim.SGD(groups, lr=0.01, momentum=0.9, nesterov=True)
    result = []
    for step in range(steps):
        rows = slice(step * BATCH, (step + 1) * BATCH)
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(images[rows].to(dtype)), labels[rows])
        loss.backward()
        optimizer.step()
        result.append(loss.item())
    return result


def main():
    import torch
    from safetensors.torch import load_file

    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    init, batches = load_file(folder / "init.safetensors"), load_file(folder / "batches.safetensors")
    ours = [[float(word) for word in line.split()[1:]] for line in open(folder / "losses.txt")]
    images, labels = batches["images"].permute(0, 3, 1, 2), batches["labels"]
    exact = losses(init, images, labels, len(ours), torch.float64)
    single = losses(init, images, labels, len(ours), torch.float32)
    print("step       loss in double   gradus double  gradus float  torch float")
    drift = [[], [], []]
    for step, want in enumerate(exact):
        differences = [abs(value - want) / abs(want) for value in (*ours[step], single[step])]
        for all_of_one, difference in zip(drift, differences):
            all_of_one.append(difference)
        print(f"{step:>4} {want:>20.15f}   {differences[0]:>13.1e} {differences[1]:>13.1e} {differences[2]:>12.1e}")
    in_double, gradus_float, torch_float = max(drift[0]), statistics.mean(drift[1]), statistics.mean(drift[2])
    print(f"double: at most {in_double:.1e}; float, mean: gradus {gradus_float:.1e}, torch {torch_float:.1e}")
    if in_double > 1e-6 or gradus_float > 10 * torch_float:
        sys.exit("the losses do not agree")


if __name__ == "__main__":
    main()
