#!/usr/bin/env python3
"""What nvcc makes of the library's CUDA kernels: registers, spills, shared memory, occupancy, instructions.

    python3 benchmarks/kernel_report.py                       sm_75, 80, 86, 89, 90, 100, 120; needs nvcc, no GPU
    python3 benchmarks/kernel_report.py --arch 80 90 --gate   a table for each, and an error where a rule is broken

It compiles benchmarks/cuda_kernels.cu, which uses every kernel, once for each architecture, and reads the machine code
itself. Columns: registers of a thread; bytes spilled to memory; shared memory of a block (without the dynamic part);
occupancy, the share of a multiprocessor's threads that are there at once; loads, and stores, of 128 bits to device
memory against all of them; asynchronous copies to shared memory; tensor-core instructions.

Rules (--gate):
    every kernel in include/ is compiled, and draws no warning
    none spills, or uses local memory; every one has __launch_bounds__ and fits into a multiprocessor
    wmma kernels use the tensor cores, where the architecture has them for the type
    all others load and store 128 bits at a time, but for those that NARROW names, each with its reason, and those that
    say by their last template argument N that they take words of less
The encoding of instructions is not documented: before an architecture is reported, a kernel whose instructions are known
is compiled for it, and must be read right. What a kernel costs at run time is not in here: that takes a card.
Which kernels spill depends on the version of nvcc. With 13.0 no rule is broken, nor for sm_80, 100 and 120 with 13.2.
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

# The lowest 12 bits of an instruction of 128 bits: the same from sm_75 to sm_120, as nvdisasm 13 reads them.
OPCODES = {0x23c: "HMMA", 0x981: "LDG", 0x381: "LDG", 0x986: "STG", 0x386: "STG", 0x984: "LDS", 0x388: "STS",
           0x988: "STS", 0x983: "LDL", 0x387: "STL", 0x987: "STL", 0xfae: "LDGSTS"}
BITS = {4: 32, 5: 64, 6: 128}  # field 73..75 of a load or store; below 4 are 8 and 16 bits

# A kernel with known instructions: 128 and 64 bits loaded and stored, one array in local memory, one product.
PROBE = """#include <mma.h>
__global__ void probe(const int4* x, int4* y, const int2* a, int2* b, const __half* h, float* f, int i) {
    y[threadIdx.x] = x[threadIdx.x];
    b[threadIdx.x] = a[threadIdx.x];
    volatile int local[64];
    local[i] = 1;
    f[i] = local[i / 2];
    using namespace nvcuda::wmma;
    fragment<matrix_a, 16, 16, 16, __half, row_major> left;
    fragment<matrix_b, 16, 16, 16, __half, row_major> right;
    fragment<accumulator, 16, 16, 16, float> sum;
    fill_fragment(sum, 0.0f);
    load_matrix_sync(left, h, 16);
    load_matrix_sync(right, h, 16);
    mma_sync(sum, left, right, sum);
    store_matrix_sync(f, sum, 16, mem_row_major);
}
"""

TENSOR_CORES = ["conv2d_gemm_kernel", "conv2d_gemm_weights_kernel"]

# Kernels that may use local memory, and why.
SPILLS = {(75, "conv2d_depthwise_kernel<BFloat16>"): "these cards convert BFloat16 in software, 12 instructions an "
                                                     "element: what is too long is not unrolled"}

# Kernels without 128-bit loads, or stores, or both, and why. All others must have both.
NARROW = {
    # what they read is large, what they write is small: a number for each channel, row or part
    "sum_kernel": ("stores", "a sum for many elements"),
    "max_kernel": ("stores", "a position for many elements"),
    "channel_moments_kernel": ("stores", "two numbers a channel and part, in Sum<T>"),
    "batch_norm_sums_kernel": ("stores", "two numbers a channel and part, in Sum<T>"),
    "cross_entropy_forward_kernel": ("stores", "three numbers a row"),
    "sum_of_squares_kernel": ("stores", "a sum for 64 KB"),
    "conv2d_depthwise_backward_weights_kernel": ("stores", "a window for each channel"),
    # what they write is large, what they read is small
    "fill_rows_kernel": ("loads", "a bias, from the cache"),
    "fill_kernel": ("loads", "reads nothing"),
    "round_kernel": ("stores", "a pack of floats becomes half a pack of T"),
    "col2im_kernel": ("stores", "a pack of floats becomes half a pack of T"),
    # small beside the kernels that they follow
    "channel_statistics_kernel": ("both", "a few parts of each channel"),
    "batch_norm_parameters_kernel": ("both", "a few parts of each channel"),
    "batch_norm_rstd_kernel": ("both", "one number a channel"),
    "batch_norm_update_running_kernel": ("both", "one number a channel"),
    "batch_norm_add_share_kernel": ("both", "one number a channel"),
    "cross_entropy_sums_kernel": ("both", "one number a row"),
    "cross_entropy_finish_kernel": ("both", "one number a block"),
    "max_forward_kernel": ("both", "one element of each reduced block, from anywhere"),
    "max_backward_kernel": ("both", "one element of each reduced block, to anywhere"),
    "positions_along_kernel": ("both", "one number of each reduced block"),
    "idle_kernel": ("both", "never runs: card_problem() asks about it"),
    "find_first_kernel": ("both", "any test of single elements; for checks, not for training"),
    # for memory that is not made of packs, beside a kernel for memory that is
    "gather_elements_kernel": ("both", "rows that are no packs"),
    "scatter_elements_kernel": ("both", "rows that are no packs"),
    "place_elements_kernel": ("both", "rows that are no packs"),
    # neighbouring threads have neighbouring elements, and tiles in shared memory do the rest
    "transpose_kernel": ("both", "a tile is read along one side and written along the other"),
    "conv2d_pack_weights_kernel": ("both", "a tile is read along one side and written along the other"),
    "tiled_matmul_kernel": ("both", "the first rung, to be read"),
    "register_blocked_matmul_kernel": ("stores", "four neighbours, which are 8 bytes of 16-bit types"),
    "conv2d_direct_forward_kernel": ("both", "the first rung, to be read"),
    "conv2d_direct_backward_data_kernel": ("both", "the first rung, to be read"),
    "conv2d_direct_backward_weights_kernel": ("both", "the first rung, to be read"),
    "conv2d_tiled_kernel": ("both", "chunks of 8 channels; stores four neighbours, which are 8 bytes of 16-bit types"),
    "conv2d_tiled_backward_weights_kernel": ("loads", "tiles of 32 x 32, element by element"),
    "conv2d_gemm_weights_kernel": ("stores", "neighbouring threads have neighbouring channels"),
}


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
        if name in ("LDG", "STG"):
            counts[name, BITS.get(high >> 9 & 7)] += 1
    return counts


def occupancy(arch, registers, shared, threads):
    most_threads, most_blocks, shared_kb = LIMITS[arch]
    warps = (threads + 31) // 32
    registers_of_block = warps * 32 * ((registers + 7) // 8 * 8)
    blocks = min(most_blocks, most_threads // (32 * warps), REGISTERS // max(registers_of_block, 1),
                 shared_kb * 1024 // (shared + 1024))
    return blocks * 32 * warps / most_threads


def compile_cubin(arch, source, folder, *options):
    """The path of the machine code, and what nvcc had to say."""
    cubin = os.path.join(folder, f"sm_{arch}.cubin")
    try:
        run = subprocess.run(["nvcc", "-x", "cu", "-std=c++20", "-O2", "-cubin", f"-arch=sm_{arch}", *options,
                              "-I" + os.path.join(ROOT, "include"), source, "-o", cubin],
                             capture_output=True, text=True)
    except FileNotFoundError:
        sys.exit("kernel_report.py needs nvcc, from the CUDA toolkit, in the PATH")
    if run.returncode != 0:
        sys.exit(f"sm_{arch}: nvcc does not compile {source}:\n{run.stderr}")
    return cubin, run.stderr


def check_opcodes(arch, folder):
    """Ends the program if the instructions of this architecture are not those of OPCODES and BITS."""
    source = os.path.join(folder, "probe.cu")
    with open(source, "w") as file:
        file.write(PROBE)
    with open(compile_cubin(arch, source, folder)[0], "rb") as file:
        (code,) = [content for name, content in sections(file.read()) if name.startswith(".text.")]
    found = instructions(code)
    for what in [("LDG", 128), ("STG", 128), ("LDG", 64), "STL", "LDL", "HMMA"]:
        if found[what] == 0 or (isinstance(what, tuple) and what[1] == 128 and found[what] != 1):
            sys.exit(f"sm_{arch}: the probe has {found[what]} instructions {what} by OPCODES and BITS of "
                     f"kernel_report.py: the encoding of this architecture is another one")


def compile_kernels(arch, source, folder):
    """The kernels of the source: a list of dictionaries, in the order of their names."""
    cubin, messages = compile_cubin(arch, source, folder, "-Xptxas=-v")
    warnings = [line for line in messages.splitlines() if re.search(r"\bwarning\b", line)]
    kernels = {}
    for entry in re.split(r"Compiling entry function ", messages)[1:]:
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


def wide(counts):
    """How many loads, and stores, of 128 bits. An asynchronous copy to shared memory is a load, always of 16 bytes in
    this library; its width is not read, because from sm_100 on it is encoded in another way."""
    return counts["LDG", 128] + counts["LDGSTS"], counts["STG", 128]


def print_table(arch, kernels):
    print(f"\nsm_{arch}: {len(kernels)} kernels\n"
          f"{'registers':>9} {'spilled':>7} {'shared':>7} {'occupancy':>9} {'loads':>9} {'stores':>9} {'async':>5} "
          f"{'tensor':>6}")
    for kernel in kernels:
        counts = kernel["counts"]
        share = occupancy(arch, kernel["registers"], kernel["shared"], kernel["threads"]) if kernel["threads"] else None
        loads, stores = wide(counts)
        print(f"{kernel['registers']:>9} {kernel['spills']:>7} {kernel['shared']:>7} "
              f"{'?' if share is None else f'{share:.0%}':>9} {loads:>4}/{counts['LDG'] + counts['LDGSTS']:<4} "
              f"{stores:>4}/{counts['STG']:<4} {counts['LDGSTS']:>5} {counts['HMMA']:>6}  {kernel['name']}")


def family(name):
    """conv2d_gemm_kernel of conv2d_gemm_kernel<Half, true>."""
    return name.split("<")[0]


def takes_packs(name):
    """Whether the words of a kernel<..., T, N> have 16 bytes: N is missing, or makes them so."""
    found = re.search(r"\b(float|double|Half|BFloat16), (\d+)>$", name)
    bytes_of = {"float": 4, "double": 8, "Half": 2, "BFloat16": 2}
    if name.endswith(", false>") or found and family(name) == "col2im_kernel":  # N is of Sum<T> there
        return not name.endswith((", false>", ", 1>"))
    return not found or bytes_of[found[1]] * int(found[2]) == 16


def broken_rules(arch, kernels):
    for kernel in kernels:
        name, counts = kernel["name"], kernel["counts"]
        if (kernel["spills"] or counts["LDL"] or counts["STL"]) and (arch, name) not in SPILLS:
            yield (f"{name} spills: {kernel['spills']} bytes, {counts['LDL']} loads and {counts['STL']} stores of "
                   f"local memory")
        if kernel["threads"] is None:
            yield f"{name} has no __launch_bounds__"
        elif occupancy(arch, kernel["registers"], kernel["shared"], kernel["threads"]) == 0:
            yield (f"{name} needs more than a multiprocessor has: {kernel['threads']} threads of "
                   f"{kernel['registers']} registers, {kernel['shared']} bytes of shared memory")
        if family(name) in TENSOR_CORES and arch < 80 and "BFloat16" in name:
            continue  # an empty kernel: these tensor cores do not know the type
        if family(name) in TENSOR_CORES and counts["HMMA"] == 0:
            yield f"{name} does not use the tensor cores"
        if not takes_packs(name):
            continue
        narrow, loads_and_stores = NARROW.get(family(name), ("", ""))[0], wide(counts)
        for what, number in zip(("loads", "stores"), loads_and_stores):
            if number == 0 and narrow not in (what, "both"):
                yield f"{name} has no {what} of 128 bits, and NARROW in kernel_report.py does not say why"


def declared_kernels():
    """The names of the __global__ functions in include/, with their files."""
    for folder, _, files in sorted(os.walk(os.path.join(ROOT, "include"))):
        for file in sorted(files):
            with open(os.path.join(folder, file)) as opened:
                code = re.sub(r"//[^\n]*", "", opened.read())
            for name in re.findall(r"__global__ void (?:__launch_bounds__\([^;{]*?\)\s+)?(\w+)\(", code):
                yield name, os.path.relpath(os.path.join(folder, file), ROOT)


def unused_kernels(source, kernels):
    compiled = {family(kernel["name"]) for kernel in kernels}
    declared = dict(declared_kernels())
    for name, file in declared.items():
        if name not in compiled:
            yield f"{name} of {file} is not used in {os.path.relpath(source, ROOT)}: nobody has looked at its code"
    for name in NARROW:
        if name not in declared:
            yield f"NARROW in kernel_report.py names {name}, which is not in include/"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", type=int, nargs="+", choices=ARCHITECTURES, default=ARCHITECTURES, metavar="N")
    parser.add_argument("--gate", action="store_true", help="fail where a rule is broken")
    parser.add_argument("--source", default=os.path.join(ROOT, "benchmarks", "cuda_kernels.cu"))
    arguments = parser.parse_args()
    broken = []
    with tempfile.TemporaryDirectory() as folder:
        for arch in arguments.arch:
            check_opcodes(arch, folder)
            kernels, warnings = compile_kernels(arch, arguments.source, folder)
            print_table(arch, kernels)
            broken += [f"sm_{arch}: {line}" for line in [*warnings, *broken_rules(arch, kernels),
                                                         *unused_kernels(arguments.source, kernels)]]
    print()
    for rule in broken:
        print(rule)
    if not broken:
        print("no rule is broken")
    if arguments.gate and broken:
        sys.exit(1)


if __name__ == "__main__":
    main()
