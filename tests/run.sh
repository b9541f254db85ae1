#!/bin/sh
# Every test, in one command: installs the missing packages, builds and runs the suite with g++ in release, under ASan
# and UBSan, under TSan, and with clang; lints, proves the package, builds and runs the compilers; then the other
# systems (cross.sh). The last line is the sum.
#
#   run.sh            everything
#   run.sh --native   everything but the other systems
#   run.sh --quick    the release build only, without lint, package and compilers
set -eu
cd "$(dirname "$0")/.."
native=1 cross=1
case ${1:-} in
'') ;;
--native) cross= ;;
--quick) native= cross= ;;
*)
    sed -n '2,8s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac

echo 'Looking for compilers and tools; installing missing ones.'
path=$(sh tools/setup.sh build test ${native:+native} ${cross:+cross})
PATH=${path:+$path:}$PATH
summary=$(mktemp)
trap forget_files EXIT
. tests/stages.sh
if [ -n "$native" ]; then
    echo 'Building and testing with g++, under two sanitizers and with clang; then lint, package and compilers.'
    [ -z "$cross" ] || echo 'At last the other systems. What can only be linked for them is built meanwhile.'
else
    echo 'Building and testing with g++.'
fi
echo 'On two cores without a compiler cache: --quick takes about 5 minutes, everything about 60.'

# Programs that are only linked fill the time in which tests wait.
if [ -n "$cross" ]; then
    links=$(mktemp)
    trap 'forget_files; rm -f "$links"' EXIT
    ZYNTAX_CROSS_SUMMARY=$links ZYNTAX_SKIPS=$skips nice -n 19 sh tests/cross.sh --links >build/links.log 2>&1 &
    links_job=$!
fi

# The crates of the compilers, too: the tests of these then find them, or wait until they are there.
if [ -n "$native" ]; then nice -n 19 python3 examples/cargo.py >build/cargo.log 2>&1 & fi

export CC=gcc CXX=g++

# Sanitizers report lines; more about variables doubles the size of `build` and costs time.
lines_only='-Dc_args=-g1 -Dcpp_args=-g1'

# Fails on the first finding, with leaks looked for and stacks checked after return.
export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:abort_on_error=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1

# Prints the command that has to stand before a program made with TSan, or fails where there is none: it needs an
# address space that is not randomised too far.
thread_sanitizer_wrapper() {
    probe=$(mktemp -d)
    echo 'int main() { return 0; }' >"$probe/probe.cpp"
    "$CXX" -fsanitize=thread "$probe/probe.cpp" -o "$probe/probe" || return 1
    found=1
    for candidate in '' "setarch $(uname -m) -R"; do
        if $candidate "$probe/probe" >"$probe/log" 2>&1; then
            found=0
            echo "$candidate"
            break
        fi
    done
    [ $found -eq 0 ] || cat "$probe/log" >&2
    rm -rf "$probe"
    return $found
}

if build release --buildtype=release -Dbenchmarks=true; then
    run release release --no-suite package --no-suite lint --no-suite compilers --no-suite bindings
fi

if [ -n "$native" ]; then
    # shellcheck disable=SC2086 # several words
    if build asan --buildtype=debug $lines_only -Db_sanitize=address,undefined; then
        run asan asan --no-suite package --no-suite lint --no-suite tidy --no-suite bindings -t 3
    fi

    if wrapper=$(thread_sanitizer_wrapper); then
        # shellcheck disable=SC2086
        if build tsan --buildtype=debugoptimized $lines_only -Db_sanitize=thread; then
            run tsan tsan --no-suite package --no-suite lint --no-suite tidy --no-suite bindings -t 5
        fi
    elif [ -n "${CI:-}" ]; then
        record tsan 0 1 0 cannot_run_here
    else
        record tsan 0 0 1
        echo 'tsan: all: programs made with ThreadSanitizer do not start here' >>"$skips"
    fi
    wrapper=

    export CC=clang CXX=clang++
    if build clang --buildtype=release -Dbenchmarks=true; then
        run clang clang --no-suite package --no-suite lint --no-suite tidy --no-suite bench --no-suite compilers \
            --no-suite bindings
    fi

    if [ -f build/release/build.ninja ]; then
        run release package --suite package --suite lint
        run release compilers --suite compilers
        run release bindings --suite bindings
    fi
fi

if [ -n "$cross" ]; then
    ZYNTAX_CROSS_SUMMARY=$summary ZYNTAX_SKIPS=$skips sh tests/cross.sh --runs || true
    wait "$links_job" || awk '$3 > 0 { failed = 1 } END { exit !failed }' "$links" || record links 0 1 0 cross.sh
    cat build/links.log
    cat "$links" >>"$summary"
fi
conclude
