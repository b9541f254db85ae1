#!/bin/sh
# The experiment with io_uring in one command: builds the servers in build/bench, measures them in alternation, and
# writes bench/results/io_uring.csv and the tables of bench/results/io_uring.md. About 10 minutes on two cores. Options
# are those of measure.py. monoio and Tokio take part if `sh bench/run.sh` has built them.
set -eu
cd "$(dirname "$0")/../.."
build=build/bench
[ -f "$build/build.ninja" ] || meson setup "$build" --buildtype=release -Dbenchmarks=true
ninja -C "$build" bench/peers/load bench/peers/floor_server bench/uring/zyntax_server_epoll \
    bench/uring/zyntax_server_uring bench/uring/zyntax_server_uring_data
[ -f "$build/bench/uring/zyntax_server_uring" ] || {
    echo 'The experiment needs Linux 6.1 or later and its headers, on x86-64.'
    exit 1
}
limit=$(ulimit -Hn)
ulimit -n "$limit"
exec python3 bench/uring/measure.py "$@"
