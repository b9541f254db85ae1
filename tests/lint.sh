#!/bin/sh
# Runs clang-tidy, with .clang-tidy, over the library as it is on this system, and over the poller for poll(2). Exit 77
# (skipped) without clang-tidy 14: other versions find other faults.
#
#   lint.sh                 the whole library: runtime/ as one file, which takes a twentieth of the time, and platform/
#   lint.sh runtime         the first of these
#   lint.sh platform        the second
#   lint.sh FILE ...        only these, named from the root of the tree
#   lint.sh --self-test     feeds it runtime/ with a fault; fails unless the fault is found
set -eu
cd "$(dirname "$0")/.."
version=14

for name in "clang-tidy-$version" clang-tidy; do
    if "$name" --version 2>/dev/null | grep -q "version $version\\."; then
        linter=$name
        break
    fi
done
if [ -z "${linter:-}" ]; then
    echo "clang-tidy $version is not installed"
    exit 77
fi

lint() { # lint FILE [OPTION ...]
    file=$1
    shift
    "$linter" --quiet "$file" "$@" -- -std=c++20 -Iinclude -I. $poller
}

# as_one FILE ...: what includes all of them, where .clang-tidy is found
as_one() {
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    cp .clang-tidy "$folder"
    printf '#include "%s"\n' "$@" >"$folder/all.cpp"
    lint "$folder/all.cpp" --checks=-bugprone-suspicious-include
}

[ $# -gt 0 ] || set -- runtime platform
poller=
for what; do
    case $what in
    runtime) (as_one runtime/*.cpp runtime/parts/*.cpp) ;;
    platform) sh tests/lint.sh platform/*.cpp ;;
    --self-test)
        fault=$(mktemp -d)
        trap 'rm -rf "$fault"' EXIT
        mkdir "$fault/runtime"
        cat >"$fault/runtime/fault.cpp" <<'END'
int read_nothing(bool is_there);
int read_nothing(bool is_there) {
    int there = 0, *value = is_there ? &there : nullptr;
    return *value;
}
END
        (as_one runtime/*.cpp runtime/parts/*.cpp "$fault/runtime/fault.cpp") >"$fault/log" 2>&1 && exit 1
        grep -q 'fault.cpp.*NullDereference' "$fault/log"
        ;;
    */poller_poll.cpp) poller=-DZYNTAX_POLLER_POLL && lint "$what" && poller= ;;
    *) lint "$what" ;;
    esac
done
