#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the library as two files, for a build that has no place for folders.

    tools/amalgamate.py DIRECTORY

Writes zyntax_async_runtime.cpp and zyntax_async_runtime.h to DIRECTORY, which is made if it is missing. The first is
all of runtime/, runtime/parts/ and platform/ as one C++20 source. Every file keeps its text and its opening comment; a
header stands before the first file that needs it. A program whose object is compiled with -ffunction-sections
-fdata-sections and linked with --gc-sections has no part that it does not use, as with the archive.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEADER = ROOT / 'include' / 'zyntax_async_runtime.h'
# The heart from the bottom up, as its files call each other. Everything else follows by name. sockets.cpp stands first
# in platform/, as its header includes win32.h and posix.h on the widest conditions.
HEART = ['pool', 'op', 'memory', 'inbox', 'wakers', 'timers', 'handle', 'await', 'tasks', 'executor', 'valid',
         'lifecycle']
FIRST_OF_PLATFORM = 'sockets'

INCLUDE = re.compile(r'^#include "([^"]+)"\n', re.MULTILINE)
CONDITION = re.compile(r'^#\s*(if|endif)', re.MULTILINE)
COLUMNS = 120


def in_order(folder, first):
    """The folder's sources: those named in `first`, as far as there are any, then the rest by name."""
    files = {path.stem: path for path in sorted((ROOT / folder).glob('*.cpp'))}
    if not files:
        sys.exit(f'{ROOT / folder} has no sources')
    return [files.pop(name) for name in first if name in files] + list(files.values())


def sources():
    return in_order('runtime', HEART) + in_order('runtime/parts', []) + in_order('platform', [FIRST_OF_PLATFORM])


def is_conditional(text, position):
    """Whether an `#if` that stands before the position is still open there."""
    words = CONDITION.findall(text, 0, position)
    return words.count('if') > words.count('endif')


def texts_of(path, seen):
    """The texts of the files that this one needs and that are not in `seen` yet, then its own text. A file that is
    included on a condition stands in the place of its include."""
    if path in seen:
        return []
    seen.add(path)
    text = path.read_text(encoding='utf-8').replace('#pragma once\n', '')
    needed = []

    def replace(match):
        included = (path.parent / match.group(1)).resolve()
        if included == HEADER:
            return ''
        texts = texts_of(included, seen)
        if is_conditional(text, match.start()):
            return '\n'.join(texts)
        needed.extend(texts)
        return ''

    own = re.sub(r'\n{3,}', '\n\n', INCLUDE.sub(replace, text)).strip('\n')
    rule = f'// ==== {path.relative_to(ROOT).as_posix()} '.ljust(COLUMNS, '=')
    return [*needed, f'{rule}\n\n{own}\n']


def amalgamation():
    header = HEADER.read_text(encoding='utf-8')
    version = int(re.search(r'#define ZYNTAX_ASYNC_RUNTIME_VERSION (\d+)', header).group(1))
    name = f'{version // 10000}.{version // 100 % 100}.{version % 100}'
    seen = set()
    texts = [text for path in sources() for text in texts_of(path, seen)]
    opening = f"""\
// SPDX-License-Identifier: Apache-2.0
//
// The Zyntax async runtime {name} in one file. tools/amalgamate.py made it from runtime/ and platform/: change the
// files there. It is C++20 and needs {HEADER.name} beside it. With -fno-exceptions -fno-rtti a C compiler
// can link the program.

#include "{HEADER.name}"
"""
    return '\n'.join([opening, *texts])


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith('-'):
        print(__doc__)
        return 2
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    (directory / 'zyntax_async_runtime.cpp').write_text(amalgamation(), encoding='utf-8', newline='\n')
    (directory / HEADER.name).write_bytes(HEADER.read_bytes())
    return 0


if __name__ == '__main__':
    sys.exit(main())
