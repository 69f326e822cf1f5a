#!/usr/bin/env python3
"""Writes the golden values in this folder: what PyTorch computes in double, for the tests to compare Gradus with.

    python3 tests/golden/make_golden.py            writes operations, training, models and state_dict.safetensors
    python3 tests/golden/make_golden.py --check    compares those files with what PyTorch computes here and now

Needs PyTorch and safetensors: pip install torch safetensors numpy. The files in the repository were written by
PyTorch 2.15.0, safetensors 0.8.0 and NumPy 2.4.6 on x86-64. The same versions on the same kind of processor write the
same bytes; others may differ in the last digits, and --check then says by how much.

Nothing is random: every input is computed from its name by the rule of fill_rule.hpp, here and in the tests, so only
results are stored. Operations are in the order of Gradus: images (N, H, W, C), convolution weights (O, KH, KW, I);
models in PyTorch's. Gradients are those of f = sum dy*y with dy from the same rule.
"""
import pathlib
import sys
import zlib

import numpy
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import nn

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent.parent / "benchmarks"))
import pytorch_common  # noqa: E402  the CIFAR ResNet that the benchmarks compare with

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)  # the order of sums, and with it the last bits
torch.use_deterministic_algorithms(True)


# ---- inputs ----------------------------------------------------------------------------------------------------------


def fill(name, count):
    """Numbers in [-1, 1) that depend on the name and the index alone: fill_rule.hpp has the formula."""
    z = (numpy.uint64(zlib.crc32(name.encode())) << numpy.uint64(32)) + numpy.arange(count, dtype=numpy.uint64)
    z += numpy.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    z ^= z >> numpy.uint64(31)
    return 2 * ((z >> numpy.uint64(11)).astype(numpy.float64) * 2.0**-53) - 1


def draw(name, shape, low=-2.0, high=2.0, distinct=False):
    """An input of a row: 256 steps from low to high, exact in float; or no two equal ones."""
    count = int(numpy.prod(shape, dtype=numpy.int64))
    values = fill(name, count)
    if distinct:
        ranks = numpy.empty(count)
        ranks[numpy.argsort(values)] = numpy.arange(count)
        values = (ranks - count // 2) / 16
    else:
        values = low + (high - low) * numpy.floor((values + 1) * 128) / 256
    return torch.from_numpy(values.reshape(shape).copy())


def fill_parameters(model, g=3.0):
    """Every entry of a state dict from its name: the rule of fill_rule.hpp for whole models."""
    state = model.state_dict()
    for name, tensor in state.items():
        if tensor.dtype == torch.int64:
            continue
        v = torch.from_numpy(fill(name, tensor.numel())).reshape(tensor.shape)
        if tensor.dim() >= 2:
            v = v * (g / (tensor.numel() // tensor.shape[0])) ** 0.5
        elif name.endswith("running_var"):
            v = 1 + 0.5 * v
        elif name.endswith(".weight"):
            v = 1 + 0.2 * v
        else:
            v = 0.1 * v
        state[name] = v.to(tensor.dtype)
    model.load_state_dict(state)


def to_torch(tensor):
    return tensor.permute(0, 3, 1, 2).contiguous() if tensor.dim() == 4 else tensor


def to_gradus(tensor):
    return (tensor.permute(0, 2, 3, 1) if tensor.dim() == 4 else tensor).detach().contiguous().clone()


# ---- operations.safetensors: one row for each row of golden_operations_test.cpp --------------------------------------


def operations():
    file = {}

    def row(name, function, x=(), p=(), **how):
        names = [f"x{k}" for k in range(len(x))] + [f"p{k}" for k in range(len(p))]
        inputs = [to_torch(draw(f"{name}/{n}", shape, **how)).requires_grad_() for n, shape in zip(names, [*x, *p])]
        y = function(*inputs)
        dy = draw(f"{name}/dy", to_gradus(y).shape, -1, 1)
        assert dy.abs().max() > 0, name
        y.backward(to_torch(dy))
        file[f"{name}/y"] = to_gradus(y)
        for n, leaf in zip(names, inputs):
            file[f"{name}/d{n}"] = to_gradus(leaf.grad)

    def conv(name, x, weight, bias=True, **options):
        p = [weight, weight[:1]] if bias else [weight]
        row(name, lambda x, w, b=None: F.conv2d(x, w, b, **options), [x], p)

    conv("conv2d", (2, 5, 4, 3), (4, 3, 2, 3))
    conv("conv2d padded", (2, 5, 3, 2), (3, 3, 3, 2), bias=False, padding=1)
    conv("conv2d for Winograd", (1, 6, 5, 12), (12, 3, 3, 12), padding=1)
    conv("conv2d stride 2", (2, 7, 6, 2), (3, 3, 3, 2), stride=2, padding=1)
    conv("conv2d stride 3, an even kernel", (1, 11, 9, 2), (3, 4, 2, 2), stride=3, padding=1)
    conv("conv2d dilation 2", (1, 7, 6, 2), (3, 3, 2, 2), padding=2, dilation=2)
    conv("conv2d of 3 groups", (2, 4, 4, 6), (9, 3, 3, 2), padding=1, groups=3)
    conv("conv2d of 2 groups, stride, dilation", (1, 9, 8, 4), (6, 3, 3, 2), stride=2, padding=2, dilation=2, groups=2)
    conv("conv2d depthwise", (2, 5, 4, 5), (5, 3, 3, 1), padding=1, groups=5)
    conv("conv2d depthwise 5x5, stride 2", (1, 9, 7, 3), (3, 5, 5, 1), stride=2, padding=2, groups=3)
    conv("conv2d depthwise, two outputs a channel", (1, 5, 5, 3), (6, 3, 3, 1), padding=1, groups=3)
    conv("conv2d 1x1", (2, 3, 3, 5), (7, 1, 1, 5))
    conv("conv2d 1x1, stride 2", (1, 5, 4, 3), (2, 1, 1, 3), bias=False, stride=2)
    conv("conv2d 7x7, stride 2", (1, 9, 8, 3), (2, 7, 7, 3), stride=2, padding=3)

    row("linear", F.linear, [(5, 7)], [(3, 7), (3,)])
    row("linear without a bias", F.linear, [(3, 17)], [(4, 17)])
    row("matmul", torch.matmul, [(5, 7), (7, 3)])
    row("matmul, both transposed", lambda a, b: a.T @ b.T, [(7, 5), (3, 7)])

    x, channels = (2, 3, 2, 5), (5,)

    def batch_norm(x, gamma, beta, shortcut=0, relu=False, eps=1e-5):
        y = F.batch_norm(x, None, None, gamma, beta, training=True, eps=eps) + shortcut
        return F.relu(y) if relu else y

    def inference(x, gamma, beta, shortcut=0, relu=False):
        mean, var = torch.full(channels, 0.25), torch.full(channels, 1.5)
        y = F.batch_norm(x, mean, var, gamma, beta, training=False) + shortcut
        return F.relu(y) if relu else y

    affine = [channels, channels]
    row("batch_norm", batch_norm, [x], affine)
    row("batch_norm of another eps", lambda *in_: batch_norm(*in_, eps=0.25), [x], affine)
    row("batch_norm with a ReLU", lambda *in_: batch_norm(*in_, relu=True), [x], affine)
    row("batch_norm with a shortcut", lambda x, s, g, b: batch_norm(x, g, b, s), [x, x], affine)
    row("batch_norm with a shortcut and a ReLU", lambda x, s, g, b: batch_norm(x, g, b, s, True), [x, x], affine)
    row("batch_norm_inference", inference, [x], affine)
    row("batch_norm_inference with a ReLU", lambda *in_: inference(*in_, relu=True), [x], affine)
    row("batch_norm_inference with a shortcut and a ReLU", lambda x, s, g, b: inference(x, g, b, s, True), [x, x],
        affine)

    def pool(name, function, distinct=False, **options):
        row(name, lambda x: function(x, **options), [(1, 5, 7, 2)], distinct=distinct)

    pool("max_pool2d", F.max_pool2d, True, kernel_size=2)
    pool("max_pool2d with overlap and padding", F.max_pool2d, True, kernel_size=3, stride=2, padding=1)
    pool("max_pool2d with ceil_mode", F.max_pool2d, True, kernel_size=2, ceil_mode=True)
    pool("avg_pool2d", F.avg_pool2d, kernel_size=2)
    pool("avg_pool2d with overlap and padding", F.avg_pool2d, kernel_size=3, stride=2, padding=1)
    pool("avg_pool2d without counting the padding", F.avg_pool2d, kernel_size=3, stride=2, padding=1,
         count_include_pad=False)
    pool("avg_pool2d with ceil_mode and padding", F.avg_pool2d, kernel_size=3, stride=3, padding=1, ceil_mode=True)
    pool("avg_pool2d with ceil_mode, not counting", F.avg_pool2d, kernel_size=3, stride=3, padding=1, ceil_mode=True,
         count_include_pad=False)
    pool("adaptive_avg_pool2d", F.adaptive_avg_pool2d, output_size=(2, 3))
    pool("adaptive_avg_pool2d to more pixels", F.adaptive_avg_pool2d, output_size=(7, 8))
    pool("global_avg_pool2d", lambda x: F.adaptive_avg_pool2d(x, 1).flatten(1))

    def logits(name, function, shape=(5, 7)):
        row(name, function, [shape], low=-4.0, high=4.0)

    logits("softmax", lambda x: F.softmax(x, -1), (2, 2, 9))
    logits("log_softmax", lambda x: F.log_softmax(x, -1), (2, 2, 9))
    labels = torch.tensor([1, 3, 5, 0, 2])
    with_gaps = torch.tensor([1, -100, 5, 0, -100])
    weights = torch.tensor([1, 1.5, 2, 1, 1.5, 2, 1])
    soft = (torch.arange(35.0) % 4 / 4).reshape(5, 7)
    paper = torch.full((5, 7), 0.1 / 6).scatter_(1, labels[:, None], 1 - 0.1)  # eps/(K-1) for the others
    logits("cross_entropy", lambda z: F.cross_entropy(z, labels))
    logits("cross_entropy summed", lambda z: F.cross_entropy(z, labels, reduction="sum"))
    logits("cross_entropy of every row", lambda z: F.cross_entropy(z, labels, reduction="none"))
    logits("cross_entropy ignoring rows", lambda z: F.cross_entropy(z, with_gaps))
    logits("cross_entropy weighted", lambda z: F.cross_entropy(z, labels, weights))
    logits("cross_entropy smoothed", lambda z: F.cross_entropy(z, labels, label_smoothing=0.1))
    logits("cross_entropy of everything", lambda z: F.cross_entropy(z, with_gaps, weights, label_smoothing=0.1))
    logits("cross_entropy of everything, of every row",
           lambda z: F.cross_entropy(z, with_gaps, weights, label_smoothing=0.1, reduction="none"))
    logits("cross_entropy smoothed as in the paper", lambda z: F.cross_entropy(z, paper))
    logits("soft_cross_entropy", lambda z: F.cross_entropy(z, soft))
    logits("soft_cross_entropy weighted, of every row",
           lambda z: F.cross_entropy(z, soft, weights, reduction="none"))

    for function in (torch.relu, torch.exp, torch.square, torch.abs, torch.sigmoid, torch.tanh, F.softplus, F.silu,
                     F.gelu, F.leaky_relu):
        row(function.__name__, function, [(33,)], low=-8.0, high=8.0)
    for function in (torch.log, torch.sqrt, torch.reciprocal):
        row(function.__name__, function, [(33,)], low=0.25, high=4.0)

    broadcast = [(2, 3, 5), (3, 1)]
    row("add", torch.add, broadcast)
    row("sub", torch.sub, broadcast)
    row("mul", torch.mul, broadcast)
    row("div", torch.div, broadcast, low=0.5)
    row("maximum", torch.maximum, broadcast, low=0.5, high=3.5)
    row("sum over three of five", lambda x: x.sum((4, 0, 2)), [(2, 3, 2, 2, 5)])
    row("mean over H and W", lambda x: x.mean((2, 3)), [(2, 3, 4, 5)])
    row("max over two of three, kept", lambda x: x.amax((0, 2), keepdim=True), [(2, 3, 5)], distinct=True)
    row("flatten", lambda x: x.flatten(1), [(2, 2, 3, 4)])
    row("pad_shortcut", lambda x: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 2)), [(2, 4, 5, 2)])
    return file


# ---- training.safetensors: golden_training_test.cpp ------------------------------------------------------------------


def sgd(**options):
    """The weights after each of six steps; the rate changes twice."""
    weight = nn.Parameter(draw("sgd/weight", (5,)))
    gradients = draw("sgd/gradients", (6, 5))
    optimizer = torch.optim.SGD([weight], lr=1.0, **options)
    trajectory = []
    for lr, gradient in zip([0.1, 0.1, 0.05, 0.05, 0.2, 0.2], gradients):
        optimizer.param_groups[0]["lr"] = lr
        weight.grad = gradient.clone()
        optimizer.step()
        trajectory.append(weight.detach().clone())
    return torch.stack(trajectory)


def rates(steps, lr, make_scheduler):
    """The rate of every step."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = make_scheduler(optimizer)
    values = []
    for _ in range(steps):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return torch.tensor(values)


def training():
    schedulers = torch.optim.lr_scheduler

    def then(first, steps, next_):
        return lambda o: schedulers.SequentialLR(o, [first(o), next_(o)], milestones=[steps])

    def warm_up(o):
        return schedulers.LinearLR(o, start_factor=0.1, total_iters=5)

    def cosine(o):
        return schedulers.CosineAnnealingLR(o, T_max=10, eta_min=0.001)

    def multi_step(o):
        return schedulers.MultiStepLR(o, [2, 5, 9], gamma=0.2)

    return {
        "sgd": sgd(),
        "sgd with decay": sgd(weight_decay=0.01),
        "sgd with momentum": sgd(momentum=0.9),
        "sgd with momentum and decay": sgd(momentum=0.9, weight_decay=0.01),
        "sgd with dampening": sgd(momentum=0.9, dampening=0.5, weight_decay=0.01),
        "sgd of nesterov": sgd(momentum=0.9, nesterov=True),
        "sgd of nesterov with decay": sgd(momentum=0.9, nesterov=True, weight_decay=0.01),
        "schedule step": rates(10, 0.1, lambda o: schedulers.StepLR(o, 3)),
        "schedule exponential": rates(10, 0.1, lambda o: schedulers.ExponentialLR(o, 0.9)),
        "schedule multi-step": rates(12, 0.1, multi_step),
        "schedule cosine": rates(11, 0.1, cosine),  # beyond its end PyTorch's rises again
        "schedule linear": rates(8, 0.1, lambda o: schedulers.LinearLR(o, 1 / 3, total_iters=5)),
        "schedule gradual": rates(8, 0.4, lambda o: schedulers.LambdaLR(o, lambda i: min(i + 1, 5) / 5)),
        "schedule linear, then cosine": rates(16, 0.1, then(warm_up, 5, cosine)),
        "schedule linear, then multi-step": rates(16, 0.1, then(warm_up, 5, multi_step)),
    }


# ---- models.safetensors and state_dict.safetensors: golden_models_test.cpp -------------------------------------------


class Bottleneck(nn.Module):
    """The bottleneck block of torchvision with a projection, 4 to 8 channels, stride 2."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(4, 2, 1, bias=False), nn.BatchNorm2d(2)
        self.conv2, self.bn2 = nn.Conv2d(2, 2, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(2)
        self.conv3, self.bn3 = nn.Conv2d(2, 8, 1, bias=False), nn.BatchNorm2d(8)
        self.downsample = nn.Sequential(nn.Conv2d(4, 8, 1, stride=2, bias=False), nn.BatchNorm2d(8))
        self.relu = nn.ReLU()

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        return self.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class Small(nn.Module):
    """What state_dict.safetensors belongs to. The linear layer sees the order of the channels."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 3, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(3)
        self.fc = nn.Linear(3 * 4 * 5, 4)

    def forward(self, x):
        return self.fc(torch.flatten(F.relu(self.bn1(self.conv1(x))), 1))


def filled_input(shape, dtype, name="input"):
    return torch.from_numpy(fill(name, int(numpy.prod(shape)))).reshape(shape).to(dtype)


def check_margin(model):
    """Stops where a ReLU meets a number within 3e-5 of 0.

    Its derivative jumps there: a rounding in float, of up to some 1e-6, could make a gradient another one."""

    def check(_, inputs):
        smallest = inputs[0].abs().min().item()
        if smallest < 3e-5:
            raise ValueError(f"a ReLU meets {smallest:.1e}: choose another input")

    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_pre_hook(check)


def gradients_of(model):
    return {f"gradient/{name}": parameter.grad.clone() for name, parameter in model.named_parameters()}


def buffers_of(model):
    return {f"buffer/{name}": b.clone() for name, b in model.named_buffers() if b.is_floating_point()}


def bottleneck(dtype):
    model = Bottleneck()
    fill_parameters(model)
    model.to(dtype)
    check_margin(model)
    x = filled_input((3, 4, 7, 6), dtype).requires_grad_()
    y = model(x)
    dy = torch.from_numpy(fill("dy", y.numel())).reshape(y.shape)
    y.backward(dy.to(dtype))
    return {"y": y, "dx": x.grad} | gradients_of(model) | buffers_of(model)


def resnet20(dtype, input_name="input 34"):
    """Three training steps: SGD, Nesterov momentum 0.9, rate 0.01, decay 1e-4 of weights only. Then evaluation.

    Of the inputs called "input 0", "input 1", ... it is the first that passes check_margin."""
    model = pytorch_common.build_resnet(20, 10)
    fill_parameters(model)
    model.to(dtype)
    check_margin(model)
    images, labels = filled_input((4, 3, 8, 8), dtype, input_name), torch.tensor([0, 3, 6, 9])
    decayed = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": decayed, "weight_decay": 1e-4}, {"params": others, "weight_decay": 0}]
    optimizer = torch.optim.SGD(groups, lr=0.01, momentum=0.9, nesterov=True)
    values, losses = {}, []
    for step in range(3):
        optimizer.zero_grad()
        logits = model(images)
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        values[f"step {step}/logits"] = logits
        losses.append(loss.detach())
        if step == 0:
            values |= gradients_of(model)
        optimizer.step()
    values["losses"] = torch.stack(losses)
    values |= buffers_of(model)
    model.eval()
    values["evaluation/logits"] = model(images)
    return values


def compared(model_name, values_of, is_whole=lambda name: True):
    """A model's values in double, and how far PyTorch's own float is from them.

    Of every gradient and buffer, in the model's order, there is a row of two numbers in "summary": its norm, and its
    product with a unit vector. Most of them are not stored otherwise. "float_error" is the largest relative error of a
    value in float."""
    exact, single = values_of(torch.float64), values_of(torch.float32)
    file, summary, float_error = {}, [], 0.0
    for name, value in exact.items():
        value = value.detach()
        float_error = max(float_error, ((single[name].detach().double() - value).norm() / value.norm()).item())
        if is_whole(name):
            file[f"{model_name}/{name}"] = value.contiguous()
        if name.startswith(("gradient/", "buffer/")):
            unit = torch.from_numpy(fill(f"unit/{name}", value.numel())).reshape(value.shape)
            summary.append(torch.stack([value.norm(), (value * unit).sum() / unit.norm()]))
    file[f"{model_name}/summary"] = torch.stack(summary)
    file[f"{model_name}/float_error"] = torch.tensor(float_error)
    return file


def models():
    kept = ("step", "losses", "evaluation", "gradient/conv1.", "gradient/bn1.", "gradient/fc.", "buffer/bn1.")
    file = compared("bottleneck", bottleneck) | compared("resnet20", resnet20, lambda name: name.startswith(kept))
    small = Small()
    small.load_state_dict(state_dict())
    small.eval()
    file["small/logits"] = small(filled_input((2, 2, 4, 5), torch.float64)).detach()
    return file


def state_dict():
    """The weights of Small as its user would save them: in float, with the counters."""
    model = Small()
    fill_parameters(model)
    model.float()
    model.bn1.num_batches_tracked.fill_(7)
    return model.state_dict()


# ---- files -----------------------------------------------------------------------------------------------------------


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    by = {"written_by": "tests/golden/make_golden.py"}
    files = {"operations": (operations(), by), "training": (training(), by), "models": (models(), by),
             "state_dict": (state_dict(), {"format": "pt"})}
    failed = False
    for name, (tensors, metadata) in files.items():
        path = FOLDER / f"{name}.safetensors"
        contents = safetensors.torch.save(tensors, metadata=metadata)
        if not sys.argv[1:]:
            path.write_bytes(contents)
            print(f"{path.name}: {len(tensors)} tensors, {len(contents)} bytes")
            continue
        old = path.read_bytes()
        if old == contents:
            print(f"{path.name}: the same bytes")
            continue
        old = safetensors.torch.load(old)
        if {k: v.shape for k, v in old.items()} != {k: v.shape for k, v in tensors.items()}:
            sys.exit(f"{path.name}: other names or shapes")
        worst = 0.0
        for key, value in tensors.items():
            if key.endswith("/float_error"):  # a measurement, not a value
                continue
            largest = value.double().abs().max().item()
            if largest > 0:
                worst = max(worst, (old[key].double() - value.double()).abs().max().item() / largest)
        print(f"{path.name}: other bytes, values differ by at most {worst:.1e} of the largest of their tensor")
        failed = failed or worst > 1e-12
    if failed:
        sys.exit("that is more than the order of sums explains")


if __name__ == "__main__":
    main()
