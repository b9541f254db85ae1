#!/bin/sh
# Proof that the random programs bite: puts faults back one at a time (bites/*.patch, against runtime/), in a copy of
# the tree, and prints the time from a fresh seed to the find of each. Not part of the ordinary tests.
#
#   bites.sh [PATCH...]           all of them when none is given
#   bites.sh --check [PATCH...]   only whether each still applies to the tree, which the suite asks
#
# SECONDS_EACH=60 is the time that each may take; RANDOM_WITHOUT=NAME,NAME leaves out oracles or actions. A patch whose
# name begins with `real-` is looked for over the real poller under TSan. A patch with a line `Found by: PROGRAM FILE`
# is looked for by that file's unit tests (tests/PROGRAM). The others are looked for over the world without a kernel.
# Exits with 1 unless each is found.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
limit=${SECONDS_EACH:-60}
check=
if [ "${1:-}" = --check ]; then
    check=1
    shift
fi
[ $# -gt 0 ] || set -- "$here"/bites/*.patch

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir "$copy/tree"
(cd "$root" && tar cf - LICENSE meson.build meson_options.txt tools include runtime platform bindings/zyntax tests) |
    tar xf - -C "$copy/tree"
missed=0

if [ -n "$check" ]; then
    for patch in "$@"; do
        patch -s -f --dry-run -p1 -d "$copy/tree" <"$patch" && continue
        echo "$(basename "$patch" .patch): does not apply"
        missed=1
    done
    exit $missed
fi

setup() { # setup FOLDER OPTION...
    folder=$copy/$1
    shift
    CC="${CC:-gcc}" CXX="${CXX:-g++}" meson setup "$folder" "$copy/tree" -Dtests=true -Db_ndebug=true "$@" >/dev/null
}
setup scripted --buildtype=debugoptimized -Dc_args=-g1 -Dcpp_args=-g1

export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1

for patch in "$@"; do
    name=$(basename "$patch" .patch)
    test=$(sed -n 's/^Found by: //p' "$patch")
    case $name in
    real-*)
        build=real program=random/random-real
        [ -d "$copy/real" ] || setup real --buildtype=debugoptimized -Db_sanitize=thread
        ;;
    *) build=scripted program=random/random ;;
    esac
    arguments="--seed fresh --seconds $limit --no-shrink ${RANDOM_WITHOUT:+--without $RANDOM_WITHOUT}"
    if [ -n "$test" ]; then
        program=${test% *}
        arguments="--source-file=*/${test#* }.cpp"
    fi
    patch -s -p1 -d "$copy/tree" <"$patch"
    if ! ninja -C "$copy/$build" "tests/$program" >"$copy/log" 2>&1; then
        tail -n 20 "$copy/log"
        echo "$name: does not build"
        missed=1
    else
        start=$(date +%s)
        # TSan needs an address space that is not randomised too far.
        # shellcheck disable=SC2086 # several words
        if (set -f && timeout $((limit + 60)) setarch "$(uname -m)" -R "$copy/$build/tests/$program" $arguments) \
            >"$copy/log" 2>&1; then
            echo "$name: NOT FOUND in $limit s"
            missed=1
        else
            took=$(($(date +%s) - start))
            echo "$name: found in $took s: $(grep -m1 -o 'FAILED: .*\|ERROR: .*' "$copy/log" || tail -n 1 "$copy/log")"
        fi
    fi
    patch -s -R -p1 -d "$copy/tree" <"$patch"
done
exit $missed
