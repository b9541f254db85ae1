#!/bin/sh
# Runs clang-tidy, with .clang-tidy, over the library as it is on this system, and with poll(2). Exit 77 (skipped)
# without clang-tidy 14: others find others.
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

printf '%s\n' runtime/*.cpp runtime/parts/*.cpp platform/*.cpp |
    xargs -P "$(getconf _NPROCESSORS_ONLN)" -I FILE "$linter" --quiet FILE -- -std=c++20 -Iinclude
"$linter" --quiet platform/poller_poll.cpp -- -std=c++20 -Iinclude -DZYNTAX_POLLER_POLL
