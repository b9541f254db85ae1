#!/usr/bin/env python3
"""The corpus of the random programs: one file of sorted lines, each a name, a space, and a program's bytes as
hexadecimal. A fuzzer wants a folder with a file for each program.

    corpus.py unpack CORPUS FOLDER  writes a file for each program into FOLDER, which exists
    corpus.py pack CORPUS FOLDER    makes CORPUS of the files in FOLDER, and of the programs that it had under a name
                                    given by hand; the others are named after their bytes
"""
import hashlib
import re
import sys
from pathlib import Path


def name_of(program):
    return hashlib.sha1(program).hexdigest()[:8]


def read(corpus):
    """{name: bytes}"""
    lines = corpus.read_text(encoding='ascii').splitlines()
    return {name: bytes.fromhex(digits) for name, digits in (line.split(' ') for line in lines)}


def unpack(corpus, folder):
    for name, program in read(corpus).items():
        (folder / name).write_bytes(program)


def pack(corpus, folder):
    programs = {name: program for name, program in read(corpus).items() if not re.fullmatch('[0-9a-f]{8}', name)}
    given = set(programs.values())
    for path in folder.iterdir():
        program = path.read_bytes()
        if program and program not in given:
            programs[name_of(program)] = program
    corpus.write_text(''.join(f'{name} {programs[name].hex()}\n' for name in sorted(programs)), encoding='ascii')
    print(f'the corpus has {len(programs)} programs')


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in ('unpack', 'pack'):
        print(__doc__)
        return 2
    {'unpack': unpack, 'pack': pack}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
    return 0


if __name__ == '__main__':
    sys.exit(main())
