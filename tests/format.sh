#!/bin/sh
# Checks the tree against .clang-format. Exit 77 (skipped) without clang-format 14: other versions format differently.
# `format.sh --fix` formats it.
set -eu
cd "$(dirname "$0")/.."
version=14

for name in "clang-format-$version" clang-format; do
    if "$name" --version 2>/dev/null | grep -q "version $version\\."; then
        formatter=$name
        break
    fi
done
if [ -z "${formatter:-}" ]; then
    echo "clang-format $version is not installed"
    exit 77
fi

if [ "${1:-}" = --fix ]; then
    mode=-i
else
    mode='--dry-run --Werror --ferror-limit=3'
fi
# shellcheck disable=SC2086 # the mode is several words
find include runtime platform tests bench examples -name '*.c' -o -name '*.cpp' -o -name '*.h' | sort |
    xargs "$formatter" --style=file $mode
