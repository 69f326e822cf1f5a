#!/usr/bin/env python3
"""The test accuracy of ResNet-20 on CIFAR-10 after the same training in Gradus and in PyTorch, over several seeds.

    g++ -O2 -std=c++20 -march=native -pthread -Iinclude examples/train.cpp -o train
    g++ -O2 -std=c++20 -march=native -pthread -Iinclude benchmarks/first_losses.cpp -o first_losses
    python3 benchmarks/accuracy.py ./train ./first_losses --data DIR        needs PyTorch: pip install torch safetensors

Gradus' side is the program everyone runs, `train --data DIR --epochs E --seed S --threads 1`. PyTorch's side, below, is
the same recipe: the weights that Gradus starts from with this seed, which first_losses writes; batches of 128; a flip
with probability 1/2 and a 32x32 crop of the image with 4 black pixels around it; channels normalised with the training
set's statistics; SGD with Nesterov momentum 0.9 and weight decay 5e-4 on weights of rank 2 and more; a rate that rises
to 0.1 over the first epoch and falls to 0 with a cosine over the others, step by step. The order of the images and the
augmentation are drawn by each from its own generator, so the two accuracies of a seed differ: the means are compared.

Prints both accuracies of every seed, the means with their standard errors, and the difference of the means. Fails where
that is more than two standard errors, the standard error of a difference being the root of the sum of both squared. Two
equal programs fail now and then, with 3 seeds 12% of the time (Student's t, 4 degrees of freedom): more seeds tell.

As many runs as --jobs says go on at once, each on one thread; the seconds of a run are those of a shared machine, for
speed see compare.py. Finished runs stay in --out and are not repeated, so the script can be stopped and started again,
or be given more seeds. Other programs or other data need another --out.
"""
import argparse
import concurrent.futures
import csv
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import time

import pytorch_common as common

BATCH = 128
LEARNING_RATE = 0.1
PADDING = 4


def read_cifar10(folder, names):
    """Images (N, 3, 32, 32) as bytes, and labels (N). A record is a byte of label and three planes of 1024 bytes."""
    import torch

    content = bytearray(b"".join((folder / name).read_bytes() for name in names))
    records = torch.frombuffer(content, dtype=torch.uint8).view(-1, 1 + 3 * 32 * 32)
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].long()


class Normalise:
    """Bytes to floats of mean 0 and variance 1 in every channel, by the statistics of all pixels of `images`."""

    def __init__(self, images):
        import torch

        channels = [images[:, c].double() / 255 for c in range(3)]
        self.mean = torch.tensor([c.mean().item() for c in channels]).view(3, 1, 1)
        self.std = torch.tensor([c.std(correction=0).item() for c in channels]).view(3, 1, 1)

    def __call__(self, images):
        return (images.float() / 255 - self.mean) / self.std


def place(images, flip, down, right):
    """Image i of (N, 3, H, W) moves by down[i] and right[i] pixels, between -PADDING and PADDING, after it was mirrored
    if flip[i]. Black comes in from the sides. The result is contiguous in channels_last order."""
    import torch

    count, _, height, width = images.shape
    padded = torch.nn.functional.pad(images, (PADDING,) * 4)
    rows = torch.arange(height) - down[:, None] + PADDING
    columns = torch.arange(width) - right[:, None] + PADDING
    columns = torch.where(flip[:, None], width + 2 * PADDING - 1 - columns, columns)
    image = torch.arange(count)[:, None, None]
    return padded[image, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def augment(images, generator):
    import torch

    count = len(images)
    flip = torch.randint(2, (count,), generator=generator) == 1
    down, right = torch.randint(-PADDING, PADDING + 1, (2, count), generator=generator)
    return place(images, flip, down, right)


def rate(step, steps_per_epoch, epochs):
    """Step by step: GradualWarmup over the first epoch, CosineDecay over the others (training/schedule.hpp)."""
    warmup = min(1, epochs - 1) * steps_per_epoch
    if step < warmup:
        return LEARNING_RATE * (step + 1) / warmup
    return LEARNING_RATE * (1 + math.cos(math.pi * (step - warmup) / (epochs * steps_per_epoch - warmup))) / 2


def make_model(init):
    """ResNet-20 with the weights of the file `init`."""
    import torch
    from safetensors.torch import load_file

    model = common.build_resnet(20, 10)
    missing = model.load_state_dict(load_file(init), strict=False).missing_keys
    assert all(key.endswith("num_batches_tracked") for key in missing), missing
    return model.to(memory_format=torch.channels_last)


def make_optimizer(model):
    import torch

    weights = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": weights, "weight_decay": 5e-4}, {"params": others, "weight_decay": 0}]
    return torch.optim.SGD(groups, lr=LEARNING_RATE, momentum=0.9, nesterov=True, fused=True)


def train_step(model, optimizer, images, labels, lr):
    import torch

    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.zero_grad(set_to_none=True)
    loss = torch.nn.functional.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


def test_accuracy(model, normalise, images, labels):
    import torch

    model.eval()
    with torch.no_grad():
        batches = zip(images.split(256), labels.split(256))
        correct = sum((model(normalise(x)).argmax(1) == y).sum().item() for x, y in batches)
    model.train()
    return correct / len(labels)


def train_in_pytorch(data, init, seed, epochs):
    """The test accuracy after every epoch."""
    import torch

    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(seed)
    images, labels = read_cifar10(data, [f"data_batch_{i}.bin" for i in range(1, 6)])
    test_images, test_labels = read_cifar10(data, ["test_batch.bin"])
    normalise = Normalise(images)
    model = make_model(init)
    optimizer = make_optimizer(model)
    steps_per_epoch = len(images) // BATCH  # a smaller last batch is dropped
    accuracies, step = [], 0
    for epoch in range(epochs):
        order = torch.randperm(len(images), generator=generator)
        losses = []
        for i in range(steps_per_epoch):
            chosen = order[i * BATCH:(i + 1) * BATCH]
            batch = normalise(augment(images[chosen], generator))
            losses.append(train_step(model, optimizer, batch, labels[chosen], rate(step, steps_per_epoch, epochs)))
            step += 1
        accuracies.append(test_accuracy(model, normalise, test_images, test_labels))
        print(f"epoch {epoch + 1}: training loss {statistics.mean(losses):.4f}, test accuracy {accuracies[-1]:.2%}",
              flush=True)
    return accuracies


def run_gradus(arguments, seed, folder):
    """Runs the program, checks that its rate was the one used here, and returns the test accuracy after every epoch."""
    command = [arguments.train, "--data", str(arguments.data), "--epochs", str(arguments.epochs), "--seed", str(seed),
               "--threads", "1", "--out", str(folder)]
    with open(folder / "log.txt", "w") as log:
        subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=True)
    with open(folder / "metrics.csv") as file:
        epochs = list(csv.DictReader(file))
    steps = sum((arguments.data / f"data_batch_{i}.bin").stat().st_size // 3073 for i in range(1, 6)) // BATCH
    for i, epoch in enumerate(epochs):
        want = rate((i + 1) * steps - 1, steps, arguments.epochs)  # metrics.csv has that of an epoch's last step
        assert math.isclose(float(epoch["lr"]), want, rel_tol=1e-9), f"the rate of {epoch} should be {want}"
    return [float(epoch["test_accuracy"]) for epoch in epochs]


def run_pytorch(arguments, seed, folder):
    """The same for PyTorch: this script again, as a process with an allocator of its own."""
    subprocess.run([arguments.first_losses, "--out", str(folder), "--seed", str(seed), "--steps", "0"], check=True)
    command = [sys.executable, __file__, "--pytorch-run", str(arguments.data), str(folder), str(seed),
               str(arguments.epochs)]
    with open(folder / "log.txt", "w") as log:
        subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=True)
    return json.loads((folder / "accuracies.json").read_text())


def result_of(arguments, side, seed):
    """{"accuracies": one an epoch, "seconds": of the whole run}: from an earlier start of the script, or by running."""
    folder = arguments.out / f"{arguments.epochs}-epochs" / f"{side}-seed-{seed}"
    path = folder / "result.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        begin = time.monotonic()
        accuracies = {"gradus": run_gradus, "pytorch": run_pytorch}[side](arguments, seed, folder)
        result = {"accuracies": accuracies, "seconds": time.monotonic() - begin}
        unfinished = folder / "result.unfinished"
        unfinished.write_text(json.dumps(result))
        unfinished.rename(path)  # so that result.json is there whole, or not at all
        print(f"{side}, seed {seed}: {accuracies[-1]:.2%} in {result['seconds']:.0f} s", flush=True)
    return json.loads(path.read_text())


def pytorch_run(data, folder, seed, epochs):
    common.use_allocator("malloc")
    folder = pathlib.Path(folder)
    accuracies = train_in_pytorch(pathlib.Path(data), folder / "init.safetensors", int(seed), int(epochs))
    (folder / "accuracies.json").write_text(json.dumps(accuracies))


def report(results, seeds):
    """Prints the table. Returns what is wrong, or None."""
    print(f"{'seed':>9} {'gradus':>9} {'pytorch':>9} {'gradus s':>9} {'pytorch s':>9}")
    for seed in seeds:
        gradus, pytorch = results[seed, "gradus"], results[seed, "pytorch"]
        print(f"{seed:>9} {gradus['accuracies'][-1]:>9.2%} {pytorch['accuracies'][-1]:>9.2%}"
              f" {gradus['seconds']:>9.0f} {pytorch['seconds']:>9.0f}")
    means, errors = [], []
    for side in ("gradus", "pytorch"):
        final = [results[seed, side]["accuracies"][-1] for seed in seeds]
        means.append(statistics.mean(final))
        errors.append(statistics.stdev(final) / math.sqrt(len(seeds)))
    print(f"{'mean':>9} {means[0]:>9.2%} {means[1]:>9.2%}")
    print(f"{'std error':>9} {errors[0]:>9.2%} {errors[1]:>9.2%}")
    difference, allowed = means[0] - means[1], 2 * math.hypot(*errors)
    print(f"difference {difference:+.2%}, two standard errors of it {allowed:.2%}")
    return None if abs(difference) <= allowed else "the accuracies do not agree"


def main():
    if sys.argv[1:2] == ["--pytorch-run"]:
        return pytorch_run(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", help="the compiled examples/train.cpp")
    parser.add_argument("first_losses", help="the compiled benchmarks/first_losses.cpp")
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder of CIFAR-10, binary version")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at once, by default one a processor")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("run/accuracy"), help="folder for the results")
    arguments = parser.parse_args()
    if len(set(arguments.seeds)) < max(len(arguments.seeds), 2):
        parser.error("--seeds: give two or more, all different")

    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        runs = {(seed, side): pool.submit(result_of, arguments, side, seed)
                for seed in arguments.seeds for side in ("pytorch", "gradus")}
        results = {run: future.result() for run, future in runs.items()}

    sys.exit(report(results, arguments.seeds))


if __name__ == "__main__":
    main()
