#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs an example and compares its output with that of its opening comment.

    check.py SOURCE PROGRAM [ARGUMENT...]

The comment has a line that begins with "Output", and the lines of output follow it, indented by four spaces. In these
lines ... stands for any text that is not empty. With "in any order" in the first line, the order does not matter.
"""
import os
import re
import shlex
import subprocess
import sys


def promised(source):
    """The lines of output in the opening comment, and whether their order matters."""
    comment = open(source, encoding="utf-8").read().split("*/", 1)[0]
    lines = [re.sub(r"^ \* ?", "", line) for line in comment.splitlines()]
    start = next(i for i, line in enumerate(lines) if line.startswith("Output"))
    expected = []
    for line in lines[start + 1:]:
        if not line.startswith("    "):
            break
        expected.append(line[4:].rstrip())
    return expected, "in any order" not in lines[start]


def matches(expected, line):
    return re.fullmatch(".+".join(map(re.escape, expected.split("..."))), line) is not None


def main():
    source, command = sys.argv[1], sys.argv[2:]
    runner = shlex.split(os.environ.get("MESON_EXE_WRAPPER", ""))  # of a program that was built for elsewhere
    expected, ordered = promised(source)
    run = subprocess.run(runner + command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=20, text=True)
    lines = run.stdout.splitlines()
    print(run.stdout, end="")
    if run.returncode != 0:
        sys.exit(f"{command[0]}: exit code {run.returncode}")
    if not ordered:
        expected, lines = sorted(expected), sorted(lines)
    if len(expected) != len(lines) or not all(map(matches, expected, lines)):
        sys.exit("expected:\n" + "\n".join(expected))


if __name__ == "__main__":
    main()
