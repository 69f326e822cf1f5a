#!/usr/bin/env python3
"""Which lines of the CUDA kernels the tests run: of every .cuh file, the share of its lines, and the lines left out.

    CXX=g++ CXXFLAGS="-O1 --coverage" BUILD_DIR=build/coverage CMAKE_ARGS=-DCMAKE_BUILD_TYPE=None tests/run _cuda_test
    python3 tests/cuda_coverage.py build/coverage --least 95

A line counts as run if one instantiation of its template ran it. With --least it is an error to be below that percentage.
"""
import argparse
import collections
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def counts_of(build):
    """{file: {line: how often it ran}} of all .cuh files that the compiled tests contain."""
    notes = [os.path.join(folder, name) for folder, _, names in os.walk(build) for name in names
             if name.endswith(".gcda")]
    if not notes:
        sys.exit(f"{build} has no .gcda files: build with --coverage and run the tests first")
    counts = collections.defaultdict(collections.Counter)
    for note in sorted(notes):
        report = subprocess.run(["gcov", "--stdout", "--json-format", os.path.abspath(note)], cwd=build, check=True,
                                capture_output=True, text=True)
        for document in filter(None, report.stdout.splitlines()):
            for file in json.loads(document)["files"]:
                if file["file"].endswith(".cuh"):
                    for line in file["lines"]:
                        counts[os.path.relpath(file["file"], ROOT)][line["line_number"]] += line["count"]
    return counts


def ranges(lines):
    """[3, 4, 5, 9] as '3-5, 9'."""
    spans = []
    for line in lines:
        if spans and line == spans[-1][1] + 1:
            spans[-1][1] = line
        else:
            spans.append([line, line])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", help="the folder of a build with --coverage whose tests have run")
    parser.add_argument("--least", type=float, help="the percentage of lines that must have run")
    arguments = parser.parse_args()

    counts = counts_of(arguments.build)
    files = [os.path.relpath(os.path.join(folder, name), ROOT)
             for folder, _, names in os.walk(os.path.join(ROOT, "include")) for name in names if name.endswith(".cuh")]
    run = total = 0
    for file in sorted(files):
        lines = counts.get(file, {})
        missed = sorted(line for line, count in lines.items() if count == 0)
        run += len(lines) - len(missed)
        total += len(lines)
        share = f"{100 * (1 - len(missed) / len(lines)):5.1f}%" if lines else " never compiled"
        print(f"{share}  {file}{': lines ' + ranges(missed) if missed else ''}")
    percentage = 100 * run / total if total else 0
    print(f"{percentage:5.1f}%  of {total} lines in {len(files)} files")
    if any(file not in counts for file in files):
        sys.exit("a file is in no test")
    if arguments.least is not None and percentage < arguments.least:
        sys.exit(f"less than {arguments.least}%")


if __name__ == "__main__":
    main()
