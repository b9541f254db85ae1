#!/bin/sh
# Lets libFuzzer look for programs that break a promise, under ASan and UBSan; then minimises the tree's corpus together
# with the new inputs.
#
#   fuzz.sh [SECONDS]     60 when not given
#
# RANDOM_WITHOUT=NAME,NAME leaves out oracles or actions. A program that fails is left in build/fuzz/found.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-60}
path=$(sh tools/setup.sh build test fuzz)
PATH=${path:+$path:}$PATH
build=build/fuzz
corpus=tests/random/corpus.hex

[ -f $build/build.ninja ] ||
    CC=clang CXX=clang++ meson setup $build --buildtype=debugoptimized -Dtests=true >/dev/null
ninja -C $build tests/random/random_fuzz
fuzzer=$build/tests/random/random_fuzz
export ASAN_OPTIONS=detect_leaks=0 # each program checks that its allocator's balance is even

rm -rf $build/corpus $build/least
mkdir -p $build/finds $build/found $build/corpus $build/least
python3 tests/random/corpus.py unpack $corpus $build/corpus
status=0
$fuzzer -max_total_time="$seconds" -max_len=2000 -timeout=20 -rss_limit_mb=4096 -artifact_prefix=$build/found/ \
    -print_final_stats=1 $build/finds $build/corpus || status=$?

# Small programs that together reach every edge that is known; the tree has room for some hundred.
$fuzzer -merge=1 -max_len=1000 -use_counters=0 -rss_limit_mb=4096 \
    $build/least $build/corpus $build/finds 2>$build/merge.log || {
    tail -n 20 $build/merge.log
    exit 1
}
python3 tests/random/corpus.py pack $corpus $build/least
exit $status
