#!/bin/sh
# Runs clang-tidy, with .clang-tidy, over the library as it is on this system, and over the poller for poll(2). Exit 77
# (skipped) without clang-tidy 14: other versions find other faults.
#
#   lint.sh           every file of the library
#   lint.sh FILE ...  only these, named from the root of the tree
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

if [ $# -eq 0 ]; then
    printf '%s\n' runtime/*.cpp runtime/parts/*.cpp platform/*.cpp |
        xargs -P "$(getconf _NPROCESSORS_ONLN)" -n 1 sh tests/lint.sh
    exit
fi
for file; do
    case $file in
    */poller_poll.cpp) poller=-DZYNTAX_POLLER_POLL ;;
    *) poller= ;;
    esac
    "$linter" --quiet "$file" -- -std=c++20 -Iinclude $poller
done
