#!/bin/sh
# Proves that the library can be had in every way that README and docs/build.md name: as a Meson subproject, through
# pkg-config, by plain compiler calls, from C with `cc` alone, from CMake and Cargo, as two files. Each way optimises
# where its user chooses nothing, and the archive carries nothing along.
#
#   package.sh             every check: prints `ok NAME`, `skip NAME`, or `FAIL NAME` with the output; exit 1 on failure
#   package.sh NAME ...    only these; exit 77 when all of them were skipped because a tool is missing
#   package.sh --list      their names
#
# Everything is built in a temporary directory, except for the installed library, which $ZYNTAX_PACKAGE_DIR keeps. A
# check is a function check_NAME that runs under `set -e` in its own directory.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
name=zyntax-async-runtime
export LC_ALL=C
unset CFLAGS CXXFLAGS LDFLAGS CC CXX DESTDIR MAKEFLAGS

# ---- What the checks share ------------------------------------------------------------------------------------------

fail() {
    echo "$*"
    exit 1
}

skip() {
    echo "$*"
    exit 77
}

needs() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null || skip "$tool is not installed"
    done
}

# A copy of the files that a vendoring project needs, and nothing else.
vendor() {
    mkdir -p "$1"
    cp -R "$root/include" "$root/runtime" "$root/platform" "$root/meson.build" "$root/meson_options.txt" \
        "$root/LICENSE" "$1"
}

# The fenced block that follows `<!-- snippet: NAME -->` in README.md or a page.
snippet() {
    awk -v mark="<!-- snippet: $1 -->" '
        $0 == mark { wanted = 1; next }
        wanted && /^```/ { if (inside) exit; inside = 1; next }
        inside { print }' "$root/README.md" "$root"/docs/*.md >snippet.tmp
    test -s snippet.tmp || fail "no page has a snippet $1"
    cat snippet.tmp
    rm snippet.tmp
}

# From here on every compiler that is found in PATH writes its arguments to ./compiled, a line a call.
watch_compilers() {
    mkdir watched
    for tool in c++ g++ clang++ cc gcc clang; do
        found=$(command -v $tool) || continue
        # ccache takes the next compiler of PATH.
        printf '#!/bin/sh\necho "" "$@" "" >>"%s"\nPATH="%s" exec "%s" "$@"\n' "$PWD/compiled" "$PATH" "$found" \
            >watched/$tool
        chmod +x watched/$tool
    done
    PATH=$PWD/watched:$PATH
    : >compiled
}

# The calls in ./compiled that compiled the library optimised it, with its own checks or without: is_optimised CHECKS
is_optimised() {
    grep -E '(runtime|platform)/[^ ]*\.cpp|zyntax_async_runtime\.cpp' compiled | grep -E -- ' -c ' >calls ||
        fail "no call compiled the library: $(cat compiled)"
    while read -r call; do
        level=$(printf '%s\n' "$call" | tr ' ' '\n' | grep '^-O' | tail -n 1)
        case $call in
        *-DNDEBUG*) checks=unchecked ;;
        *) checks=checked ;;
        esac
        case $level,$checks in
        -O[123],"$1") ;;
        *) fail "level '$level', $checks; wanted -O1 to -O3, $1: $call" ;;
        esac
    done <calls
    echo "optimised and $1: $(wc -l <calls) calls"
    : >compiled
}

# The same for a build directory of Meson's.
is_optimised_by_meson() {
    grep '"command"' "$1/compile_commands.json" >compiled
    is_optimised "$2"
}

# A task that sleeps a millisecond and says so.
write_consumer() {
    cat >"$1" <<'END'
#include <stdio.h>
#include <zyntax_async_runtime.h>

struct state {
    zyntax_runtime *runtime;
    zyntax_op op;
    int woke;
};

static PollStatus poll(FutureState self, Waker *waker) {
    struct state *s = self;
    if (zyntax_sleep(s->runtime, &s->op, 1000000, waker) == POLL_PENDING) return POLL_PENDING;
    s->woke = 1;
    return POLL_READY;
}

int main(void) {
    struct state s = {zyntax_runtime_create(), 0, 0};
    int32_t error = zyntax_runtime_block_on(s.runtime, zyntax_runtime_spawn(s.runtime, &s, poll));
    zyntax_runtime_destroy(s.runtime);
    printf("woke %d, error %d, version %u\n", s.woke, (int)error, (unsigned)zyntax_runtime_version());
    return s.woke == 1 && error == 0 && zyntax_runtime_version() == ZYNTAX_ASYNC_RUNTIME_VERSION ? 0 : 1;
}
END
}

quiet_meson() {
    meson setup "$@" >meson.log 2>&1 || { cat meson.log && fail "meson setup failed"; }
}

# Builds and installs the library into ./prefix: install_library static|shared. One check does it for all.
install_library() {
    library=$ZYNTAX_PACKAGE_DIR/$1
    mkdir -p "$library"
    {
        ! command -v flock >/dev/null || flock 9
        [ -f "$library/build/build.ninja" ] ||
            quiet_meson "$library/build" "$root" --prefix="$library/prefix" -Dlibdir=lib -Ddefault_library="$1"
        meson install -C "$library/build" --only-changed >install.log 2>&1 ||
            { cat install.log && fail "installing failed"; }
    } 9>"$library/lock"
    is_optimised_by_meson "$library/build" unchecked
    ln -s "$library/prefix" prefix
    export PKG_CONFIG_PATH="$library/prefix/lib/pkgconfig"
}

needs_no_cpp_library() {
    ldd "$1" >ldd.log 2>&1 || true
    ! grep -E 'libstdc|libc\+\+|libgcc_s|libunwind' ldd.log || fail "$1 needs the C++ library or an unwinder"
}

soname() {
    sed -n "s/^  version: '0\.\([0-9]*\)\..*/libzyntax_async_runtime.so.0.\1/p" "$root/meson.build"
}

# Names of the functions that the header declares.
declared() {
    tr '\n' ' ' <"$root/include/zyntax_async_runtime.h" | sed 's,/\*[^*]*\*\+\([^/*][^*]*\*\+\)*/,,g' |
        grep -o 'ZYNTAX_API [^;]*;' | sed 's/ *(.*//; s/.*[ *]//' | grep '^zyntax_' | sort
}

# ---- Consumers ------------------------------------------------------------------------------------------------------

# A C project in Meson with the library as its subproject, found by name through override_dependency.
check_meson_subproject() {
    needs meson ninja
    mkdir -p app/subprojects
    vendor "app/subprojects/$name"
    write_consumer app/main.c
    snippet meson-wrap >"app/subprojects/$name.wrap"
    snippet meson >app/meson.build
    cd app
    for kind in static shared; do
        quiet_meson "build-$kind" -Dwerror=true -Ddefault_library="$kind"
        ninja -C "build-$kind" >ninja.log 2>&1 || { cat ninja.log && fail "building failed"; }
        ! grep -i 'warning' ninja.log meson.log || fail "warnings"
        "build-$kind/app"
        needs_no_cpp_library "build-$kind/app"
        is_optimised_by_meson "build-$kind" checked
    done
    # Meson 1.0 sets b_ndebug for the main project alone.
    quiet_meson build-release --buildtype=release
    is_optimised_by_meson build-release unchecked
    ! ls "build-static/subprojects/$name/tests" 2>/dev/null || fail "a subproject builds the tests"
}

check_pkg_config_static() {
    needs meson ninja pkg-config
    install_library static
    flags=$(pkg-config --cflags --static --libs "$name")
    echo "$flags"
    echo "$flags" | grep -Eq -- '-l?pthread' || fail "the static link does not name the thread library"
    write_consumer main.c
    # shellcheck disable=SC2086 # the flags are several words
    cc -Wall -Wextra -Werror main.c $flags -o main
    ./main
    needs_no_cpp_library main
    header_version=$(sed -n 's/^#define ZYNTAX_ASYNC_RUNTIME_VERSION //p' prefix/include/zyntax_async_runtime.h)
    version=$(pkg-config --modversion "$name" | awk -F. '{ print $1 * 10000 + $2 * 100 + $3 }')
    test "$version" = "$header_version" || fail "pkg-config says $version, the header $header_version"
}

# The commands of docs/build.md, with their own prefix in place of the system's.
check_install() {
    needs meson ninja pkg-config
    vendor .
    mkdir bindings
    cp -R "$root/bindings/zyntax" bindings
    write_consumer main.c
    snippet install | sed "s,/usr/local,$PWD/prefix -Dlibdir=lib,; s,^meson,quietly meson," >install.sh
    # shellcheck disable=SC2016 # the text is a script
    export PKG_CONFIG_PATH="$PWD/prefix/lib/pkgconfig"
    {
        echo 'quietly() { "$@" >log 2>&1 || { cat log && exit 1; }; }'
        cat install.sh
    } >quiet.sh
    sh -eu quiet.sh
    ./app
    is_optimised_by_meson build unchecked
    cmp LICENSE "prefix/share/doc/$name/LICENSE"
    cmp include/zyntax_async_runtime.h prefix/include/zyntax_async_runtime.h
}

check_pkg_config_shared() {
    needs meson ninja pkg-config
    install_library shared
    write_consumer main.c
    # shellcheck disable=SC2046 # the flags are several words
    cc -Wall -Wextra -Werror main.c $(pkg-config --cflags --libs "$name") -Wl,-rpath,"$PWD/prefix/lib" -o main
    ./main
    ldd main | grep "$(soname)" || fail "the program does not load the shared library by its SONAME"
    needs_no_cpp_library main
}

# A program that was written against the design document: untyped handles, its own declarations, no header of ours.
check_seed_document_program() {
    needs meson ninja
    install_library static
    cat >seed.c <<'END'
#include <stdio.h>

typedef enum { POLL_READY, POLL_PENDING } PollStatus;
typedef struct { void *data; void (*wake)(void *); } Waker;
typedef void *FutureState;
typedef PollStatus (*PollFn)(FutureState, Waker *);

void *zyntax_runtime_create(void);
void zyntax_runtime_destroy(void *runtime);
void *zyntax_runtime_spawn(void *runtime, FutureState state, PollFn poll);
void zyntax_runtime_block_on(void *runtime, void *task);
void zyntax_runtime_run(void *runtime);

static PollStatus count_down(FutureState state, Waker *waker) {
    int *left = state;
    if (--*left == 0) return POLL_READY;
    waker->wake(waker->data);
    return POLL_PENDING;
}

int main(void) {
    int first = 3, second = 5;
    void *runtime = zyntax_runtime_create();
    void *task = zyntax_runtime_spawn(runtime, &first, count_down);
    zyntax_runtime_spawn(runtime, &second, count_down);
    zyntax_runtime_block_on(runtime, task);
    zyntax_runtime_run(runtime);
    zyntax_runtime_destroy(runtime);
    printf("%d %d\n", first, second);
    return first == 0 && second == 0 ? 0 : 1;
}
END
    cc -std=c11 -Wall -Wextra -Werror seed.c prefix/lib/libzyntax_async_runtime.a -pthread -o seed
    ./seed
    needs_no_cpp_library seed
}

# Enums of another size than the library's are an error that says so: refuses_short_enums COMPILER STANDARD FILE
refuses_short_enums() {
    ! "$1" -std="$2" -fshort-enums -I"$root/include" "$3" 2>short.log || fail "$1 -std=$2 takes enums of 8 bits"
    grep -q 'enums_have_32_bits\|enums have 32 bits' short.log && return
    cat short.log
    fail "$1 -std=$2 says another thing"
}

# The header alone, as C and as C++, with every warning that a careful project turns on.
check_header() {
    printf '#include "zyntax_async_runtime.h"\nint main(void) { return ZYNTAX_OK; }\n' >header.c
    cp header.c header.cpp
    for compiler in gcc clang; do
        command -v "$compiler" >/dev/null || continue
        for standard in c99 c11 c17; do
            "$compiler" -std="$standard" -Wall -Wextra -Wpedantic -Wstrict-prototypes -Werror -I"$root/include" header.c
            refuses_short_enums "$compiler" "$standard" header.c
        done
    done
    for compiler in g++ clang++; do
        command -v "$compiler" >/dev/null || continue
        for standard in c++98 c++11 c++17 c++20; do
            "$compiler" -std="$standard" -Wall -Wextra -Wpedantic -Werror -I"$root/include" header.cpp
            refuses_short_enums "$compiler" "$standard" header.cpp
        done
    done
}

# Compiles sources with a compiler and flags, which must not say a word, into ./lib.a: compile COMPILER FLAGS SOURCE ...
compile() {
    compiler=$1 flags=$2
    shift 2
    rm -f ./*.o lib.a
    # shellcheck disable=SC2086 # the flags are several words
    "$compiler" -std=c++20 $flags -Iinclude -c "$@" 2>warnings.log || { cat warnings.log && exit 1; }
    ! test -s warnings.log || { cat warnings.log && fail "warnings of $compiler $flags"; }
    ar rcs lib.a ./*.o
}

# The same with all sources as one file, which takes a tenth of the time.
compile_as_one() {
    printf '#include "%s"\n' runtime/*.cpp runtime/parts/*.cpp platform/*.cpp >one.cpp
    case $1 in
    *clang*) compile "$1" "$2 -I." one.cpp ;;
    *) compile "$1" "$2 -I. -Wno-subobject-linkage" one.cpp ;; # every source is an included file then
    esac
}

# No build system: plain compiler calls, and the same with every warning an error.
plain_build() {
    needs "$1"
    write_consumer main.c
    vendor .
    # Nothing but the language; each file by itself. With exceptions on, `noexcept` functions refer to the C++
    # library's personality routine, so the C++ compiler links.
    cc -Iinclude -c main.c -o main.obj
    compile "$1" '' runtime/*.cpp runtime/parts/*.cpp platform/*.cpp
    "$1" main.obj lib.a -pthread -o main
    ./main
    # Without exceptions `cc` links, optimised or not, with and without the library's own checks.
    for flags in '-O0' '-O2 -DNDEBUG' '-O1 -g'; do
        compile_as_one "$1" "$flags -fno-exceptions -fno-rtti -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror"
        cc main.obj lib.a -pthread -o main
        ./main
        needs_no_cpp_library main
    done
}

check_plain_gxx() {
    plain_build g++
}

check_plain_clangxx() {
    plain_build clang++
}

check_by_hand() {
    vendor zyntax-async-runtime
    write_consumer main.c
    snippet by-hand >build.sh
    watch_compilers
    sh -eux build.sh
    ./app
    is_optimised unchecked
}

# Builds ./CMakeLists.txt with default settings, and runs its `app`.
builds_with_cmake() {
    cmake -S . -B build >cmake.log 2>&1 || { cat cmake.log && fail "cmake failed"; }
    cmake --build build >build.log 2>&1 || { cat build.log && fail "building failed"; }
    ! grep -i 'warning' build.log cmake.log || fail "warnings"
    build/app
}

check_cmake() {
    needs cmake
    vendor zyntax-async-runtime
    write_consumer main.c
    snippet cmake >CMakeLists.txt
    watch_compilers
    builds_with_cmake
    is_optimised unchecked
    needs_no_cpp_library build/app
}

# Builds and runs the package in this folder as a user of Cargo does: run_cargo CARGO OPTION ...
run_cargo() {
    cargo run --offline "$@" >cargo.log 2>&1 || { cat cargo.log && fail "cargo run $* failed"; }
    tail -n 1 cargo.log
    ! grep -i '^warning' cargo.log || fail "warnings"
}

check_cargo() {
    needs cargo
    vendor zyntax-async-runtime
    mkdir src
    snippet cargo-toml >Cargo.toml
    snippet cargo-build >build.rs
    snippet cargo-main >src/main.rs
    CARGO_TARGET_DIR=$PWD/target
    export CARGO_TARGET_DIR
    cargo fetch >fetch.log 2>&1 || { tail -n 3 fetch.log && skip "the cc crate cannot be fetched"; }
    watch_compilers
    run_cargo
    is_optimised checked
    run_cargo --release
    is_optimised unchecked
    for program in target/release/app*; do
        if test -f "$program" && test -x "$program"; then
            ! ldd "$program" | grep -E 'libstdc|libc\+\+' || fail "the program needs the C++ library"
        fi
    done
}

# The crate as a debug build of a user compiles it.
check_crates() {
    needs cargo
    watch_compilers
    export CARGO_TARGET_DIR="$PWD/target"
    cd "$root/bindings/rust"
    cargo fetch --locked >"$CARGO_TARGET_DIR.log" 2>&1 || skip "the crates cannot be fetched"
    cargo build --locked --offline -p zyntax-async-runtime-sys >"$CARGO_TARGET_DIR.log" 2>&1 ||
        { cat "$CARGO_TARGET_DIR.log" && fail "cargo build failed"; }
    cd "$CARGO_TARGET_DIR/.."
    is_optimised checked
}

# ---- The library as two files ----------------------------------------------------------------------------------------

# The two files, and a program in the same folder.
write_two_files() {
    needs python3
    python3 "$root/tools/amalgamate.py" .
    write_consumer main.c
    sed -i 's/<zyntax_async_runtime.h>/"zyntax_async_runtime.h"/' main.c
}

check_two_files_cc() {
    write_two_files
    snippet two-files-cc >build.sh
    watch_compilers
    sh -eux build.sh
    ./app
    is_optimised unchecked
    needs_no_cpp_library app
}

check_two_files_cmake() {
    needs cmake
    write_two_files
    snippet two-files-cmake-project >CMakeLists.txt
    snippet two-files-cmake | grep -Fxf - CMakeLists.txt || fail "the complete CMakeLists.txt lacks the short recipe"
    watch_compilers
    builds_with_cmake
    is_optimised unchecked
}

check_two_files_cargo() {
    needs cargo
    write_two_files
    mkdir src
    snippet cargo-toml >Cargo.toml
    snippet cargo-main >src/main.rs
    { echo 'fn main() {' && snippet two-files-cargo && echo '}'; } >build.rs
    CARGO_TARGET_DIR=$PWD/target
    export CARGO_TARGET_DIR
    cargo fetch >fetch.log 2>&1 || { tail -n 3 fetch.log && skip "the cc crate cannot be fetched"; }
    watch_compilers
    run_cargo
    is_optimised unchecked
}

# The program in README that shows the code which a compiler has to emit.
check_readme_program() {
    needs meson ninja python3
    install_library static
    # README's first program, by the commands below it.
    mkdir two_files
    python3 "$root/tools/amalgamate.py" two_files
    snippet hello >two_files/hello.c
    snippet hello-build >build.sh
    (cd two_files && sh -eux ../build.sh)
    timeout 30 two_files/hello | tee hello.out
    echo 'hello, world' | cmp - hello.out || fail "another output"
    cc -std=c11 -Wall -Wextra -Wpedantic -Werror -Iprefix/include -c two_files/hello.c
    snippet emitted-c >emitted.c
    cc -std=c11 -Wall -Wextra -Wpedantic -Werror -Iprefix/include emitted.c prefix/lib/libzyntax_async_runtime.a \
        -pthread -o emitted
    timeout 30 ./emitted
    snippet zyntax-c >zyntax.c
    cc -std=c11 -Wall -Wextra -Wpedantic -Werror -Iprefix/include zyntax.c prefix/lib/libzyntax_async_runtime.a \
        -pthread -o zyntax
    timeout 30 ./zyntax | tee zyntax.out
    printf 'dropped with 0\nthe value is 7\n' | cmp - zyntax.out || fail "another output"
}

# ---- What is inside -------------------------------------------------------------------------------------------------

# The archive needs the C library and nothing else, and runs nothing before main.
archive_is_clean() {
    nm "$1" | awk 'NF == 2 && $1 != "U" || NF == 3 { print $NF }' | sort -u >defined
    nm -u "$1" | awk '$1 == "U" || $1 == "w" { print $2 }' | sort -u >undefined
    comm -13 defined undefined >needed
    echo "needed from outside:"
    tr '\n' ' ' <needed
    ! grep -E '^_Z|__cxa|__gxx|_Unwind|__once_proxy|__dynamic_cast' needed || fail "$1 needs the C++ runtime"
    ! objdump -h "$1" | grep -E '\.(init_array|ctors|preinit_array)' || fail "$1 has global constructors"
    ! nm "$1" | grep -E '_GLOBAL__sub_I|__cxx_global_var_init' || fail "$1 has global constructors"
    ! nm "$1" | grep -E ' (u|V) .*(guard|_ZGV)' || fail "$1 has guarded statics"
}

check_archive_symbols() {
    needs meson ninja nm objdump
    install_library static
    archive=prefix/lib/libzyntax_async_runtime.a
    archive_is_clean "$archive"
    # Every function of the header is there, and every other global name is mangled or hidden out of the way.
    declared >wanted
    test "$(wc -l <wanted)" -gt 40 || fail "found only $(wc -l <wanted) declarations in the header"
    nm --defined-only "$archive" | awk '$2 ~ /[A-Z]/ { print $3 }' | sort -u >global
    comm -23 wanted global >missing
    ! test -s missing || { cat missing && fail "declared but not in the archive"; }
    ! grep -v -e '^_Z' -e '^zyntax_' global || fail "global names outside the library's own"
    ! grep '^zyntax_' global | comm -13 wanted - | grep . || fail "zyntax_ names that the header does not declare"
}

# The same for the objects that plain compiler calls make, without optimisation.
check_plain_symbols() {
    needs nm objdump
    vendor .
    for compiler in g++ clang++; do
        command -v "$compiler" >/dev/null || continue
        compile_as_one "$compiler" '-fno-exceptions -fno-rtti'
        echo "$compiler:"
        archive_is_clean lib.a
    done
}

check_shared_symbols() {
    needs meson ninja nm readelf
    install_library shared
    library=prefix/lib/libzyntax_async_runtime.so
    declared >wanted
    test "$(wc -l <wanted)" -gt 40 || fail "found only $(wc -l <wanted) declarations in the header"
    nm -D --defined-only "$library" | awk '{ print $NF }' | sort >exported
    diff wanted exported || fail "exports (>) and declarations (<) differ"
    readelf -d "$library" >dynamic
    grep "SONAME.*\[$(soname)\]" dynamic || fail "no SONAME $(soname)"
    ! grep -E 'NEEDED.*(stdc|c\+\+|gcc_s)' dynamic || fail "the shared library needs the C++ runtime"
    ! grep -E 'TEXTREL|RPATH|RUNPATH' dynamic || fail "text relocations or a run path"
}

# A program that only spawns and runs.
write_minimal() {
    cat >minimal.c <<'END'
#include <zyntax_async_runtime.h>

static PollStatus poll(FutureState state, Waker *waker) {
    (void)state;
    (void)waker;
    return POLL_READY;
}

int main(void) {
    zyntax_runtime *runtime = zyntax_runtime_create();
    zyntax_runtime_spawn(runtime, 0, poll);
    int32_t error = zyntax_runtime_run(runtime);
    zyntax_runtime_destroy(runtime);
    return (int)error;
}
END
}

carries_no_unused_part() {
    ./"$1"
    for function in blocking channel_create tcp_connect promise_spawn runtime_symbols udp_open unix_listen signal_open \
        process_spawn file_open scope_create port_create io_deadline io_readv resolve address_parse runtime_trace; do
        ! nm "$1" | grep " T zyntax_$function\$" || fail "zyntax_$function is linked in although unused"
    done
    size "$1"
}

check_optional_parts() {
    needs meson ninja nm
    install_library static
    archive=prefix/lib/libzyntax_async_runtime.a
    write_minimal
    cc -Iprefix/include minimal.c "$archive" -pthread -Wl,-Map=map -o minimal
    for part in "$root"/runtime/parts/*.cpp; do
        part=${part##*/}
        ar t "$archive" | grep -q "parts_$part" || fail "the archive has no member for $part"
    done
    ! grep -E "libzyntax_async_runtime\.a\([^)]*parts_" map || fail 'parts are linked in although unused'
    carries_no_unused_part minimal
}

# The same with two files, by sections.
check_two_files_optional_parts() {
    needs python3 nm
    python3 "$root/tools/amalgamate.py" .
    write_minimal
    sed -i 's/<zyntax_async_runtime.h>/"zyntax_async_runtime.h"/' minimal.c
    c++ -std=c++20 -O2 -DNDEBUG -fno-exceptions -fno-rtti -ffunction-sections -fdata-sections \
        -c zyntax_async_runtime.cpp
    cc minimal.c zyntax_async_runtime.o -pthread -o whole
    nm whole | grep ' T zyntax_channel_create$' || fail "the check would not notice a part"
    cc minimal.c zyntax_async_runtime.o -pthread -Wl,--gc-sections -o minimal
    carries_no_unused_part minimal
}

# ---- Running them ---------------------------------------------------------------------------------------------------

all='header meson_subproject pkg_config_static pkg_config_shared seed_document_program plain_gxx plain_clangxx
    archive_symbols plain_symbols shared_symbols optional_parts by_hand cmake cargo crates install two_files_cc
    two_files_cmake two_files_cargo two_files_optional_parts readme_program'

case ${1:-} in
--list)
    # shellcheck disable=SC2086 # one name a line
    printf '%s\n' $all
    exit 0
    ;;
--inside)
    cd "$3"
    "check_$2"
    exit 0
    ;;
esac

work=$(mktemp -d)
export ZYNTAX_PACKAGE_DIR="${ZYNTAX_PACKAGE_DIR:-$work/library}"
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 skipped=0
# shellcheck disable=SC2086 # one argument a name
[ $# -gt 0 ] || set -- $all
for check in "$@"; do
    mkdir "$work/$check"
    status=0
    sh "$root/tests/package.sh" --inside "$check" "$work/$check" >"$work/$check.log" 2>&1 || status=$?
    case $status in
    0) passed=$((passed + 1)) && echo "ok $check" ;;
    77) skipped=$((skipped + 1)) && echo "skip $check: $(tail -n 1 "$work/$check.log")" ;;
    *) failed=$((failed + 1)) && echo "FAIL $check" && sed 's/^/    /' "$work/$check.log" ;;
    esac
    if [ -n "${VERBOSE:-}" ]; then sed 's/^/    /' "$work/$check.log"; fi
    rm -rf "${work:?}/$check"
done
echo "package: $passed ok, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] || exit 1
[ "$passed" -gt 0 ] || exit 77
