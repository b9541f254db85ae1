#!/bin/sh
# The other pollers, systems and processors, in one command: installs the missing packages, builds the archive, the
# tests, the examples and the benchmarks for each target, and runs them where this machine can. Ends with a line `ok
# TARGET` or `FAIL TARGET` each; `skip TARGET` names the missing tool.
#
#   cross.sh                  every target, the emulated processors and musl in short: see in_short below
#   cross.sh --runs, --links  only those that run here, in short, or that do not
#   cross.sh TARGET ...       only these, and all of it
#   cross.sh --list           their names
set -eu
cd "$(dirname "$0")/.."

runs='poll kqueue i686-linux-gnu x86_64-w64-mingw32 wasm32-wasi aarch64-linux-gnu arm-linux-gnueabihf
    riscv64-linux-gnu s390x-linux-gnu x86_64-linux-musl'
links='aarch64-macos x86_64-macos x86_64-freebsd'
targets="$runs $links" short=1
case ${1:-} in
'') ;;
--runs) targets=$runs ;;
--links) targets=$links ;;
--list)
    # shellcheck disable=SC2086 # one name a line
    printf '%s\n' $targets
    exit
    ;;
-*)
    sed -n '2,10s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
*) targets=$* short= ;;
esac

path=$(sh tools/setup.sh build test cross)
PATH=${path:+$path:}$PATH
verdicts=$(mktemp)
summary=$(mktemp)
trap 'forget_files; rm -f "$verdicts"' EXIT
. tests/stages.sh

export CC=gcc CXX=g++
# With the library's own checks.
run_options='--buildtype=debugoptimized -Dc_args=-g1 -Dcpp_args=-g1 -Dbenchmarks=true' # fast, as all of it is run
link_options='--buildtype=debug -Dc_args=-g1 -Dcpp_args=-g1' # compiled fast

# Programs in C, which link the whole archive, the examples among them, and no C++ library.
c_programs='tests/c_api tests/seed_api examples/async_iterator examples/blocking_dns examples/cat examples/echo_server
    examples/embed_in_poll_loop examples/fetch_user examples/select_timeout examples/thread_per_core
    examples/udp_echo'

# for_target TARGET [SETUP OPTION ...]: builds the target and runs whatever its build says can be run
for_target() {
    target=$1
    shift
    wanted=
    # shellcheck disable=SC2086 # several words
    build "$target" $run_options "$@" || return 0
    run "$target" "$target" --no-suite package --no-suite lint --no-suite tidy --no-suite compilers \
        --no-suite bindings -t 3
}

# in_short TARGET [PROGRAM ...]: the programs in C, and these
in_short() {
    target=$1
    shift
    wanted="$c_programs $*"
    # shellcheck disable=SC2086
    build "$target" $link_options --cross-file "platform/cross/$target.ini" || return 0
    names=
    for program in $c_programs; do names="$names ${program##*/}"; done
    # shellcheck disable=SC2086
    run "$target" "$target" -t 5 $names
    for program; do run "$target" "$target-${program##*/}" -t 5 --suite "${program##*/}"; done
}

# links_only TARGET [objects]: what can be built but not run here: the programs in C, and what all the others are made
# of. A program in C++ would cost a C++ library.
links_only() {
    target=$1
    wanted=$c_programs
    # shellcheck disable=SC2086
    build "$target" $link_options --cross-file "platform/cross/$target.ini" || return 0
    if [ "${2:-}" = objects ]; then
        wanted=$(ninja -C "build/$target" -t targets all | sed -n 's/: [cp]*_COMPILER$//p')
        build "$target" || return 0
    fi
    record "$target" 1 0 0
}

# One Wine server for all programs: a server that ends without work resets the next program's connection. Its Windows is
# made before the first test, so that it takes no time of a test.
start_wine() {
    export WINEPREFIX="${WINEPREFIX:-${TMPDIR:-/tmp}/zyntax-wine-$(id -u)}" WINEDEBUG=-all
    mkdir -p "$WINEPREFIX"
    wine_server=$(command -v wineserver || echo /usr/lib/wine/wineserver64)
    "$wine_server" -p
    $(command -v wine64 || command -v wine || echo /usr/lib/wine/wine64) wineboot >/dev/null 2>&1 || true
}

for target in $targets; do
    : >"$summary"
    case $target in
    poll)
        for_target poll -Dpoller=poll
        ;;
    kqueue)
        if pkg-config --exists libkqueue; then
            for_target kqueue -Dpoller=kqueue
        else
            why='libkqueue is not installed (pkg-config finds none)'
            echo "skip kqueue: $why" >>"$verdicts"
            echo "kqueue: all: $why" >>"$skips"
            continue
        fi
        ;;
    x86_64-macos) links_only "$target" ;;
    aarch64-macos | x86_64-freebsd) links_only "$target" objects ;;
    x86_64-w64-mingw32)
        start_wine
        processes=$(getconf _NPROCESSORS_ONLN) # they wait for one server
        for_target "$target" --cross-file "platform/cross/$target.ini"
        "$wine_server" -k || true
        processes=$((processes * 2))
        ;;
    *)
        if ! [ -f "platform/cross/$target.ini" ]; then
            echo "FAIL $target: no such target" >>"$verdicts"
            continue
        fi
        case $short$target in
        1s390x-*) in_short "$target" tests/contract tests/scripted ;;
        1aarch64-* | 1arm-* | 1riscv64-* | 1*-musl) in_short "$target" ;;
        # Zig leaves the library's own checks out of optimised code.
        *-musl) for_target "$target" --cross-file "platform/cross/$target.ini" --buildtype=debug ;;
        *) for_target "$target" --cross-file "platform/cross/$target.ini" ;;
        esac
        ;;
    esac
    awk -v target="$target" '
        { passed += $2; failed += $3; skipped += $4 }
        END { printf "%s %s: %d passed, %d failed, %d skipped\n", failed || !passed ? "FAIL" : "ok", target, passed,
                     failed, skipped }' "$summary" >>"$verdicts"
    [ -z "${ZYNTAX_CROSS_SUMMARY:-}" ] || cat "$summary" >>"$ZYNTAX_CROSS_SUMMARY"
done

if [ -z "${ZYNTAX_SKIPS:-}" ] && [ -s "$skips" ]; then
    printf '\n==== skipped\n'
    cat "$skips"
fi
printf '\n==== other systems\n'
cat "$verdicts"
! grep -q '^FAIL' "$verdicts"
