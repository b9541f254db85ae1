#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests the recipes of examples/recipes beyond their output, and the page that shows them.

    recipes.py steps SOURCE PROGRAM   the program, built with recipe_steps.h, gives its output also when polls are
                                      spurious; and it ends in order, with every byte and descriptor given back, when
                                      the runtime is destroyed after any turn, and when any task is cancelled then
    recipes.py stdin PROGRAM          the recipe for standard input reads a file, a pipe, a socket and a terminal
    recipes.py page PAGE FOLDER       each block of code on the page stands in its program, and each program is shown
    recipes.py --self-test            the check of the page finds each mistake
"""
import os
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'examples'))
from check import matches, promised  # noqa: E402  (needs the path)

TIMEOUT = 30
OVER = 5            # see recipe_steps.h
ALLOWED = {0, 1}    # of an interrupted program: it may have finished, or say that it has not
STEPS_MAX = 400     # no recipe takes as many turns
CANCELS_MAX = 120   # of turns and tasks; spread evenly when there are more
# A program that waits for a signal waits for ever when the task that sends it was cancelled.
MAY_STALL = {'sigint'}
STALLED = 3


def run_steps(program, asked):
    environment = dict(os.environ, ZYNTAX_RECIPE=asked)
    run = subprocess.run([program], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, timeout=TIMEOUT, text=True)
    return run.returncode, run.stdout


def test_spurious(source, program):
    expected, ordered = promised(source)
    code, output = run_steps(program, 'spurious')
    lines = output.splitlines()
    if not ordered:
        expected, lines = sorted(expected), sorted(lines)
    if code != 0 or len(expected) != len(lines) or not all(map(matches, expected, lines)):
        sys.exit(f'with spurious polls: exit code {code}\n{output}')


def test_interrupted(name, program, asked):
    """None, or the number of its tasks when the program had ended before."""
    code, output = run_steps(program, asked)
    allowed = ALLOWED | {OVER} | ({STALLED} if name in MAY_STALL and asked.startswith('cancel') else set())
    if code not in allowed:
        sys.exit(f'ZYNTAX_RECIPE={asked}: exit code {code}\n{output}')
    return int(re.search(r'(\d+) tasks$', output.strip()).group(1)) if code == OVER else None


def steps(source, program):
    name = Path(source).stem
    test_spurious(source, program)
    turns = 0
    while (tasks := test_interrupted(name, program, f'destroy:{turns}')) is None:
        turns += 1
        if turns > STEPS_MAX:
            sys.exit(f'no end after {turns} turns')
    if turns == 0 or tasks == 0:
        sys.exit(f'{turns} turns and {tasks} tasks: nothing was tested')
    places = [(turn, task) for turn in range(turns) for task in range(tasks)]
    every = -(-len(places) // CANCELS_MAX) if '--all' not in sys.argv else 1
    for turn, task in places[::every]:
        test_interrupted(name, program, f'cancel:{turn}:{task}')
    print(f'{turns} turns, {tasks} tasks, {len(places[::every])} of {len(places)} cancelled')


# ---------------------------------------------------------------------------------------------------------------
# Standard input
# ---------------------------------------------------------------------------------------------------------------

TEXT = b'one\ntwo\nthree\n' * 1000


def count(program, how, stdin, feed=None, text=TEXT):
    """Runs the program on `stdin`; `feed` then receives its input."""
    with subprocess.Popen([program], stdin=stdin, stdout=subprocess.PIPE, text=True) as run:
        if feed is not None:
            feed(text)
        output = run.communicate(timeout=TIMEOUT)[0]
    lines = text.count(b'\n')
    if run.returncode != 0 or output != f'read {how}: {lines} lines, {len(text)} bytes\n':
        sys.exit(f'{how}: exit code {run.returncode}\n{output}')


def feed_and_close(write, close):
    def feed(text):
        write(text)
        close()
    return feed


def test_stdin_is_given_back(program):
    """The open file is shared with the shell, so it has to be blocking again."""
    reader, writer = os.pipe()
    count(program, 'as it came', reader, feed_and_close(lambda text: os.write(writer, text), lambda: os.close(writer)),
          b'short\n')
    if not os.get_blocking(reader):
        sys.exit('a pipe is left non-blocking')
    os.close(reader)


def stdin(program):
    with tempfile.TemporaryFile() as file:
        file.write(TEXT)
        file.seek(0)
        count(program, 'in a thread', file)
    reader, writer = os.pipe()
    with os.fdopen(writer, 'wb') as pipe:
        count(program, 'as it came', reader, feed_and_close(pipe.write, pipe.close))
    os.close(reader)
    near, far = socket.socketpair()
    with near, far:
        count(program, 'as it came', far, feed_and_close(near.sendall, lambda: near.shutdown(socket.SHUT_WR)))
    master, terminal = os.openpty()
    count(program, 'as it came', terminal, lambda text: os.write(master, text + b'\x04'), b'one\ntwo\n')
    os.close(terminal)
    os.close(master)
    test_stdin_is_given_back(program)


# ---------------------------------------------------------------------------------------------------------------
# The page
# ---------------------------------------------------------------------------------------------------------------

FENCE = re.compile(r'^<!-- from: (\S+) -->\n```c\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def unindented(text):
    """The lines without the indentation that all of them share."""
    lines = text.rstrip('\n').split('\n')
    shared = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return [line[shared:] for line in lines]


def stands_in(block, text):
    wanted, lines = unindented(block), text.split('\n')
    return any(unindented('\n'.join(lines[i:i + len(wanted)])) == wanted for i in range(len(lines) - len(wanted) + 1))


def faults(page, programs):
    """The mistakes of the page. `programs` has the text of each program by name."""
    blocks = FENCE.findall(page)
    for name, block in blocks:
        if name not in programs:
            yield f'{name} does not exist'
        elif not stands_in(block, programs[name]):
            yield f'{name} does not have these lines:\n{block}'
    for name in sorted(set(programs) - {name for name, _ in blocks}):
        yield f'{name} is not shown'
    if len(re.findall(r'^```c$', page, re.MULTILINE)) != len(blocks):
        yield 'a block of code does not say which program it is from'


def check_page(page, folder):
    programs = {path.name: path.read_text(encoding='utf-8') for path in Path(folder).glob('*.c')}
    found = list(faults(Path(page).read_text(encoding='utf-8'), programs))
    if found or not programs:
        sys.exit('\n'.join(found) or 'no programs')


def self_test():
    programs = {'a.c': 'int a;\n    if (a) {\n        b();\n    }\n'}
    shown = '<!-- from: a.c -->\n```c\n'
    cases = [
        (shown + 'if (a) {\n    b();\n```\n', 0),
        (shown + 'if (a) {\n    c();\n```\n', 1),
        (shown + 'if (a) {\nb();\n```\n', 1),
        (shown + 'int a;\n```\n<!-- from: b.c -->\n```c\nint a;\n```\n', 1),
        ('nothing\n', 1),
        (shown + 'int a;\n```\n```c\nint a;\n```\n', 1),
    ]
    for page, wanted in cases:
        found = list(faults(page, programs))
        if len(found) != wanted:
            sys.exit(f'{len(found)} faults and not {wanted}: {found}\n{page}')


def main():
    match sys.argv[1:]:
        case ['steps', source, program, *_]:
            steps(source, program)
        case ['stdin', program]:
            stdin(program)
        case ['page', page, folder]:
            check_page(page, folder)
        case ['--self-test']:
            self_test()
        case _:
            sys.exit(__doc__)


if __name__ == '__main__':
    main()
