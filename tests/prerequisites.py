#!/usr/bin/env python3
"""The build's order, checked: `ninja`, without a target, builds everything that a test needs. Recent versions of
Meson leave out a target that only a test's `depends` names, and `meson test --no-rebuild` then lacks a file.

    tests/prerequisites.py BUILD        print every target that a test needs and `ninja` leaves out; exit 1 if any
    tests/prerequisites.py --self-test  feed it descriptions of builds, good and bad; exit 1 unless it tells them apart
"""
import json
import pathlib
import sys


def check(targets, tests):
    """(message) of every violation; the arguments are Meson's files in meson-info/."""
    left_out = {target['id']: target['name'] for target in targets if not target['build_by_default']}
    if not any(test['depends'] for test in tests):
        yield 'no test needs a target'
    for test in tests:
        for target in sorted(set(test['depends']) & set(left_out)):
            yield f'the test {test["name"]} needs {left_out[target]}, which has build_by_default: false'


def self_test():
    targets = [{'id': '1@exe', 'name': 'unit', 'build_by_default': True},
               {'id': '2@sha', 'name': 'plugin', 'build_by_default': False}]
    cases = [
        ('a test of what is built', [{'name': 'join', 'depends': ['1@exe']}], []),
        ('a test of what is left out', [{'name': 'load', 'depends': ['1@exe', '2@sha']}],
         ['the test load needs plugin']),
        ('no test of a target', [{'name': 'tidy', 'depends': []}], ['no test needs']),
    ]
    failures = 0
    for what, tests, expected in cases:
        found = list(check(targets, tests))
        if len(found) != len(expected) or not all(map(str.startswith, found, expected)):
            failures += 1
            print(f'FAIL {what}: expected {expected}, found {found}')
    print(f'{len(cases) - failures} of {len(cases)} cases passed')
    return 1 if failures else 0


def main():
    if sys.argv[1:] == ['--self-test']:
        return self_test()
    if len(sys.argv) != 2 or sys.argv[1].startswith('-'):
        print(__doc__)
        return 2
    info = pathlib.Path(sys.argv[1], 'meson-info')
    targets, tests = (json.loads((info / f'intro-{what}.json').read_text()) for what in ('targets', 'tests'))
    violations = list(check(targets, tests))
    print('\n'.join(violations + [f'{len(violations)} violations; {len(targets)} targets, {len(tests)} tests']))
    return 1 if violations else 0


if __name__ == '__main__':
    sys.exit(main())
