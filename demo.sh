#!/bin/sh
# The main job in one command: installs what is missing, builds the release archive and the examples, fetches a user
# over TCP as the design document's example does, and prints a short table of measurements.
set -eu
cd "$(dirname "$0")"
began=$(date +%s)
passed() { echo "---- took $(($(date +%s) - began)) s" && began=$(date +%s); }

echo '1 of 4: looking for a compiler, Meson and Ninja, installing what is missing'
path=$(sh tools/setup.sh build)
passed
PATH=${path:+$path:}$PATH
build=build/demo

printf '\n%s\n' '2 of 4: building the archive, the examples and the benchmarks; about a minute on two cores'
mkdir -p build
if ! [ -f $build/build.ninja ]; then
    rm -rf $build
    meson setup $build --buildtype=release -Dexamples=true -Dbenchmarks=true >$build.log 2>&1 ||
        { cat $build.log && exit 1; }
fi
if [ -t 1 ]; then ninja -C $build; else ninja -C $build --quiet; fi
echo "built $build/libzyntax_async_runtime.a, $(wc -c <$build/libzyntax_async_runtime.a) bytes"
passed

printf '\n%s\n' '3 of 4: examples/fetch_user.c: two awaits, an HTTP request over TCP and the parsing of its answer'
$build/examples/fetch_user

printf '\n%s\n' '4 of 4: bench --quick, about 10 seconds: medians, beside a bare C++ loop that does the same work'
$build/bench/bench --quick
passed
