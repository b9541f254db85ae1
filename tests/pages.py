#!/usr/bin/env python3
"""Checks the pages. Links have a target, figures equal those of bench/results/results.json and bench/figures.json,
README has at most README_LINES_MAX lines, and docs/internals.md names each source file. Reads files only, and needs
only Python's standard library.

    tests/pages.py              check the tree this file stands in; print every violation; exit 1 if there is one
    tests/pages.py --self-test  feed each check something bad and something good; exit 1 unless it tells them apart
"""
import re
import sys
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / 'bench'))
sys.dont_write_bytecode = True
import figures as figures_file  # noqa: E402

README_LINES_MAX = 250

CODE_BLOCK = re.compile(r'^```.*?^```', re.DOTALL | re.MULTILINE)
CODE_SPAN = re.compile(r'`[^`\n]*`')
LINK = re.compile(r'\[[^\]\[]*\]\(([^()\s]+)\)|<img src="([^"]+)"')
HEADING = re.compile(r'^#+ (.*)$', re.MULTILINE)
# Times of a run, ratios, instructions and sizes of built files; limits and waits are in milliseconds and bytes.
MEASURED = re.compile(r'\b[\d.,–]*\d ?(?:ns|µs|kB|times|instructions)\b')


def blank(match):
    return re.sub(r'[^\n]', ' ', match.group())


def prose(page):
    """The page without code, every character in its place."""
    return CODE_SPAN.sub(blank, CODE_BLOCK.sub(blank, page))


def line_of(text, place):
    return text.count('\n', 0, place) + 1


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    found, seen = set(), {}
    for heading in HEADING.findall(CODE_BLOCK.sub(blank, page)):
        text = re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', heading).strip().lower()
        anchor = re.sub(r'[^\w\- ]', '', text).replace(' ', '-')
        count = seen.get(anchor, 0)
        seen[anchor] = count + 1
        found.add(f'{anchor}-{count}' if count else anchor)
    return found


def check_links(path, page, pages, exists):
    """`pages` maps a path to its text; `exists` says whether a path of the tree does."""
    text = prose(page)
    for match in LINK.finditer(text):
        target = match.group(1) or match.group(2)
        if re.match(r'[a-z]+:', target):
            continue
        name, _, anchor = target.partition('#')
        parts = list(PurePosixPath(path).parent.parts) if name else list(PurePosixPath(path).parts)
        for part in PurePosixPath(name).parts if name else []:
            if part != '..':
                parts.append(part)
            elif parts:
                parts.pop()
            else:
                parts = ['..']
                break
        to = '/'.join(parts)
        if not exists(to):
            yield line_of(text, match.start()), f'links to {target}, which does not exist'
        elif anchor and anchor not in anchors(pages.get(to, '')):
            yield line_of(text, match.start()), f'links to {target}, which has no such heading'


def check_figures(page, figures):
    known = figures_file.texts(figures)
    for match in figures_file.FIGURE.finditer(page):
        key, shown = match.groups()
        if key not in known:
            yield line_of(page, match.start()), f'bench/figures.json has no figure {key}'
        elif shown != known[key]:
            yield line_of(page, match.start()), f'{key} is "{known[key]}" in bench/figures.json, not "{shown}"'
    for match in figures_file.TABLE.finditer(page):
        if match.group() != match.group(1) + figures_file.table(figures) + match.group(2):
            yield line_of(page, match.start()), 'the table differs from bench/figures.json: bench/figures.py --update'
    rest = prose(figures_file.TABLE.sub(blank, figures_file.FIGURE.sub(blank, page)))
    for match in MEASURED.finditer(rest):
        yield line_of(rest, match.start()), f'the figure "{match.group()}" has no key of bench/figures.json'


def check_readme(page):
    lines = page.count('\n')
    if lines > README_LINES_MAX:
        yield lines, f'{lines} lines, {README_LINES_MAX} allowed'


def check_map(page, sources):
    """The page names every source without its ending, or by `beginning_*`; the first columns of its tables name nothing
    else."""
    named = set(re.findall(r'`([a-z_]+\*?)(?:\.\w+)?`', page))
    for source in sorted(sources):
        if source not in named and not any(name.endswith('*') and source.startswith(name[:-1]) for name in named):
            yield 1, f'does not name {source}.cpp'
    for match in re.finditer(r'^\| (`[a-z_]+`(?:, `[a-z_*]+`)*) \|', page, re.MULTILINE):
        for name in re.findall(r'`([a-z_]+)`', match.group(1)):
            if name not in sources:
                yield line_of(page, match.start()), f'names {name}, which is no source'


def check_pages(pages, figures, exists):
    """(path, line, message) of every violation."""
    for path, page in pages.items():
        yield from ((path, line, message) for line, message in check_links(path, page, pages, exists))
        if path != 'CHANGELOG.md':
            yield from ((path, line, message) for line, message in check_figures(page, figures))
        if path == 'README.md':
            yield from ((path, line, message) for line, message in check_readme(page))


def self_test():
    figures = {'made': {'cpu': 'A', 'cores': 4, 'kernel': 'B', 'date': '2020-01-02', 'options': '', 'rounds': 9},
               'workloads': [{'name': 'spin', 'what': 'spins', 'unit': 'ns', 'group': 'Tasks', 'count': 0,
                              'programs': {'zyntax': {'quartiles': [2.4, 2.5, 2.6], 'extras': {},
                                                      'to_floor': [1.2, 1.25, 1.3]},
                                           'floor': {'quartiles': [2, 2, 2], 'extras': {}},
                                           'uv': {'quartiles': [4, 5, 6], 'extras': {}, 'to_ours': [1, 2, 3]}},
                              'best': 'uv', 'to_best': [0.4, 0.5, 0.6], 'ahead': 'ours',
                              'behind_c': {'uv': [1, 3, 4]}}],
               'groups': {'other': {'figures': {'size': '8 kB'}}}}
    table = f'<!-- bench:begin -->\n{figures_file.table(figures)}<!-- bench:end -->\n'
    there = '# One\n\n## A `word`, and [two](../README.md)\n\n## One\n'
    cases = [
        ('a page without anything', '# A\n', None),
        ('links', '[a](docs/b.md) [b](docs/b.md#a-word-and-two) [c](docs/b.md#one-1) [d](https://a.b/c)\n', None),
        ('a link to a heading of its own', '[a](#here)\n\n# Here\n', None),
        ('links in code', '`[a](none.md)`\n\n```c\nf[1](x)\n```\n', None),
        ('a link to nothing', '\n[a](docs/none.md)\n', 'links to docs/none.md, which does not exist'),
        ('a picture that is nowhere', '<img src="docs/none.svg">\n', 'links to docs/none.svg'),
        ('a link out of the tree', '[a](../docs/b.md)\n', 'links to ../docs/b.md'),
        ('a link to no heading', '[a](docs/b.md#three)\n', 'no such heading'),
        ('a link to no heading of its own', '[a](#three)\n', 'no such heading'),
        ('figures', '<!-- figure: spin.ratio -->1.25<!-- end --> <!-- figure: spin.runtime -->2.5 ns<!-- end -->'
         ' <!-- figure: other.size -->8 kB<!-- end -->\n', None),
        ('figures of a peer', '<!-- figure: spin.uv -->5.0 ns<!-- end -->'
         ' <!-- figure: spin.uv_ratio -->2.00<!-- end --> <!-- figure: spin.lead -->2.00<!-- end -->'
         ' <!-- figure: spin.behind_c.uv -->3.00<!-- end -->\n', None),
        ('another figure', '<!-- figure: spin.ratio -->1.26<!-- end -->\n', 'spin.ratio is "1.25"'),
        ('a figure that was not measured', '<!-- figure: spin.best -->1.25<!-- end -->\n', 'no figure spin.best'),
        ('a figure without a mark', 'It takes 2.5 ns.\n', 'the figure "2.5 ns" has no key'),
        ('a ratio without a mark', 'It takes 2.6 times as long.\n', 'the figure "2.6 times" has no key'),
        ('instructions without a mark', 'It takes 4,100 instructions.\n', 'the figure "4,100 instructions" has no key'),
        ('a size without a mark', 'It has 8 kB.\n', 'the figure "8 kB" has no key'),
        ('a limit', 'At most 100 ms, and 64 bytes.\n', None),
        ('the table', table, None),
        ('another table', table.replace('1.25', '1.24'), 'the table differs'),
        ('a long README', '\n' * (README_LINES_MAX + 1), f'{README_LINES_MAX + 1} lines'),
        ('a README that fits', '\n' * README_LINES_MAX, None),
    ]
    failed = False
    for name, page, expected in cases:
        pages = {'README.md': page, 'docs/b.md': there}
        found = [message for _, _, message in check_pages(pages, figures, pages.__contains__)]
        if (len(found) != 0 if expected is None else len(found) != 1 or expected not in found[0]):
            print(f'{name}: found {found}')
            failed = True
        rendered = figures_file.render(page, figures)
        left = [message for _, message in check_figures(rendered, figures)]
        if any('is "' in message or 'differs' in message for message in left):
            print(f'{name}: an update leaves {left}')
            failed = True
    maps = [
        ('a whole map', '| `loop` | a |\n| `leaf_*` | b |\n\n`os.h` and `unix`\n', None),
        ('a map without a file', '| `leaf_*` | b |\n\n`unix.cpp`\n', 'does not name loop.cpp'),
        ('a map with a file too many', '| `loop`, `gone` | a |\n| `leaf_*` | b |\n\n`unix`\n', 'names gone'),
    ]
    for name, page, expected in maps:
        found = [message for _, message in check_map(page, {'loop', 'leaf_io', 'unix'})]
        if (len(found) != 0 if expected is None else len(found) != 1 or expected not in found[0]):
            print(f'{name}: found {found}')
            failed = True
    return failed


def main():
    if sys.argv[1:] == ['--self-test']:
        return self_test()
    paths = [*figures_file.pages(), ROOT / 'CHANGELOG.md']
    pages = {path.relative_to(ROOT).as_posix(): path.read_text(encoding='utf-8') for path in paths}
    folders = ['runtime', 'runtime/parts', 'platform']
    sources = {path.stem for folder in folders for path in (ROOT / folder).glob('*.cpp')}
    internals = 'docs/internals.md'
    violations = [(internals, line, message) for line, message in check_map(pages[internals], sources)]
    violations += check_pages(pages, figures_file.read(), lambda path: (ROOT / path).exists())
    for path, line, message in violations:
        print(f'{path}:{line}: {message}')
    return bool(violations)


if __name__ == '__main__':
    sys.exit(main())
