#!/usr/bin/env python3
"""Measures the servers on io_uring beside the same server on epoll, in alternation. run.sh builds them first. Writes
bench/results/io_uring.csv and the tables in bench/results/io_uring.md.

A round is one load of each server, all of which have their connections open. A ratio is to epoll in the same round. All
processes are started anew several times, as it matters where their memory happens to lie.
"""
import argparse
import csv
import os
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
from cases import server_case  # noqa: E402
from programs import Failure, Served, calls_per_request  # noqa: E402

PAGE = ROOT / "bench" / "results" / "io_uring.md"
BEGIN, END = "<!-- measured -->\n", "<!-- end -->\n"
BASE = "epoll"
CASES = [("echo", 1), ("http", 16)]
HEAD = ["server", "CPU per request, ns", "to epoll", "quartiles", "system calls", "p99, µs", "requests/s"]


def servers(build):
    own, peers, cargo = build / "bench" / "uring", build / "bench" / "peers", build / "cargo" / "release"
    found = {BASE: own / "zyntax_server_epoll", "io_uring, polls": own / "zyntax_server_uring",
             "io_uring, data": own / "zyntax_server_uring_data", "floor": peers / "floor_server",
             "monoio": cargo / "monoio", "Tokio": cargo / "tokio"}
    return {name: [path] for name, path in found.items() if path.exists()}


def measure(served, seconds):
    run = served.measure(seconds)
    return {"cpu_ns": round(run["cpu_ns"] / run["requests"], 1), "p99_us": run["p99"],
            "requests_s": round(run["requests"] / run["seconds"]),
            "threads": len(os.listdir(f"/proc/{served.server.process.pid}/task"))}


def rounds_of(case, commands, load, cpus, options):
    """{server: runs}. The first round warms up."""
    served, runs = {}, {name: [] for name in commands}
    if options.alone:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))  # processes that it starts have it, too
    try:
        for name, command in commands.items():
            served[name] = Served(command, load, case, cpus)
        for index in range(options.rounds + 1):
            names = list(commands)
            turn = index % len(names)
            for name in names[turn:] + names[:turn]:
                runs[name].append(measure(served[name], options.seconds))
                time.sleep(options.seconds / 2 if options.alone else 0)
    finally:
        for each in served.values():
            each.end()
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return {name: each[1:] for name, each in runs.items()}


def row(name, runs, base, calls):
    def median(key):
        return statistics.median(run[key] for run in runs)
    ratios = statistics.quantiles([run["cpu_ns"] / other["cpu_ns"] for run, other in zip(runs, base)], n=4)
    return [name, f"{median('cpu_ns'):,.0f}", f"{ratios[1]:.3f}", f"{ratios[0]:.3f} to {ratios[2]:.3f}", f"{calls:.3f}",
            f"{median('p99_us'):,.0f}", f"{median('requests_s'):,.0f}"]


def as_table(rows):
    lines = [HEAD, ["---"] + ["--:"] * (len(HEAD) - 1), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write_page(text):
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(before + BEGIN + text + END + after, encoding="utf-8")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "bench", help="Meson's build directory")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 100, 1_000, 10_000])
    parser.add_argument("--starts", type=int, default=4, help="of all processes; at most 2 with 10,000 connections")
    parser.add_argument("--rounds", type=int, default=5, help="after each start")
    parser.add_argument("--seconds", type=float, default=0.2, help="of a load")
    parser.add_argument("--alone", action="store_true", help="real-time priority, with pauses; needs root")
    parser.add_argument("--show", action="store_true", help="print the tables, and write no file")
    return parser.parse_args()


def main():
    options = parse_arguments()
    commands, load = servers(options.build), [options.build / "bench" / "peers" / "load"]
    allowed = sorted(os.sched_getaffinity(0))
    cpus = (allowed[-1], allowed[0])
    text, lines = "", []
    for protocol, pipeline in CASES:
        for connections in options.connections:
            case = server_case(protocol, connections, pipeline)
            runs = {name: [] for name in commands}
            for _ in range(options.starts if connections < 10_000 else min(options.starts, 2)):
                for name, more in rounds_of(case, commands, load, cpus, options).items():
                    runs[name] += more
            calls = {name: calls_per_request(command, load, case, cpus, 0.3 + connections / 5_000)
                     for name, command in commands.items()}
            table = as_table([row(name, runs[name], runs[BASE], calls[name]) for name in commands])
            text += f"\n{case.what}\n\n{table}"
            print(f"{case.what}\n{table}", flush=True)
            lines += [[protocol, connections, pipeline, name, index, *run.values()]
                      for name in commands for index, run in enumerate(runs[name], 1)]
    if options.show:
        return
    write_page(text + "\n")
    with open(PAGE.with_suffix(".csv"), "w", newline="", encoding="utf-8") as file:
        head = ["protocol", "connections", "pipeline", "server", "round", *runs[BASE][0]]
        csv.writer(file, lineterminator="\n").writerows([head, *lines])


try:
    main()
except Failure as failure:
    sys.exit(f"measure.py: {failure}")
