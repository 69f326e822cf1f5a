#!/usr/bin/env python3
"""What nvcc makes of the library's CUDA kernels: registers, spills, shared memory, occupancy, instructions.

    python3 benchmarks/kernel_report.py                       sm_75, 80, 86, 89, 90, 100, 120; needs nvcc, no GPU
    python3 benchmarks/kernel_report.py --arch 80 90 --gate   a table for each, and an error where a rule is broken

It compiles benchmarks/cuda_kernels.cu, which uses every kernel, once for each architecture, and reads the machine code
itself. Columns: registers of a thread; bytes spilled to memory; shared memory of a block (without the dynamic part);
occupancy, the share of a multiprocessor's threads that are there at once; loads and stores of 128 bits to device memory
against all of them; asynchronous copies to shared memory; tensor-core instructions.

Rules (--gate): nothing spills; kernels that are called wmma use the tensor cores; kernels that read packs use 128-bit
loads. What a kernel costs at run time is not in here: that takes a card.
"""
import argparse
import collections
import os
import re
import struct
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ARCHITECTURES = [75, 80, 86, 89, 90, 100, 120]

# Of a multiprocessor: threads, blocks, KB of shared memory (CUDA C++ Programming Guide, "Compute Capabilities").
LIMITS = {75: (1024, 16, 64), 80: (2048, 32, 164), 86: (1536, 16, 100), 89: (1536, 24, 100), 90: (2048, 32, 228),
          100: (2048, 32, 228), 120: (1536, 24, 100)}
REGISTERS = 65536

# The lowest 12 bits of an instruction of 128 bits. These have been the same from sm_75 to sm_120.
OPCODES = {0x23c: "HMMA", 0x981: "LDG", 0x381: "LDG", 0x986: "STG", 0x386: "STG", 0x984: "LDS", 0x388: "STS",
           0x988: "STS", 0x983: "LDL", 0x387: "STL", 0x987: "STL", 0xfae: "LDGSTS"}
BITS = {4: 32, 5: 64, 6: 128}  # field 73..75 of a load or store; below 4 are 8 and 16 bits

# Kernels whose hot loop must use wide loads, or the tensor cores, by parts of their names.
MUST_BE_WIDE = ["unary_forward", "unary_backward", "binary_forward", "sgd_", "batch_norm_forward", "dropout", "unscale"]
MUST_USE_TENSOR_CORES = ["wmma", "implicit_gemm"]


def sections(elf):
    """Name and bytes of each section of a 64-bit ELF file."""
    (offset,) = struct.unpack_from("<Q", elf, 0x28)
    count, names = struct.unpack_from("<HH", elf, 0x3C)
    headers = [struct.unpack_from("<IIQQQQIIQQ", elf, offset + 64 * i) for i in range(count)]
    for header in headers:
        start = headers[names][4] + header[0]
        name = elf[start:elf.index(b"\0", start)].decode()
        yield name, b"" if header[1] == 8 else elf[header[4]:header[4] + header[5]]


def block_threads(info):
    """The largest block that __launch_bounds__ allows, from a kernel's .nv.info section."""
    at = 0
    while at + 4 <= len(info):
        form, attribute, size = struct.unpack_from("<BBH", info, at)
        at += 4
        if form != 4:  # the value is in the size field
            continue
        if attribute == 0x05:
            x, y, z = struct.unpack_from("<III", info, at)
            return x * y * z
        at += size
    return None


def instructions(code):
    counts = collections.Counter()
    for at in range(0, len(code) - 15, 16):
        low, high = struct.unpack_from("<QQ", code, at)
        name = OPCODES.get(low & 0xFFF)
        if name is None:
            continue
        counts[name] += 1
        if name in ("LDG", "STG") and BITS.get(high >> 9 & 7) == 128:
            counts["wide"] += 1
    return counts


def occupancy(arch, registers, shared, threads):
    most_threads, most_blocks, shared_kb = LIMITS[arch]
    warps = (threads + 31) // 32
    registers_of_block = warps * 32 * ((registers + 7) // 8 * 8)
    blocks = min(most_blocks, most_threads // (32 * warps), REGISTERS // max(registers_of_block, 1),
                 shared_kb * 1024 // (shared + 1024))
    return blocks * 32 * warps / most_threads


def compile_kernels(arch, source, folder):
    """The kernels of the source: a list of dictionaries, in the order of their names."""
    cubin = os.path.join(folder, f"kernels_{arch}.cubin")
    run = subprocess.run(["nvcc", "-x", "cu", "-std=c++20", "-O2", "-cubin", f"-arch=sm_{arch}", "-Xptxas=-v",
                          "-I" + os.path.join(ROOT, "include"), source, "-o", cubin], capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(run.stderr)
    warnings = [line for line in run.stderr.splitlines() if "warning" in line]
    kernels = {}
    for entry in re.split(r"Compiling entry function ", run.stderr)[1:]:
        name = entry[1:entry.index("'", 1)]
        spills = re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", entry)
        used = re.search(r"Used (\d+) registers", entry)
        shared = re.search(r"(\d+) bytes smem", entry)
        kernels[name] = {"registers": int(used[1]), "spills": int(spills[1]) + int(spills[2]),
                         "shared": int(shared[1]) if shared else 0}
    with open(cubin, "rb") as file:
        elf = file.read()
    for section, content in sections(elf):
        if section.startswith(".text."):
            kernels[section[6:]]["counts"] = instructions(content)
        if section.startswith(".nv.info."):
            kernels[section[9:]]["threads"] = block_threads(content)
    names = subprocess.run(["c++filt", "-p"], input="\n".join(kernels), capture_output=True, text=True).stdout
    for kernel, readable in zip(kernels.values(), names.splitlines()):
        kernel["name"] = re.sub(r"gradus::(\w+::)?", "", readable)
    return sorted(kernels.values(), key=lambda kernel: kernel["name"]), warnings


def print_table(arch, kernels):
    print(f"\nsm_{arch}: {len(kernels)} kernels\n"
          f"{'registers':>9} {'spilled':>7} {'shared':>7} {'occupancy':>9} {'wide/all':>9} {'async':>5} {'tensor':>6}")
    for kernel in kernels:
        counts = kernel["counts"]
        share = occupancy(arch, kernel["registers"], kernel["shared"], kernel["threads"]) if kernel["threads"] else None
        wide = f"{counts['wide']}/{counts['LDG'] + counts['STG']}"
        print(f"{kernel['registers']:>9} {kernel['spills']:>7} {kernel['shared']:>7} "
              f"{'?' if share is None else f'{share:.0%}':>9} {wide:>9} {counts['LDGSTS']:>5} {counts['HMMA']:>6}  "
              f"{kernel['name']}")


def broken_rules(arch, kernels):
    for kernel in kernels:
        name, counts = kernel["name"], kernel["counts"]
        if kernel["spills"] or counts["LDL"] or counts["STL"]:
            yield f"sm_{arch}: {name} spills {kernel['spills']} bytes"
        if kernel["threads"] is None:
            yield f"sm_{arch}: {name} has no __launch_bounds__"
        elif kernel["registers"] * kernel["threads"] > REGISTERS:
            yield f"sm_{arch}: {name} needs more registers than a multiprocessor has"
        takes_single_elements = name.endswith(", 1>")  # for channels that do not come in packs
        if any(part in name for part in MUST_BE_WIDE) and counts["wide"] == 0 and not takes_single_elements:
            yield f"sm_{arch}: {name} has no 128-bit access"
        if any(part in name for part in MUST_USE_TENSOR_CORES) and counts["HMMA"] == 0:
            yield f"sm_{arch}: {name} does not use the tensor cores"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", type=int, nargs="+", choices=ARCHITECTURES, default=ARCHITECTURES, metavar="N")
    parser.add_argument("--gate", action="store_true", help="fail where a rule is broken")
    parser.add_argument("--source", default=os.path.join(ROOT, "benchmarks", "cuda_kernels.cu"))
    arguments = parser.parse_args()
    broken = []
    with tempfile.TemporaryDirectory() as folder:
        for arch in arguments.arch:
            kernels, warnings = compile_kernels(arch, arguments.source, folder)
            print_table(arch, kernels)
            broken += [f"sm_{arch}: {line}" for line in warnings] + list(broken_rules(arch, kernels))
    print()
    for rule in broken:
        print(rule)
    if not broken:
        print("no rule is broken")
    if arguments.gate and broken:
        sys.exit(1)


if __name__ == "__main__":
    main()
