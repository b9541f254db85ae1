#!/bin/sh
# Every test, in one command: installs what is missing, builds and runs the suite with g++ in release, under ASan and
# UBSan, under TSan, and with clang; then lints and proves the package. The last line is the sum.
#
#   run.sh            everything
#   run.sh --quick    the release build only, without lint and package
set -eu
cd "$(dirname "$0")/.."
root=$PWD
quick=
case ${1:-} in
'') ;;
--quick) quick=1 ;;
*)
    sed -n '2,6s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac

path=$(sh tools/setup.sh build test)
PATH=${path:+$path:}$PATH
mkdir -p build
summary=$(mktemp)
trap 'rm -f "$summary"' EXIT

export CC=gcc CXX=g++

# Fails on the first finding, with leaks looked for and stacks checked after return.
export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:abort_on_error=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1

# record STAGE PASSED FAILED SKIPPED [NAME ...]: one line of the summary; the names are those that failed
record() {
    echo "$@" >>"$summary"
}

# Adds up a log of `meson test`.
count() {
    python3 - "$1" "$2" <<'END'
import json, sys
stage, log = sys.argv[1:]
results = [json.loads(line) for line in open(log)]
good = [t for t in results if t['result'] in ('OK', 'EXPECTEDFAIL')]
skipped = [t for t in results if t['result'] == 'SKIP']
bad = [t['name'].split(' / ')[-1].replace(' ', '_') for t in results if t not in good and t not in skipped]
print(stage, len(good), len(bad), len(skipped), *bad)
END
}

# build STAGE [SETUP OPTION ...]: configures and builds build/STAGE; a failure counts as a failed test
build() {
    stage=$1
    shift
    printf '\n==== %s: build\n' "$stage"
    if ! [ -f "build/$stage/build.ninja" ]; then
        rm -rf "build/$stage"
        if ! meson setup "build/$stage" -Dtests=true -Dexamples=true "$@" >"build/$stage.log" 2>&1; then
            cat "build/$stage.log"
            record "$stage" 0 1 0 meson_setup
            return 1
        fi
    fi
    if ! ninja -C "build/$stage" --quiet; then
        record "$stage" 0 1 0 ninja
        return 1
    fi
}

# run STAGE NAME [meson test OPTION ...]: runs the tests of build/STAGE as NAME
run() {
    stage=$1 title=$2
    shift 2
    printf '\n==== %s: test\n' "$title"
    rm -f "build/$stage/meson-logs/$title.json"
    $wrapper meson test -C "build/$stage" --no-rebuild --print-errorlogs --logbase "$title" "$@" || true
    if [ -f "build/$stage/meson-logs/$title.json" ]; then
        count "$title" "build/$stage/meson-logs/$title.json" >>"$summary"
    else
        record "$title" 0 1 0 meson_test
    fi
}

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

wrapper=
if build release --buildtype=release -Dbenchmarks=true; then
    run release release --no-suite package --no-suite lint
fi

if [ -z "$quick" ]; then
    if build asan --buildtype=debug -Db_sanitize=address,undefined; then
        run asan asan --no-suite package --no-suite lint --no-suite tidy -t 3
    fi

    if wrapper=$(thread_sanitizer_wrapper); then
        if build tsan --buildtype=debugoptimized -Db_sanitize=thread; then
            run tsan tsan --no-suite package --no-suite lint --no-suite tidy -t 5
        fi
    elif [ -n "${CI:-}" ]; then
        record tsan 0 1 0 cannot_run_here
    else
        record tsan 0 0 1
    fi
    wrapper=

    export CC=clang CXX=clang++
    if build clang --buildtype=release -Dbenchmarks=true; then
        run clang clang --no-suite package --no-suite lint --no-suite tidy --no-suite bench
    fi

    if [ -f build/release/build.ninja ]; then
        run release package --suite package --suite lint
    fi
fi

printf '\n==== summary (in %s/build)\n' "$root"
awk '
    { printf "%-10s %4d passed %4d failed %4d skipped", $1, $2, $3, $4
      for (i = 5; i <= NF; i++) printf "%s%s", i == 5 ? ": " : ", ", $i
      print ""
      passed += $2; failed += $3 }
    END { printf "\n%d passed, %d failed\n", passed, failed; exit failed > 0 || passed == 0 }' "$summary"
