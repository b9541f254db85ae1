#!/bin/sh
# Counts system calls per operation with strace: of the echo server at 50 connections, and of the two threads of the
# wake of a busy loop. A short and a long run are counted and the difference taken, so that set-up cancels out.
#
# usage: syscalls.sh BENCH
#
# The echo server runs in the main thread, which alone is traced; its client is a child process. strace slows the
# server down, so more requests are ready at a time than without it, on both sides alike. Of a wake the loop's own
# looks at the kernel are not counted: they come once in so many polls, whether somebody wakes or not.
set -eu

bench=${1:?usage: syscalls.sh BENCH}
counts=$(mktemp)
trap 'rm -f "$counts"' EXIT

# total_calls SIDE WORKLOAD OPS STRACE_OPTION...
total_calls() {
    side=$1 workload=$2 ops=$3
    shift 3
    strace -c -o "$counts" "$@" "$bench" --only "$side" --pairs 1 --warm-ups 0 --ops "$ops" "$workload" >/dev/null
    awk '$NF == "total" { calls = $4 } END { print calls + 0 }' "$counts"
}

# per_op WORKLOAD SHORT LONG STRACE_OPTION...
per_op() {
    workload=$1 short=$2 long=$3
    shift 3
    for side in runtime floor; do
        few=$(total_calls "$side" "$workload" "$short" "$@")
        many=$(total_calls "$side" "$workload" "$long" "$@")
        awk -v name="$workload" -v side="$side" -v calls=$((many - few)) -v ops=$((long - short)) \
            'BEGIN { printf "%-20s %-8s %.4f system calls per operation\n", name, side, calls / ops }'
    done
}

per_op echo_50 2000 22000
per_op wake_busy_distinct 102400 1126400 -f -e 'trace=!epoll_wait,epoll_pwait,epoll_pwait2,sched_yield'
