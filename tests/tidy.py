#!/usr/bin/env python3
"""The structural rules of this tree, checked. Reads files only; needs nothing but Python's own library.

    tests/tidy.py              check the tree this file stands in; print every violation; exit 1 if there is one
    tests/tidy.py --self-test  feed each check something bad and something good; exit 1 unless it tells them apart
"""
import re
import sys
from pathlib import Path, PurePosixPath

FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 120

# Code lines, blank and comment lines not counted, of the files that fit, together; with `each` of a header and its
# source. A file counts where it fits first, and in the total. With slack, so that a small repair waits for no cut.
# The files for a language's standard library have a ceiling each, and are not in the total.
STANDARD = {
    'platform/addresses.cpp', 'platform/addresses.h',
    'platform/datagrams.cpp', 'platform/datagrams.h',
    'platform/datagrams_transfer.cpp',
    'platform/files.h',
    'platform/files_unix.cpp',
    'platform/files_windows.cpp',
    'platform/passed_descriptors.cpp',
    'platform/process_child_unix.cpp',
    'platform/process_pipes_windows.cpp',
    'platform/process_plan_unix.h',
    'platform/process_start_unix.cpp',
    'platform/process_texts_windows.cpp', 'platform/process_texts_windows.h',
    'platform/processes.h',
    'platform/processes_unix.cpp',
    'platform/processes_wasi.cpp',
    'platform/processes_windows.cpp',
    'platform/signals.h',
    'platform/signals_unix.cpp',
    'platform/signals_windows.cpp',
    'platform/socket_options.cpp', 'platform/socket_options.h',
    'platform/unix_sockets.cpp', 'platform/unix_sockets.h',
    'platform/vectors.cpp', 'platform/vectors.h',
    'platform/vectors_system.h',
    'platform/vectors_unix.cpp',
    'platform/vectors_windows.cpp',
    'runtime/parts/address.cpp',
    'runtime/parts/address_format.cpp',
    'runtime/parts/connect_to.cpp',
    'runtime/parts/file.cpp', 'runtime/parts/file.h',
    'runtime/parts/file_calls.cpp',
    'runtime/parts/file_jobs.cpp',
    'runtime/parts/file_work.cpp',
    'runtime/parts/io_deadline.cpp',
    'runtime/parts/io_vectors.cpp',
    'runtime/parts/io_write_all.cpp',
    'runtime/parts/leaf_connect_to.cpp',
    'runtime/parts/leaf_file.cpp',
    'runtime/parts/leaf_port.cpp',
    'runtime/parts/leaf_process.cpp',
    'runtime/parts/leaf_resolve.cpp',
    'runtime/parts/leaf_scope.cpp',
    'runtime/parts/leaf_signal.cpp',
    'runtime/parts/leaf_udp.cpp',
    'runtime/parts/leaf_unix.cpp',
    'runtime/parts/leaf_vectors.cpp',
    'runtime/parts/look_up.cpp', 'runtime/parts/look_up.h',
    'runtime/parts/port.cpp', 'runtime/parts/port.h',
    'runtime/parts/port_wait.cpp',
    'runtime/parts/process.cpp', 'runtime/parts/process.h',
    'runtime/parts/process_calls.cpp',
    'runtime/parts/race.cpp', 'runtime/parts/race.h',
    'runtime/parts/race_attempts.cpp',
    'runtime/parts/resolve.cpp',
    'runtime/parts/scope.cpp', 'runtime/parts/scope.h',
    'runtime/parts/scope_tasks.cpp',
    'runtime/parts/scope_wait.cpp',
    'runtime/parts/signal.cpp',
    'runtime/parts/signal_listener.cpp', 'runtime/parts/signal_listener.h',
    'runtime/parts/socket_options.cpp',
    'runtime/parts/task_words.cpp',
    'runtime/parts/trace.cpp', 'runtime/parts/trace.h',
    'runtime/parts/trace_draw.cpp',
    'runtime/parts/trace_events.cpp',
    'runtime/parts/trace_text.cpp',
    'runtime/parts/turns.cpp', 'runtime/parts/turns.h',
    'runtime/parts/udp.cpp',
    'runtime/parts/unix_descriptors.cpp',
    'runtime/parts/unix_socket.cpp',
}
STANDARD_LINES_MAX = 165
CODE_LINES_MAX = {
    'runtime/*': 2210,
    'platform/poller_iocp.*': 315,
    'each platform/poller_*': 140,
    'platform/posix.* platform/unix.*': 570,
    'platform/windows.* platform/win32.*': 309,
}
TOTAL_CODE_LINES_MAX = 6550

HEADER = 'include/zyntax_async_runtime.h'
SYMBOLS = 'runtime/parts/symbols.cpp'
SOURCE_SUFFIXES = {'.c', '.cpp', '.h'}
TEXT_SUFFIXES = SOURCE_SUFFIXES | {'.py', '.sh', '.md', '.build', '.txt', '.svg', '.yml', '.rs', '.toml'}
TEXT_NAMES = {'meson.build', 'LICENSE', 'run', '.clang-format', '.clang-tidy', '.editorconfig', '.gitignore'}
FOLDERS = ['runtime', 'platform', 'include', 'tests', 'bench', 'examples', 'bindings', 'docs', 'tools', '.ci']

# Spelled in two halves so that this file does not carry the marks it looks for.
MARKS = [a + b for a, b in [('TO', 'DO'), ('FIX', 'ME'), ('XX', 'X'), ('HA', 'CK')]]
LEFT_MARK = re.compile(r'\b(' + '|'.join(MARKS) + r')\b')

PLATFORM_MACRO = re.compile(
    r'\b(_WIN(32|64)|WIN32|_MSC_VER|__MINGW\w*|__CYGWIN__|linux|unix|TARGET_OS_\w+'
    r'|__(linux|gnu_linux|unix|ANDROID|APPLE|MACH|FreeBSD|NetBSD|OpenBSD|DragonFly|sun|HAIKU|Fuchsia|EMSCRIPTEN|wasi'
    r'|wasm|wasm32)(__)?)\b')

# Words that stand before a parenthesis and a brace without naming a function.
NOT_FUNCTIONS = {'if', 'for', 'while', 'switch', 'catch', 'return', 'sizeof', 'alignas', 'decltype', 'requires',
                 '__attribute__'}


# ---------------------------------------------------------------------------------------------------------------
# Reading C and C++ roughly
# ---------------------------------------------------------------------------------------------------------------

TOKEN = re.compile(
    r'//(?:[^\n\\]|\\.|\\\n)*'                           # line comment
    r'|/\*.*?\*/'                                        # block comment
    r'|\bR"(?P<delimiter>[^(\s]*)\(.*?\)(?P=delimiter)"'  # raw string
    r'|"(?:[^"\\\n]|\\.)*"'                              # string
    r"|(?<![0-9A-Za-z_])'(?:[^'\\\n]|\\.)*'",            # character, but no digit separator
    re.DOTALL)

# A preprocessor line with its continuation lines.
DIRECTIVE = re.compile(r'^[ \t]*#(?:[^\n\\]|\\.|\\\n)*', re.MULTILINE)


def blank(text):
    """The same text with everything but line ends replaced by spaces."""
    return re.sub(r'[^\n]', ' ', text)


def without_comments(text):
    def replace(match):
        token = match.group()
        return blank(token) if token.startswith(('//', '/*')) else token
    return TOKEN.sub(replace, text)


def bare_code(text):
    """The text with comments, contents of strings and preprocessor lines blanked; every line keeps its number."""
    def replace(match):
        token = match.group()
        return blank(token) if token.startswith(('//', '/*')) else '"' + blank(token[1:-1]) + '"'
    return DIRECTIVE.sub(lambda match: blank(match.group()), TOKEN.sub(replace, text))


def code_lines(text):
    return sum(1 for line in without_comments(text).splitlines() if line.strip())


def preprocessor_lines(text):
    """(line number, directive with its continuation lines joined)"""
    for match in DIRECTIVE.finditer(without_comments(text)):
        yield text.count('\n', 0, match.start()) + 1, match.group().replace('\\\n', ' ').strip()


def opens_a_function(head):
    """Whether `head`, the text between the last `;` or brace and a `{`, is the head of a function."""
    head = re.sub(r'^\s*(?:(?:public|private|protected)\s*:\s*)+', '', head)
    scope = re.match(r'\s*(namespace|struct|class|union|enum|extern\s*"\s*")', head)
    if scope and not re.search(r'\)\s*\w*\s*$', head):
        return False
    call = re.search(r'([~\w]+)\s*(?:<[^<>()]*>)?\s*\(', head)
    if not call or call.group(1) in NOT_FUNCTIONS:
        return 'operator' in head
    return not re.search(r'=\s*$', head)


def functions(text):
    """(name, first line, last line) of every outermost function body. Lambdas count in their outer function."""
    code = bare_code(text)
    depth_of_function = None
    depth = 0
    start = 0
    name = ''
    first = 0
    for index, char in enumerate(code):
        if char == '{':
            if depth_of_function is None:
                head = code[start:index]
                if opens_a_function(head):
                    depth_of_function = depth
                    match = re.search(r'([~\w]+)\s*(?:<[^<>()]*>)?\s*\(', head)
                    name = match.group(1) if match else 'operator'
                    first = code.count('\n', 0, start + len(head) - len(head.lstrip())) + 1
            depth += 1
            start = index + 1
        elif char == '}':
            depth -= 1
            start = index + 1
            if depth_of_function == depth:
                yield name, first, code.count('\n', 0, index) + 1
                depth_of_function = None
        elif char == ';' and depth_of_function is None:
            start = index + 1


# ---------------------------------------------------------------------------------------------------------------
# Checks of one file: each takes (path, text) and yields (line, message)
# ---------------------------------------------------------------------------------------------------------------

def check_text(path, text):
    """Columns, tabs, spaces at line ends, carriage returns, the final newline."""
    if '\r' in text:
        yield text.count('\n', 0, text.index('\r')) + 1, 'carriage return'
    if text and not text.endswith('\n'):
        yield text.count('\n') + 1, 'no newline at the end of the file'
    if text.endswith('\n\n'):
        yield text.count('\n'), 'empty line at the end of the file'
    wide_allowed = path.endswith(('.md', '.svg', 'LICENSE'))
    for number, line in enumerate(text.replace('\r', '').split('\n'), 1):
        if '\t' in line:
            yield number, 'tab'
        if line != line.rstrip(' '):
            yield number, 'space at the end of the line'
        if len(line) > COLUMNS_MAX and not wide_allowed:
            yield number, f'{len(line)} columns, {COLUMNS_MAX} allowed'


def check_left_marks(path, text):
    for number, line in enumerate(text.splitlines(), 1):
        match = LEFT_MARK.search(line)
        if match:
            yield number, f'leftover mark {match.group()}'


def check_function_length(path, text):
    for name, first, last in functions(text):
        if last - first + 1 > FUNCTION_LINES_MAX:
            yield first, f'{name} has {last - first + 1} lines, {FUNCTION_LINES_MAX} allowed'


def check_platform_conditionals(path, text):
    """Platform macros in conditions belong to platform/. The header's linkage block is the one exception."""
    linkage = (0, 0)
    if path == HEADER:
        block = re.search(r'^#ifndef ZYNTAX_API\n.*?^#endif', text, flags=re.MULTILINE | re.DOTALL)
        if block:
            first = text.count('\n', 0, block.start()) + 1
            linkage = (first, first + block.group().count('\n'))
    for number, line in preprocessor_lines(text):
        if not re.match(r'#\s*(if|ifdef|ifndef|elif|elifdef|elifndef)\b', line) or linkage[0] <= number <= linkage[1]:
            continue
        match = PLATFORM_MACRO.search(line)
        if match:
            yield number, f'platform conditional on {match.group()} outside platform/'


# ---------------------------------------------------------------------------------------------------------------
# Checks of the header and of the files that must agree with it
# ---------------------------------------------------------------------------------------------------------------

def declared_functions(header):
    """(line, name, doc comment or '') of every function of the header. A comment that stands right above a run of
    declarations without an empty line between belongs to the first of them only."""
    pattern = re.compile(r'(?P<doc>/\*(?:(?!\*/).)*\*/\n)?^ZYNTAX_API\b(?P<declaration>[^;]*);',
                         re.MULTILINE | re.DOTALL)
    for match in pattern.finditer(header):
        name = re.search(r'(\w+)\s*\(', match.group('declaration'))
        if name:
            doc = re.sub(r'\s*\n \*\s*', ' ', match.group('doc') or '')
            yield header.count('\n', 0, match.start('declaration')) + 1, name.group(1), doc.strip('/* \n')


def check_header_docs(header):
    names = [name for _, name, _ in declared_functions(header)]
    if not names:
        yield 1, 'declares no function'
    for line, name, doc in declared_functions(header):
        if not doc:
            yield line, f'{name} has no comment right above it'
            continue
        if not re.search(r'\[(any|rt|drives)\]', doc):
            yield line, f'{name} does not say on which thread it may be called: [any], [rt] or [drives]'
        if not re.search(r'\bSince \d+\.\d+\.', doc):
            yield line, f'{name} does not say since which version it exists'
        if names.count(name) > 1:
            yield line, f'{name} is declared twice'
    # A function that was declared without ZYNTAX_API would not be exported.
    for number, line in enumerate(bare_code(header).splitlines(), 1):
        if re.match(r'\w[\w *]*\bzyntax_\w+\s*\(', line) and not re.match(r'ZYNTAX_API|typedef', line):
            yield number, 'function without ZYNTAX_API'


# The letters of zyntax_signature.
TYPE_LETTERS = {'void': 'v', 'uint16_t': 'h', 'int': 'i', 'int32_t': 'i', 'PollStatus': 'i', 'uint32_t': 'u',
                'int64_t': 'l', 'uint64_t': 'q', 'size_t': 'z', 'intptr_t': 'z',
                'FutureState': 'p', 'PollFn': 'p', 'DropFn': 'p'}


def type_letter(declared):
    return 'p' if '*' in declared else TYPE_LETTERS.get(declared.split()[0], '?')


def signatures(header):
    """(name, types) of every function of the header, the types as zyntax_signature has them."""
    for match in re.finditer(r'^ZYNTAX_API\s+([^;]*?)(\w+)\(([^;]*)\)', without_comments(header), re.MULTILINE):
        result, name, parameters = match.groups()
        parameters = re.sub(r'\(\*\w+\)\([^()]*\)', '*', parameters)  # pointers to functions
        types = '' if parameters == 'void' else ''.join(map(type_letter, parameters.split(',')))
        yield name, type_letter(result) + types


def check_symbol_table(header, symbols):
    table = dict(re.findall(r'\b(zyntax_\w+), "(\w*)"', without_comments(symbols)))
    for name, types in signatures(header):
        if name not in table:
            yield 1, f'{name} is in the header but not in the symbol table'
        elif table[name] != types:
            yield 1, f'{name} has the types "{types}", not "{table[name]}"'


def check_versions(header, meson, changelog):
    number = re.search(r'^#define ZYNTAX_ASYNC_RUNTIME_VERSION (\d+)$', header, flags=re.MULTILINE)
    project = re.search(r"^  version: '(\d+)\.(\d+)\.(\d+)',$", meson, flags=re.MULTILINE)
    newest = re.search(r'^## (\d+\.\d+\.\d+)(?: \(\d{4}-\d\d-\d\d\))?$', changelog, flags=re.MULTILINE)
    if not number:
        yield HEADER, 1, 'defines no ZYNTAX_ASYNC_RUNTIME_VERSION'
    if not project:
        yield 'meson.build', 1, 'has no project version of the form 1.2.3'
    if not newest:
        yield 'CHANGELOG.md', 1, 'has no "## 1.2.3" heading'
    if not (number and project and newest):
        return
    major, minor, patch = (int(part) for part in project.groups())
    if int(number.group(1)) != major * 10000 + minor * 100 + patch:
        yield HEADER, 1, f'ZYNTAX_ASYNC_RUNTIME_VERSION is {number.group(1)}, meson.build says {major}.{minor}.{patch}'
    if newest.group(1) != f'{major}.{minor}.{patch}':
        yield 'CHANGELOG.md', 1, f'newest version is {newest.group(1)}, meson.build says {major}.{minor}.{patch}'


# ---------------------------------------------------------------------------------------------------------------
# Checks of several files: `files` maps a path to its text
# ---------------------------------------------------------------------------------------------------------------

def library_files(files):
    return {path: text for path, text in files.items()
            if path.startswith(('runtime/', 'platform/')) and path.endswith(('.cpp', '.h'))}


def check_size(files):
    sizes = {}
    for path, text in library_files(files).items():
        if path in STANDARD:
            sizes[path] = (code_lines(text), STANDARD_LINES_MAX)
            continue
        for patterns, most in CODE_LINES_MAX.items():
            each, *words = patterns.split() if patterns.startswith('each ') else ['', *patterns.split()]
            if any(PurePosixPath(path).match(word) for word in words):
                what = path.rsplit('.', 1)[0] + '.*' if each else patterns
                sizes[what] = (sizes.get(what, (0, most))[0] + code_lines(text), most)
                break
    total = sum(code_lines(text) for path, text in library_files(files).items() if path not in STANDARD)
    for what, (size, most) in [*sizes.items(), ('runtime/ and platform/', (total, TOTAL_CODE_LINES_MAX))]:
        if size > most:
            yield what, 1, f'{size} code lines together, {most} allowed'


def check_build_lists(files):
    """Meson builds the same files as a plain `c++ -c` of the three folders, and runs every test."""
    sources = re.findall(r"'((?:runtime|runtime/parts|platform)/\w+\.cpp)'", files['meson.build'])
    listed = set(sources)
    for path in sorted(each for each in listed if sources.count(each) > 1):
        yield 'meson.build', 1, f'lists {path} again'
    present = {path for path in library_files(files) if path.endswith('.cpp')}
    for path in sorted(present - listed):
        yield path, 1, 'is not listed in meson.build'
    for path in sorted(listed - present):
        yield 'meson.build', 1, f'lists {path}, which does not exist'
    names = set(re.findall(r"'([\w.]+)'", files['tests/meson.build']))
    for path in sorted(files):
        match = re.fullmatch(r'tests/((\w+)\.cpp)', path)
        if match and not names & set(match.groups()):
            yield path, 1, 'is not listed in tests/meson.build'


def poller_functions(text):
    """The public functions of the poller that a header declares, in their order; empty when it declares none."""
    poller = re.search(r'\bclass \w+Poller \{\s*public:(.*?)\bprivate:', bare_code(text), re.DOTALL)
    return re.findall(r'\b(\w+)\(', poller.group(1)) if poller else []


def check_pollers(files):
    """Backends have the same functions in the same order: the functions of the concept in io_poller.h."""
    concept = re.findall(r'\bp\.(\w+)\(', bare_code(files.get('platform/io_poller.h', '')))
    for path, text in sorted(files.items()):
        names = poller_functions(text) if path.startswith(('platform/', 'tests/')) and path.endswith('.h') else []
        if names and names != concept:
            yield path, 1, f'the poller has {", ".join(names)}; io_poller.h says {", ".join(concept)}'


def check_tree(files):
    """(path, line, message) of every violation in the tree."""
    for path, text in sorted(files.items()):
        checks = [check_text, check_left_marks]
        if Path(path).suffix in SOURCE_SUFFIXES:
            if path.startswith(('runtime/', 'platform/')):
                checks.append(check_function_length)
            if path.startswith(('runtime/', 'include/', 'examples/')) and path != 'examples/system.h':
                checks.append(check_platform_conditionals)
        for check in checks:
            yield from ((path, line, message) for line, message in check(path, text))
    header = files.get(HEADER, '')
    yield from ((HEADER, line, message) for line, message in check_header_docs(header))
    yield from ((SYMBOLS, line, message) for line, message in check_symbol_table(header, files.get(SYMBOLS, '')))
    yield from check_versions(header, files['meson.build'], files.get('CHANGELOG.md', ''))
    yield from check_size(files)
    yield from check_build_lists(files)
    yield from check_pollers(files)


def read_tree(root):
    paths = [path for path in root.iterdir() if path.is_file()]
    for folder in FOLDERS:
        paths += [path for path in (root / folder).rglob('*') if path.is_file()]
    files = {}
    for path in paths:
        if path.suffix in TEXT_SUFFIXES or path.name in TEXT_NAMES:
            files[path.relative_to(root).as_posix()] = path.read_bytes().decode('utf-8')
    return files


# ---------------------------------------------------------------------------------------------------------------
# Self-test
# ---------------------------------------------------------------------------------------------------------------

GOOD_HEADER = '''#define ZYNTAX_ASYNC_RUNTIME_VERSION 10203
#ifndef ZYNTAX_API
#  if defined(_WIN32)
#    define ZYNTAX_API __declspec(dllexport)
#  endif
#endif
/* Does a thing. [any] Returns 0. Since 0.1. */
ZYNTAX_API int zyntax_a(void *p) ZYNTAX_NOEXCEPT;

/* Does another. [drives]
 * Long. Since
 * 0.1. */
ZYNTAX_API int zyntax_b(int (*fn)(void *),
                        void *p) ZYNTAX_NOEXCEPT;
'''


GOOD_POLLER = '''class PollPoller {
public:
    static constexpr const char *name = "poll";
    int open(Memory &);
    void close() {} // wait()
private:
    bool grow();
};
'''


def long_function(head, lines):
    return head + ' {\n' + '    f("}", \'{\'); // }\n' * (lines - 2) + '}\n'


def good_tree():
    return {
        HEADER: GOOD_HEADER,
        'meson.build': "  version: '1.2.3',\n  'runtime/parts/symbols.cpp',\n",
        'CHANGELOG.md': '## 1.2.3\n',
        SYMBOLS: 'X(zyntax_a, "ip")\nX(zyntax_b, "ipp")\n',
        'tests/meson.build': "  'works',\n",
        'tests/works.cpp': 'int x;\n',
        'platform/poller_epoll.h': '#ifdef __linux__\n#endif\n',
        'platform/io_poller.h': '    { p.open(memory) } -> std::same_as<int>;\n    { p.close() }\n',
        'platform/poller_poll.h': GOOD_POLLER,
    }


def self_test_cases():
    """(what, changed files, part of the expected message)"""
    mark = 'FIX' + 'ME'
    add = lambda path, text: {path: text}
    header = lambda old, new: {HEADER: GOOD_HEADER.replace(old, new)}
    yield 'tab', add('runtime/a.h', 'int\ta;\n'), 'tab'
    yield 'space at end', add('README.md', 'a \n'), 'space at the end'
    yield 'carriage return', add('README.md', 'a\r\n'), 'carriage return'
    yield 'final newline', add('README.md', 'a'), 'no newline'
    yield 'empty last line', add('README.md', 'a\n\n'), 'empty line at the end'
    yield 'columns', add('examples/a.c', '/*' + 'a' * 118 + '*/\n'), '122 columns'
    yield 'left mark', add('bench/a.c', f'/* {mark}: later */\n'), f'leftover mark {mark}'
    for head, closing in [('static int f(int a)', ''),
                          ('int A::f() const noexcept', ''),
                          ('A::A(int x) : a_(x)', ''),
                          ('namespace {\ntemplate <class T>\nauto f(T t)\n    -> int', '}\n'),
                          ('struct S {\nint f()', '};\n'),
                          ('extern "C" {\nvoid f()', '}\n'),
                          ('bool operator==(A a, A b)', ''),
                          ('void A::f(int a = 1)', ''),
                          ("constexpr uint32_t big = 1'000'000;\nvoid f()", '')]:
        yield f'long function: {head!r}', add('platform/a.h', long_function(head, 71) + closing), 'lines, 70 allowed'
    for line in ['#ifdef _WIN32', '#if defined(__linux__) && X', '#if A\n#elif defined(__APPLE__)',
                 '#ifndef __FreeBSD__', '#if A || \\\n    defined __wasi__', '#if TARGET_OS_IPHONE']:
        yield f'platform conditional: {line!r}', add('runtime/a.h', f'{line}\n#endif\n'), 'platform conditional'
    yield 'platform conditional in an example', add('examples/a.c', '#ifdef __linux__\n#endif\n'), 'conditional on'
    yield 'platform conditional in the header', header('/* Does another', '#ifdef _WIN32\n#endif\n/*'), 'conditional on'
    yield 'no comment', header('/* Does a thing. [any] Returns 0. Since 0.1. */\n', ''), 'no comment right above'
    yield 'comment too far', header('*/\nZYNTAX_API int zyntax_a', '*/\n\nZYNTAX_API int zyntax_a'), 'no comment right'
    yield 'no thread', header('[any] ', ''), 'on which thread'
    yield 'no version', header(' Since\n * 0.1.', ''), 'since which version'
    yield 'declared twice', {HEADER: GOOD_HEADER + GOOD_HEADER}, 'declared twice'
    yield 'not exported', {HEADER: GOOD_HEADER + 'int zyntax_c(void);\n'}, 'without ZYNTAX_API'
    yield 'empty header', {HEADER: '#define ZYNTAX_ASYNC_RUNTIME_VERSION 10203\n'}, 'declares no function'
    yield 'not in the table', {SYMBOLS: '// X(zyntax_b, "ipp")\nX(zyntax_a, "ip")\n'}, 'zyntax_b is in the header'
    yield 'other types', {SYMBOLS: 'X(zyntax_a, "up")\nX(zyntax_b, "ipp")\n'}, 'zyntax_a has the types "ip"'
    yield 'version of the header', header('10203', '10204'), 'meson.build says'
    yield 'version of the changelog', {'CHANGELOG.md': '## 1.2.2\n'}, 'newest version is'
    yield 'no version in the changelog', {'CHANGELOG.md': 'None.\n'}, 'has no "## 1.2.3"'
    whole = add('platform/compiler.h', 'int a;\n' * (TOTAL_CODE_LINES_MAX + 1))
    yield 'size of the whole', whole, f'code lines together, {TOTAL_CODE_LINES_MAX} allowed'
    code = lambda lines: 'int a;\n' * lines
    for what, lines, changes in [
            ('a folder', 2212, {'runtime/a.h': code(1106), 'runtime/a.cpp': code(1106)}),
            ('a poller', 141, {'platform/poller_epoll.h': code(1), 'platform/poller_epoll.cpp': code(140)}),
            ('a poller of its own size', 344, add('platform/poller_iocp.cpp', code(344))),
            ('a file of the standard library', 166, add(min(STANDARD), code(166))),
            ('files together', 575, {'platform/posix.cpp': code(560), 'platform/unix.cpp': code(15)})]:
        yield f'size of {what}', changes, f'{lines} code lines together'
    order = GOOD_POLLER.replace('open(', 'x(').replace('close(', 'open(').replace('x(', 'close(')
    yield 'order of a poller', {'platform/poller_poll.h': order}, 'the poller has close, open'
    lacks = GOOD_POLLER.replace('void close() {}', '')
    yield 'a poller that lacks something', {'platform/poller_poll.h': lacks}, 'has open;'
    yield 'unlisted source', add('runtime/b.cpp', 'int x;\n'), 'not listed in meson.build'
    yield 'missing source', {'meson.build': good_tree()['meson.build'] + "  'runtime/gone.cpp',\n"}, 'does not exist'
    yield 'source listed twice', {'meson.build': good_tree()['meson.build'] * 2}, 'again'
    yield 'unlisted test', add('tests/forgotten.cpp', 'int x;\n'), 'not listed in tests/meson.build'


def good_cases():
    """(what, changed files) that no check may complain about."""
    yield 'tree', {}
    exact = long_function('int f(int a)', FUNCTION_LINES_MAX)
    yield 'exact length', {'platform/a.h': exact}
    yield 'two functions', {'platform/a.h': 'namespace {\n' + exact + exact + '}\n'}
    yield 'no function', {'platform/a.h': 'static const int table[] = {\n' + '    1,\n' * 80 + '};\n'}
    yield 'no function either', {'platform/a.h': 'struct alignas(64) S {\n' + '    int a;\n' * 80 + '};\n'}
    yield 'comments are no code', {'platform/a.h': '\n\n// a\n/* b\n c */\n' * 1000}
    listed = good_tree()['meson.build'] + ''.join(f"  'runtime/parts/{name}.cpp',\n" for name in ['a', 'b', 'channel'])
    yield 'exact sizes', {'meson.build': listed, 'runtime/parts/a.cpp': 'int a;\n' * 154,
                          'runtime/parts/b.cpp': 'int a;\n' * 154, 'runtime/parts/channel.cpp': 'int a;\n' * 226}
    language = ''.join(f'#ifdef {macro}\n#endif\n' for macro in ['__cplusplus', 'NDEBUG', '__GNUC__'])
    yield 'macro of the language', {'runtime/a.h': language}
    yield 'platform in a comment', {'runtime/a.h': '/*\n#ifdef _WIN32\n#endif\n*/\n// _WIN32\n'}
    yield 'wide text', {'README.md': 'a' * 200 + '\n'}


def self_test():
    failures = 0
    count = 0
    for what, changes, expected in self_test_cases():
        count += 1
        found = [message for _, _, message in check_tree({**good_tree(), **changes})]
        if not any(expected in message for message in found):
            failures += 1
            print(f'FAIL {what}: expected "{expected}", found {found}')
    for what, changes in good_cases():
        count += 1
        found = list(check_tree({**good_tree(), **changes}))
        if found:
            failures += 1
            print(f'FAIL {what}: should be clean, found {found}')
    print(f'{count - failures} of {count} cases passed')
    return 1 if failures else 0


def main():
    if sys.argv[1:] == ['--self-test']:
        return self_test()
    if sys.argv[1:]:
        print(__doc__)
        return 2
    files = read_tree(Path(__file__).resolve().parent.parent)
    violations = list(check_tree(files))
    for path, line, message in violations:
        print(f'{path}:{line}: {message}')
    lengths = [(last - first + 1, f'{path}: {name}') for path, text in library_files(files).items()
               for name, first, last in functions(text)]
    total = sum(code_lines(text) for text in library_files(files).values())
    print(f'{len(violations)} violations; {len(files)} files; {total} code lines in runtime/ and platform/; '
          f'{len(lengths)} functions, longest {max(lengths, default=(0, "none"))}')
    return 1 if violations else 0


if __name__ == '__main__':
    sys.exit(main())
