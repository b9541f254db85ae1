#!/bin/sh
# Counts system calls per operation with strace, for two workloads: the echo server with 50 connections, and wakes of a
# busy loop. The figure is the difference of a long and a short run, so that set-up cancels out.
#
# usage: syscalls.sh BENCH
#
# The echo server runs in the main thread, and only this thread is traced. Its client is a child process. strace slows
# the server down, so that more requests are ready at a time than without strace. This is the same on both sides.
# Both threads of the wakes are traced. The loop's regular polls of the kernel are not counted, because they do not
# depend on wakes.
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
