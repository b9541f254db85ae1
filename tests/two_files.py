#!/usr/bin/env python3
"""The output of tools/amalgamate.py has every file of the library once and whole, and nothing else.

    tests/two_files.py             make the two files and compare them with the tree; exit 1 if something is missing
    tests/two_files.py --self-test spoil them in several ways; exit 1 unless each is noticed
"""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = 'zyntax_async_runtime.h'
RULE = re.compile(r'^// ==== (\S+) =+$', re.MULTILINE)
LEFT_OUT = re.compile(r'#include "|#pragma once|$')


def lines_of(text):
    return [line for line in text.splitlines() if not LEFT_OUT.match(line)]


def check(source, files):
    """(message) of every violation. `files` are the texts of the tree by their names."""
    named = RULE.findall(source)
    for name in sorted(set(named) ^ set(files)):
        yield f'{name} is missing, or is no file of the library'
    for name in sorted({name for name in named if named.count(name) > 1}):
        yield f'{name} is there more than once'
    total = 0
    for name in sorted(set(files) & set(named)):
        wanted = lines_of(files[name])
        total += len(wanted)
        rest = iter(lines_of(source[source.index(f'// ==== {name} ='):])[1:])
        # In order; a header on a condition may stand between. The opening comment comes first.
        if next(rest) != wanted[0] or not all(line in rest for line in wanted[1:]):
            yield f'{name} is not whole'
    opening = source[:RULE.search(source).start()]
    extra = len(lines_of(source)) - len(lines_of(opening)) - total - len(named)
    if extra:
        yield f'{extra} more lines than the files have'


def files_of_tree():
    paths = [path for folder in ('runtime', 'platform') for path in sorted((ROOT / folder).rglob('*'))
             if path.suffix in ('.cpp', '.h')]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding='utf-8') for path in paths}


def made():
    """The source and the header."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, 'a', 'new', 'folder')
        subprocess.run([sys.executable, str(ROOT / 'tools' / 'amalgamate.py'), str(target)], check=True)
        return (target / 'zyntax_async_runtime.cpp').read_text(encoding='utf-8'), (target / HEADER).read_bytes()


def self_test(source, files):
    first = sorted(files)[0]
    rule = RULE.search(source).group()
    cases = [
        ('as it is', source, files, 0),
        ('a file of the tree is missing', source, dict(files, **{'runtime/new.cpp': '// New.\n'}), 1),
        ('a file that the tree has not', source, {name: files[name] for name in files if name != first}, 2),
        ('a file twice', source + source[source.index(rule):], files, len(files) + 1),
        ('a line is missing', source.replace('namespace zyntax {\n', '', 1), files, 2),
        ('a line more', source + 'int one;\n', files, 1),
        ('no opening comment', re.sub(r'(// ==== runtime/await.h =+\n\n)//.*\n', r'\1', source), files, 2),
    ]
    failures = 0
    for what, text, tree, expected in cases:
        messages = list(check(text, tree))
        if len(messages) != expected:
            failures += 1
            print(f'FAIL {what}: expected {expected} messages, found {len(messages)}: {messages[:5]}')
    print(f'{len(cases) - failures} of {len(cases)} cases told apart')
    return 1 if failures else 0


def main():
    source, header = made()
    files = files_of_tree()
    if sys.argv[1:] == ['--self-test']:
        return self_test(source, files)
    violations = list(check(source, files))
    if header != (ROOT / 'include' / HEADER).read_bytes():
        violations.append(f'{HEADER} is another')
    print('\n'.join(violations + [f'{len(violations)} violations; {len(files)} files']))
    return 1 if violations else 0


if __name__ == '__main__':
    sys.exit(main())
