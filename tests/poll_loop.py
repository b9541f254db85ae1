#!/usr/bin/env python3
"""Holds the instructions that a wake, a spawn and an await point take without a trace, as callgrind counts them. Exit
77 (skipped) without valgrind, and for compilers whose numbers are not known.

    tests/poll_loop.py PROGRAM COMPILER VERSION   PROGRAM is made of tests/poll_loop.c, optimised as a release
"""
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# Instructions of one wake with its poll, of one spawn with its poll and end, and of one sleep of no time, in turns of
# 1000 tasks. The count of what a poll function of this test does itself is among them.
MOST = {('gcc', '12'): {'wake': 109.7, 'spawn': 153.9, 'sleep': 62.1}}
FEW, MANY = 20_000, 120_000


def count(program, what, operations):
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / 'callgrind.out'
        subprocess.run(['valgrind', '--tool=callgrind', f'--callgrind-out-file={out}', program, what, str(operations)],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        return int(re.findall(r'^(?:summary|totals): (\d+)$', out.read_text(), re.MULTILINE)[-1])


def main():
    if len(sys.argv) != 4:
        print(__doc__)
        return 2
    program, compiler, version = sys.argv[1:]
    most = MOST.get((compiler, version.split('.')[0]))
    if not most or not shutil.which('valgrind'):
        print(f'skipped: no valgrind, or no numbers for {compiler} {version}')
        return 77
    failures = 0
    for what, limit in most.items():
        each = (count(program, what, MANY) - count(program, what, FEW)) / (MANY - FEW)
        print(f'{what}: {each:.2f} instructions, {limit} allowed')
        failures += each > limit
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
