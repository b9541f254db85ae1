#!/usr/bin/env python3
"""The version is the same in every place that names it. Reads files only, and Git's tags where there is Git.

    tests/versions.py              print every place with another version than meson.build's; exit 1 if there is one
    tests/versions.py --self-test  change each place in turn; exit 1 unless each change is found
"""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD, HEADER, CHANGELOG, PAGE = 'meson.build', 'include/zyntax_async_runtime.h', 'CHANGELOG.md', 'docs/build.md'
BINDING = 'bindings/rust/zyntax-async-runtime-sys/src/lib.rs'
CRATES = ['zyntax-async-runtime', 'zyntax-async-runtime-sys']

# (file, pattern): a group is the version. Every pattern matches once at least, and every match is compared.
NUMBERS = r'(\d+\.\d+\.\d+)'
PLACES = [
    ('README.md', rf'\bVersion {NUMBERS}'),
    (CHANGELOG, rf'\A(?:(?!^## ).*\n)*?## {NUMBERS} \(\d\d\d\d-\d\d-\d\d\)$'),
    ('bindings/rust/Cargo.toml', rf'^version = "{NUMBERS}"$'),
    ('bindings/rust/zyntax-async-runtime/Cargo.toml', rf'^zyntax-async-runtime-sys = .*\bversion = "{NUMBERS}"'),
    *(('bindings/rust/Cargo.lock', rf'^name = "{crate}"\nversion = "{NUMBERS}"$') for crate in CRATES),
]


def version_of_number(number):
    return f'{number // 10000}.{number // 100 % 100}.{number % 100}'


def check(read, tags):
    """(message) of every violation. `read` returns a file's text; `tags` are those of the repository."""
    found = re.search(rf"^  version: '{NUMBERS}',$", read(BUILD), re.MULTILINE)
    if not found:
        yield f'{BUILD}: no version'
        return
    version = found.group(1)
    number = re.search(r'^#define ZYNTAX_ASYNC_RUNTIME_VERSION (\d+)$', read(HEADER), re.MULTILINE)
    if not number or version_of_number(int(number.group(1))) != version:
        yield f'{HEADER}: ZYNTAX_ASYNC_RUNTIME_VERSION is not {version}'
    crate = re.search(r'^    ZYNTAX_ASYNC_RUNTIME_VERSION: u32 = (\d+);$', read(BINDING), re.MULTILINE)
    if not crate or version_of_number(int(crate.group(1))) != version:
        yield f'{BINDING}: ZYNTAX_ASYNC_RUNTIME_VERSION is not {version}'
    for file, pattern in PLACES:
        matches = re.findall(pattern, read(file), re.MULTILINE)
        if not matches:
            yield f'{file}: no version where {pattern!r} looks for it'
        yield from (f'{file}: version {other}, not {version}' for other in matches if other != version)
    major, minor, _ = version.split('.')
    soname = 'libzyntax_async_runtime.so.' + (f'0.{minor}' if major == '0' else major)
    names = re.findall(r'libzyntax_async_runtime\.so\.\d[\d.]*\d|libzyntax_async_runtime\.so\.\d', read(PAGE))
    if not names or set(names) != {soname}:
        yield f'{PAGE}: the SONAME is {soname}, the page says {names}'
    revisions = re.findall(r'^revision = (\S+)$', read(PAGE), re.MULTILINE)
    if not revisions:
        yield f'{PAGE}: no revision in the wrap'
    for revision in revisions:
        if revision != 'main' and (revision != f'v{version}' or revision not in tags):
            yield f'{PAGE}: the wrap names {revision}, which is neither main nor the tag of this version'


def tree(file):
    return (ROOT / file).read_text(encoding='utf-8')


def git_tags():
    try:
        return subprocess.run(['git', '-C', str(ROOT), 'tag'], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True, check=False).stdout.split()
    except FileNotFoundError:
        return []


def self_test():
    # (what, file, pattern, replacement, how many messages)
    version = re.search(rf"^  version: '{NUMBERS}'", tree(BUILD), re.MULTILINE).group(1)
    quoted = re.escape(version)
    changes = [
        ('the header', HEADER, r'(_VERSION) \d+$', r'\1 99999', 1),
        ('the constant of the crate', BINDING, r'(_VERSION: u32 =) \d+;$', r'\1 99999;', 1),
        ('README', 'README.md', rf'Version {quoted}', 'Version 9.9.9', 1),
        ('README without one', 'README.md', rf'Version {quoted}', 'A version', 1),
        ('an unreleased heading', CHANGELOG, rf'^## {quoted} \(.*\)$', f'## {version} (unreleased)', 1),
        ('another heading', CHANGELOG, rf'^## {quoted} ', '## 9.9.9 ', 1),
        ('the crates', 'bindings/rust/Cargo.toml', rf'^version = "{quoted}"', 'version = "9.9.9"', 1),
        ('a crate that asks for another', PLACES[3][0], rf'version = "{quoted}"', 'version = "9.9.9"', 1),
        ('the lock file', 'bindings/rust/Cargo.lock', rf'("zyntax-async-runtime"\nversion =) "{quoted}"',
         r'\1 "9.9.9"', 1),
        ('the lock file of the other crate', 'bindings/rust/Cargo.lock',
         rf'("zyntax-async-runtime-sys"\nversion =) "{quoted}"', r'\1 "9.9.9"', 1),
        ('the SONAME', PAGE, r'(_runtime\.so)\.[\d.]+\d', r'\1.7', 1),
        ('a tag that there is not', PAGE, r'^revision = .*$', f'revision = v{version}', 1),
        ('no wrap', PAGE, r'^revision = .*$', '', 1),
        ('the build', BUILD, rf"version: '{quoted}'", "version: '9.9.9'", 3 + len(PLACES)),
        ('nothing', BUILD, r'\A', '', 0),
    ]
    failures = 0
    for what, file, pattern, replacement, expected in changes:
        changed, count = re.subn(pattern, replacement, tree(file), flags=re.MULTILINE)
        messages = list(check(lambda name: changed if name == file else tree(name), tags=[]))
        if count == 0 or len(messages) != expected:
            failures += 1
            print(f'FAIL {what}: {count} places changed, expected {expected} messages, found {messages}')
    tagged = re.sub(r'^revision = .*$', f'revision = v{version}', tree(PAGE), flags=re.MULTILINE)
    if list(check(lambda name: tagged if name == PAGE else tree(name), tags=[f'v{version}'])):
        failures += 1
        print('FAIL a tag that there is')
    print(f'{len(changes) + 1 - failures} of {len(changes) + 1} cases told apart')
    return 1 if failures else 0


def main():
    if sys.argv[1:] == ['--self-test']:
        return self_test()
    if len(sys.argv) != 1:
        print(__doc__)
        return 2
    violations = list(check(tree, git_tags()))
    print('\n'.join(violations + [f'{len(violations)} violations']))
    return 1 if violations else 0


if __name__ == '__main__':
    sys.exit(main())
