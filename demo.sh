#!/bin/sh
# The main job in one command: installs what is missing, builds the release archive and the examples, fetches a user
# over TCP as the design document's example does, and prints a short table of measurements.
set -eu
cd "$(dirname "$0")"
path=$(sh tools/setup.sh build)
PATH=${path:+$path:}$PATH
build=build/demo

mkdir -p build
if ! [ -f $build/build.ninja ]; then
    rm -rf $build
    meson setup $build --buildtype=release -Dexamples=true -Dbenchmarks=true >$build.log 2>&1 ||
        { cat $build.log && exit 1; }
fi
ninja -C $build --quiet
echo "built $build/libzyntax_async_runtime.a, $(wc -c <$build/libzyntax_async_runtime.a) bytes"

printf '\n%s\n' 'examples/fetch_user.c: two awaits, an HTTP request over TCP and the parsing of its answer'
$build/examples/fetch_user

printf '\n%s\n' 'bench --quick: medians, beside a bare C++ loop that does the same work'
$build/bench/bench --quick
