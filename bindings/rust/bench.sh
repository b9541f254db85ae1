#!/bin/sh
# Hyper's HTTP/1.1 server on this runtime, compared with the same server on Tokio's current_thread: requests for each
# second of the server's CPU time, in alternating runs, and the ratio of the medians. Needs cargo, wrk and Linux's
# /proc.
#
#   bench.sh [ROUNDS [SECONDS [CONNECTIONS]]]     5 rounds of 2 seconds with 50 connections
set -eu
cd "$(dirname "$0")"
rounds=${1:-5} seconds=${2:-2} connections=${3:-50}
target=${CARGO_TARGET_DIR:-$PWD/../../build/cargo-bindings}
export CARGO_TARGET_DIR="$target"
command -v wrk >/dev/null || {
    echo 'wrk is missing: apt-get install wrk' >&2
    exit 77
}
cargo build --quiet --release --locked -p hyper-bench
results=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$results"' EXIT
ticks_a_second=$(getconf CLK_TCK)

# CPU time of the server so far, in ticks: user and system.
ticks() {
    sed 's/.*) //' "/proc/$server/stat" | awk '{ print $12 + $13 }'
}

# measure NAME: one run; appends requests a CPU second and requests a second
measure() {
    "$target/release/hyper-bench" "$1" >"$results/port" &
    server=$!
    while [ ! -s "$results/port" ]; do sleep 0.05; done
    url=http://127.0.0.1:$(cat "$results/port")/
    wrk -t1 -c"$connections" -d1s "$url" >/dev/null # warm up
    before=$(ticks)
    wrk -t1 -c"$connections" -d"${seconds}s" "$url" >"$results/wrk"
    after=$(ticks)
    kill "$server"
    wait "$server" 2>/dev/null || true
    server=
    : >"$results/port"
    if grep -E 'Socket errors|Non-2xx' "$results/wrk" >&2; then exit 1; fi
    awk -v ticks=$((after - before)) -v hz="$ticks_a_second" -v seconds="$seconds" '
        / requests in / { printf "%.0f %.0f\n", $1 * hz / ticks, $1 / seconds }' "$results/wrk" >>"$results/$1"
}

# median NAME COLUMN
median() {
    awk -v column="$2" '{ print $column }' "$results/$1" | sort -n | awk '{ value[NR] = $1 }
        END { print (NR % 2) ? value[(NR + 1) / 2] : (value[NR / 2] + value[NR / 2 + 1]) / 2 }'
}

round=0
while [ $round -lt "$rounds" ]; do
    if [ $((round % 2)) -eq 0 ]; then order='zyntax tokio'; else order='tokio zyntax'; fi
    for name in $order; do measure $name; done
    round=$((round + 1))
done
for name in zyntax tokio; do
    echo "$name: $(median $name 1) requests a CPU second, $(median $name 2) requests a second"
done
awk -v ours="$(median zyntax 1)" -v theirs="$(median tokio 1)" -v rounds="$rounds" -v connections="$connections" '
    BEGIN { printf "ratio: %.3f (medians of %d rounds, %d connections)\n", ours / theirs, rounds, connections }'
