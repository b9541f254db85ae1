#!/usr/bin/env python3
"""Checks the costs of operations against bench/budgets.toml: instructions and allocations (callgrind), system calls
(strace), bytes. The exit code is 77 (skipped) if this machine can count none of them.

    bench/budgets.py BENCH POLL_LOOP BYTES ARCHIVE COMPILER VERSION     programs of an optimised release build
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

BUDGETS = Path(__file__).with_suffix('.toml')
FEW, MANY = 2_000, 12_000  # a cost is the difference of a long and a short run, so that set-up cancels out
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != 'MALLOC_PERTURB_'}  # Meson sets it
ALLOCATORS = re.compile(r'(malloc|calloc|realloc|memalign|posix_memalign|aligned_alloc|mmap|operator new.*)(@.*)?$')


def run(command):
    """The standard output of the command. Ends the test if the command fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
                          timeout=300, check=False)
    if done.returncode != 0:
        sys.exit(f'{" ".join(map(str, command))}: exit {done.returncode}\n{done.stderr}')
    return done.stdout


def allocations(lines):
    """The number of calls of allocators in a callgrind file. The file has each name only once, with its number, as in
    `cfn=(12) malloc`; later lines have the number only."""
    names, called, total = {}, '', 0
    for line in lines:
        named = re.match(r'c?fn=(\(\d+\))(?: (.*))?$', line)
        if named:
            name = names.setdefault(named[1], named[2] or '')
            called = name if line.startswith('c') else called
        elif line.startswith('calls=') and ALLOCATORS.match(called):
            total += int(line.split('=')[1].split()[0])
    return total


def callgrind(command):
    """The instructions and allocations of a program."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / 'callgrind.out'
        run(['valgrind', '--tool=callgrind', f'--callgrind-out-file={out}', *command])
        text = out.read_text(encoding='utf-8', errors='replace')
    return int(re.findall(r'^(?:summary|totals): (\d+)', text, re.MULTILINE)[-1]), allocations(text.splitlines())


def strace(command):
    """The system calls of a program's first thread."""
    with tempfile.NamedTemporaryFile('r') as out:
        run(['strace', '-c', '-U', 'calls,name', '-o', out.name, *command])
        return int(re.search(r'^\s*(\d+)\s+total$', out.read(), re.MULTILINE)[1])


def workload(bench, name, operations):
    return [bench, '--only', 'runtime', '--pairs', '1', '--warm-ups', '0', '--ops', str(operations), name]


def rows(budgets, programs, compiler):
    """(name, count, budget) of each budget. The count is None if this machine cannot count it."""
    bench, poll_loop, bytes_program, archive = programs
    known = budgets['instructions'].get(compiler, {})
    has_valgrind = shutil.which('valgrind') is not None
    for name in sorted({*known, *budgets['allocations']}):
        few, many = ([callgrind(workload(bench, name, n)) for n in (FEW, MANY)] if has_valgrind else (None, None))
        for i, (what, table) in enumerate((('instructions', known), ('allocations', budgets['allocations']))):
            counted = (many[i] - few[i]) / (MANY - FEW) if has_valgrind else None
            if name in table:
                yield f'{what} {name}', counted, table[name]
    for name, most in budgets['poll_loop'].get(compiler, {}).items():
        counts = [callgrind([poll_loop, name, str(n)])[0] for n in (20_000, 120_000)] if has_valgrind else None
        yield f'instructions {name}', (counts[1] - counts[0]) / 100_000 if counts else None, most
    can_trace = shutil.which('strace') and subprocess.run(['strace', '-o', '/dev/null', 'true'], check=False,
                                                          stderr=subprocess.DEVNULL).returncode == 0
    for name, most in budgets['system_calls'].items():
        counts = [strace(workload(bench, name, n)) for n in (FEW, MANY)] if can_trace else None
        yield f'system calls {name}', (counts[1] - counts[0]) / (MANY - FEW) if counts else None, most
    sizes = dict(line.split() for line in run([bytes_program]).splitlines())
    total = run(['size', '-t', archive]).splitlines()[-1].split()
    sizes['archive'] = int(total[0]) + int(total[1])
    for name, most in budgets['bytes'].items():
        yield f'bytes {name}', float(sizes[name]), most


def main():
    if len(sys.argv) != 7:
        print(__doc__)
        return 2
    programs, (compiler, version) = sys.argv[1:5], sys.argv[5:]
    budgets = tomllib.loads(BUDGETS.read_text(encoding='utf-8'))
    counted = failures = 0
    for what, count, most in rows(budgets, programs, f'{compiler} {version.split(".")[0]}'):
        if count is None:
            print(f'{what}: not counted: no valgrind, or no strace')
            continue
        counted += 1
        over = count > most
        failures += over
        print(f'{what}: {count:.4g}, {most} allowed{"  OVER BUDGET" if over else ""}')
    return 1 if failures else 0 if counted else 77


if __name__ == '__main__':
    sys.exit(main())
