#!/usr/bin/env python3
"""The order of the library's objects, checked: those of runtime/ and runtime/parts/ refer to each other in no circle,
and those of runtime/ to nothing that runtime/parts/ defines.

    tests/heart.py ARCHIVE [NM]  print every circle and every part that the heart refers to; exit 1 if there is one
    tests/heart.py --self-test   feed it nm's output, good and bad; exit 1 unless it tells them apart
"""
import re
import subprocess
import sys
from collections import defaultdict

# Letters of nm: symbols that are defined once, for all objects. Inline functions are in every object that uses them,
# and are weak.
DEFINED = set('TDBRGSC')


def object_name(member):
    """'executor' or 'parts/groups' for Meson's runtime_executor.cpp.o; None for other folders' objects."""
    match = re.search(r'(?:^|[_/])runtime[_/](parts[_/])?(\w+)\.cpp\.o(?:bj)?$', member)
    return match and ('parts/' if match.group(1) else '') + match.group(2)


def references(nm_output):
    """{object: {object it refers to: a symbol}} from the output of `nm -A -P` for an archive."""
    defined, undefined = {}, defaultdict(set)
    for line in nm_output.splitlines():
        match = re.match(r'.*?\[?([^][\s]+)\]?: (\S+) (\w)', line)
        name = match and object_name(match.group(1))
        if not name:
            continue
        symbol, kind = match.group(2), match.group(3)
        if kind in DEFINED:
            defined[symbol] = name
        elif kind in 'Uw':
            undefined[name].add(symbol)
    graph = {name: {} for name in [*defined.values(), *undefined]}
    for name, symbols in undefined.items():
        for symbol in sorted(symbols):
            target = defined.get(symbol, name)
            if target != name:
                graph[name].setdefault(target, symbol)
    return graph


def circle(graph):
    """A list of objects that each refer to the next, and the last to the first; None if there is none."""
    done, path = set(), []

    def visit(name):
        if name in path:
            return path[path.index(name):]
        if name in done:
            return None
        path.append(name)
        for target in sorted(graph[name]):
            found = visit(target)
            if found:
                return found
        path.pop()
        done.add(name)
        return None

    for name in sorted(graph):
        found = visit(name)
        if found:
            return found
    return None


def check(nm_output):
    """(message) of every violation."""
    graph = references(nm_output)
    heart = [name for name in sorted(graph) if not name.startswith('parts/')]
    for folder, objects in (('runtime/', heart), ('runtime/parts/', graph.keys() - set(heart))):
        if not objects:
            yield f'no object of {folder} is in the archive'
    for name in heart:
        for target, symbol in sorted(graph[name].items()):
            if target.startswith('parts/'):
                yield f'{name} refers to {target}, which may be left out: {symbol}'
                del graph[name][target]
    found = circle(graph)
    while found:
        steps = list(zip(found, found[1:] + found[:1]))
        yield 'a circle: ' + ', '.join(f'{name} refers to {target} ({graph[name][target]})' for name, target in steps)
        del graph[found[-1]][found[0]]
        found = circle(graph)


def nm_lines(member, text):
    """What nm says of one object, for the self-test: '+a' defines a, '-b' lacks b, '?c' has c as everybody has."""
    kinds = {'+': 'T 0 1', '-': 'U', '?': 'W 0 1'}
    return ''.join(f'lib.a[{member}.cpp.o]: {word[1:]} {kinds[word[0]]}\n' for word in text.split())


def self_test():
    part = nm_lines('runtime_parts_x', '+x -a')
    line = nm_lines('runtime_a', '+a -b') + nm_lines('runtime_b', '+b -c') + nm_lines('platform_p', '+p -a') + part
    ring = line + nm_lines('runtime_c', '+c -a')
    two = ring + nm_lines('runtime_d', '+d -e') + nm_lines('runtime_e', '+e -d')
    pair = nm_lines('runtime_parts_y', '+y -z -x') + nm_lines('runtime_parts_z', '+z -y')
    three = ''.join(nm_lines(f'runtime_parts_{name}', f'+{name} -{needed}') for name, needed in ('wv', 'vu', 'uw'))
    cases = [
        ('a line', line + nm_lines('runtime_c', '+c -strlen'), []),
        ('a circle', ring, ['a circle: a refers to b (b), b refers to c (c), c refers to a (a)']),
        ('two circles', two, ['a circle: a ', 'a circle: d ']),
        ('a part that needs another', line + nm_lines('runtime_parts_y', '+y -x'), []),
        ('two parts that need each other', line + pair,
         ['a circle: parts/y refers to parts/z (z), parts/z refers to parts/y (y)']),
        ('a circle of the heart and one of three parts', ring + three, ['a circle: a ', 'a circle: parts/u ']),
        ('a part that the heart needs', line.replace(' c U', ' x U'), ['b refers to parts/x, which may']),
        ('inline functions', line + nm_lines('runtime_c', '?a ?c -d') + nm_lines('runtime_d', '+d ?a'), []),
        ('a circle through platform/', line.replace(' c U', ' p U'), []),
        ('no heart', part, ['no object of runtime/ ']),
        ('no part', line.replace(part, ''), ['no object of runtime/parts/ ']),
        ('nothing', nm_lines('platform_p', '+p'), ['no object', 'no object']),
    ]
    failures = 0
    for what, text, expected in cases:
        found = list(check(text))
        if len(found) != len(expected) or not all(map(str.startswith, found, expected)):
            failures += 1
            print(f'FAIL {what}: expected {expected}, found {found}')
    print(f'{len(cases) - failures} of {len(cases)} cases passed')
    return 1 if failures else 0


def main():
    if sys.argv[1:] == ['--self-test']:
        return self_test()
    if len(sys.argv) not in (2, 3) or sys.argv[1].startswith('-'):
        print(__doc__)
        return 2
    nm = sys.argv[2] if len(sys.argv) == 3 else 'nm'
    output = subprocess.run([nm, '-A', '-P', sys.argv[1]], stdout=subprocess.PIPE, check=True, text=True).stdout
    graph = references(output)
    violations = list(check(output))
    print('\n'.join(violations + [f'{len(violations)} violations; {len(graph)} objects']))
    return 1 if violations else 0


if __name__ == '__main__':
    sys.exit(main())
