#!/usr/bin/env python3
"""Checks in a second that a program of this folder follows the protocol in README.md.

usage: smoke.py LOAD PROGRAM

Each workload of `PROGRAM --list` runs with a few operations. `PROGRAM echo` and `PROGRAM http` answer requests, and
LOAD compares the bytes. Each program ends at the end of its stdin.
"""
import json
import subprocess
import sys

WORKLOADS = {"task_bytes", "spawn_batch", "spawn_join", "ping_pong", "channel_64", "channel_1", "port_64",
             "timer_cancel", "timer_fire", "socketpair", "wake_asleep",
             "create_destroy"} | {f"yield_{10 ** power}" for power in range(6)}
LEAST = {"task_bytes": 10_000}  # operations; FIRST_TASKS of peer.h
# Connections, requests per batch, and options of the client. The entries test single requests, several requests in a
# read, and requests that span reads. The batches of the last entry have more bytes than a buffer and a socket hold.
LOADS = {
    "echo": [["1", "1"], ["10", "8"], ["2", "50", "--size", "100000"]],
    "http": [["1", "1"], ["10", "8"], ["2", "1000", "--requests", "4000"]],
}
SECONDS = 60


def expect(holds, what):
    if not holds:
        sys.exit(f"{sys.argv[2]}: {what}")


def start(*arguments):
    return subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ask(program, option):
    return subprocess.run([program, option], check=True, capture_output=True, text=True, timeout=SECONDS).stdout


def check_workloads(program):
    names = ask(program, "--list").split()
    expect(len(ask(program, "--version").splitlines()) == 1, "the version is not one line")
    expect(set(names) <= WORKLOADS, f"unknown workloads: {set(names) - WORKLOADS}")
    expect(len(names) == len(set(names)), "a workload is listed twice")
    # Twice, because the first run may leave no state behind. The number of operations is no multiple of a batch.
    requests = [f"{name} {LEAST.get(name, 0) + ops}\n" for name in names for ops in (1, 107, 2048)]
    requests += ["none 1\n", "?\n"]
    serving = start(program, "--serve")
    output, _ = serving.communicate("".join(requests), timeout=SECONDS)
    expect(serving.returncode == 0, f"--serve ended with {serving.returncode}")
    answers = [json.loads(line) for line in output.splitlines()]
    expect(len(answers) == len(requests), f"{len(answers)} answers to {len(requests)} requests")
    for request, answer in zip(requests[:-2], answers):
        is_known = "value" in answer and (answer["value"] > 0 or request.split()[0] in LEAST)
        expect(is_known, f"{request.strip()}: {answer}")
        print(request.strip(), answer["value"])
    expect(all("error" in answer for answer in answers[-2:]), "an unknown workload has a value")


def check_server(load, program, kind):
    server = start(program, kind)
    try:
        name, port = server.stdout.readline().split()
        expect(name == "PORT", f"{kind}: prints {name} instead of PORT")
        for options in LOADS[kind]:
            command = [load, kind, port, *options[:2], "--requests", "100", *options[2:]]
            client = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
            expect(client.returncode == 0, f"{kind} {options}: {client.stdout}{client.stderr}")
            result = json.loads(client.stdout)
            expect(result["requests"] >= 100 and result["errors"] == 0, f"{kind} {options}: {result}")
            print(kind, *options, result)
        expect(server.poll() is None, f"{kind}: ended by itself")
        server.stdin.close()
        expect(server.wait(SECONDS) == 0, f"{kind}: ended with {server.returncode}")
    finally:
        server.kill()


def main():
    load, program = sys.argv[1:]
    check_workloads(program)
    for kind in LOADS:
        check_server(load, program, kind)


main()
