"""What the PyTorch peers share: the network, the allocator they run under, and the measurement of memory.

The network is the ResNet-(6n+2) of He, Zhang, Ren, Sun (2015), section 4.2, with parameters named as torchvision names
them. Everything here is written the way a careful PyTorch user would write it, to give PyTorch its best time: ReLU in
place, gradients set to None, a fused optimiser, and an allocator that keeps its memory instead of returning it.
"""
import glob
import os
import sys

ALLOCATORS = ("default", "malloc", "malloc_huge", "jemalloc", "jemalloc_huge", "tcmalloc")


def allocator_environment(name):
    """The environment variables that select an allocator, or None where the library is not installed."""
    gigabyte = str(1 << 30)
    # glibc's malloc, told to keep what it has: by default every large tensor is a fresh mmap, and its pages are
    # zeroed by the kernel again in every step.
    keep = {"MALLOC_TOP_PAD_": gigabyte, "MALLOC_MMAP_THRESHOLD_": gigabyte, "MALLOC_TRIM_THRESHOLD_": gigabyte}
    never_decay = "dirty_decay_ms:-1,muzzy_decay_ms:-1,background_thread:false"
    choices = {
        "default": {},
        "malloc": keep,
        "malloc_huge": {**keep, "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
        "jemalloc": {"LD_PRELOAD": library("libjemalloc.so*"), "MALLOC_CONF": never_decay},
        "jemalloc_huge": {"LD_PRELOAD": library("libjemalloc.so*"), "MALLOC_CONF": never_decay + ",thp:always"},
        "tcmalloc": {"LD_PRELOAD": library("libtcmalloc_minimal.so*"), "TCMALLOC_RELEASE_RATE": "0"},
    }
    environment = choices[name]
    return environment if None not in environment.values() else None


def library(pattern):
    found = sorted(glob.glob("/usr/lib/*/" + pattern) + glob.glob("/usr/lib64/" + pattern))
    return found[0] if found else None


def use_allocator(name):
    """Starts this program again under the allocator, unless it already runs under it.

    An allocator is chosen when a process is loaded, so it cannot be changed from within. The two OPENBLAS variables
    are removed because they override the detection of the processor and of its cache."""
    if os.environ.get("PEER_ALLOCATOR") == name:
        return
    environment = allocator_environment(name)
    if environment is None:
        sys.exit(f"allocator {name}: its library is not installed (Debian: libjemalloc2, libtcmalloc-minimal4)")
    removed = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "LD_PRELOAD", "MALLOC_CONF", "GLIBC_TUNABLES",
               "MALLOC_TOP_PAD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")
    kept = {key: value for key, value in os.environ.items() if key not in removed}
    quiet = {"KINETO_LOG_LEVEL": "99", "TORCH_CPP_LOG_LEVEL": "ERROR", "PEER_ALLOCATOR": name}
    os.execve(sys.executable, [sys.executable, *sys.argv], {**kept, **environment, **quiet})


def resident_bytes():
    return status_bytes("VmRSS")


def peak_resident_bytes():
    """The highest resident size since reset_peak_resident (before that, since the start: ru_maxrss)."""
    return status_bytes("VmHWM")


def reset_peak_resident():
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def status_bytes(field, process="self"):
    with open(f"/proc/{process}/status") as file:
        for line in file:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    raise KeyError(field)


def build_resnet(depth=20, classes=10):
    """CIFAR ResNet with option A shortcuts: every second pixel, new channels zero, half before and half after."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    class BasicBlock(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(outputs)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
            self.bn2 = nn.BatchNorm2d(outputs)
            self.relu = nn.ReLU(inplace=True)
            self.stride = stride
            self.new_channels = outputs - inputs

        def forward(self, x):
            shortcut = x
            if self.stride != 1 or self.new_channels != 0:
                half = self.new_channels // 2
                shortcut = F.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, half, half))
            y = self.relu(self.bn1(self.conv1(x)))
            y = self.bn2(self.conv2(y))
            y += shortcut
            return self.relu(y)

    class ResNet(nn.Module):
        def __init__(self):
            super().__init__()
            blocks = (depth - 2) // 6
            self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(16)
            self.relu = nn.ReLU(inplace=True)
            self.layer1 = self.stage(16, 16, blocks, 1)
            self.layer2 = self.stage(16, 32, blocks, 2)
            self.layer3 = self.stage(32, 64, blocks, 2)
            self.fc = nn.Linear(64, classes)
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

        @staticmethod
        def stage(inputs, outputs, blocks, stride):
            first = BasicBlock(inputs, outputs, stride)
            return nn.Sequential(first, *[BasicBlock(outputs, outputs, 1) for _ in range(blocks - 1)])

        def forward(self, x):
            x = self.relu(self.bn1(self.conv1(x)))
            x = self.layer3(self.layer2(self.layer1(x)))
            return self.fc(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))

    return ResNet()
