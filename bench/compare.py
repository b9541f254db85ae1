#!/usr/bin/env python3
"""Measures this library, its floor and its peers in alternation, and writes bench/results/. run.sh builds them first.

A round is one run of each program on the same CPU. A program that was not built is skipped. A program that fails is
left out of that workload, and the results state the reason.
"""
import argparse
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import figures
import results
from cases import cases
from programs import Failure, Program, Served, calls_per_request

ROOT = Path(__file__).resolve().parent.parent
RUN_SECONDS = 120  # a run that takes longer has failed


# ---- Programs -------------------------------------------------------------------------------------------------------

NATIVE = ["libuv", "asio", "libev", "libevent"]
RUST = ["tokio", "smol", "monoio"]
OPTION_A = {"option_a_tokio": "libzyntax_tokio.so", "option_a_async_std": "libzyntax_async_std.so"}


def all_programs(build, native_only):
    bench, peers, cargo = [build / "bench" / "bench"], build / "bench" / "peers", build / "cargo" / "release"
    programs = [Program(results.OURS, bench, "runtime", [peers / "zyntax_server"]),
                Program(results.FLOOR, bench, "floor", [peers / "floor_server"])]
    programs += [Program(name, [peers / name], server=[peers / name]) for name in NATIVE]
    if not native_only:
        programs += [Program(name, [cargo / name], server=[cargo / name]) for name in RUST]
        option_a = build / "bench" / "option_a"
        programs += [Program(name, [option_a, cargo / library]) for name, library in OPTION_A.items()]
    return programs


def usable(programs, left_out):
    """The programs that were built and answer."""
    found = []
    for program in programs:
        missing = [word for word in program.command if isinstance(word, Path) and not word.exists()]
        try:
            if missing:
                raise Failure(f"skipped, as {missing[0].name} was not built")
            program.look()
            found.append(program)
        except Failure as failure:
            leave_out(left_out, f"{program.name} is {failure}")
    return found


def leave_out(left_out, text):
    left_out.append(text)
    print(f"    {text}", flush=True)


# ---- Measuring ------------------------------------------------------------------------------------------------------

class Bench:
    """The programs, their CPUs, the number of rounds, and the list of omitted programs."""

    def __init__(self, options):
        allowed = sorted(os.sched_getaffinity(0))
        self.cpus = (allowed[-1], allowed[0])  # of the measured program, and of the client of servers
        self.quick, self.smoke = options.quick, options.smoke
        self.rounds = 1 if options.smoke else options.rounds
        self.seconds = 0.02 if options.smoke else 0.06 if options.quick else 1.0
        self.load = [options.build / "bench" / "peers" / "load"]
        self.left_out = []
        programs = all_programs(options.build, options.native)
        programs += [Program(str(bench), [bench], "runtime") for bench in options.also]
        self.programs = usable(programs, self.left_out)

    def rounds_of(self, names, measure, once=False):
        """{name: [a run of each round]}. Calls `measure(name)` for each name in turn, after a warm-up round. `once`:
        only one round, without a warm-up."""
        runs = {name: [] for name in names}
        for index in range(0 if self.smoke or once else -1, 1 if once else self.rounds):
            order = list(runs)
            turn = index % len(order) if order else 0  # each round begins with a different name
            for name in order[turn:] + order[:turn]:
                try:
                    run = measure(name)
                except Failure as failure:
                    leave_out(self.left_out, f"{name} is left out: {failure}")
                    del runs[name]
                    continue
                if index >= 0:
                    runs[name].append(run)
        return runs

    def workload(self, case):
        name, ops = case.workload, max(case.ops // 50, 10) if self.smoke else case.ops
        programs = {program.name: program for program in self.programs if name in program.workloads}
        case.what = case.what or next((each.workloads[name] for each in programs.values()), "")
        cpu = None if case.any_cpu else self.cpus[0]
        return self.rounds_of(programs, lambda each: programs[each].run(name, ops, cpu, RUN_SECONDS),
                              once=case.unit == "bytes")  # a size does not vary

    def server(self, case):
        served = {}
        try:
            for program in self.programs:
                if program.server:
                    try:
                        served[program.name] = Served(program.server, self.load, case, self.cpus)
                    except Failure as failure:
                        leave_out(self.left_out, f"{program.name} is left out: {failure}")
            runs = self.rounds_of(served, lambda name: as_run(served[name].measure(self.seconds)))
        finally:
            for each in served.values():
                each.end()
        self.count_calls(case, runs)
        return runs

    def count_calls(self, case, runs):
        most = 0 if self.smoke else 100 if self.quick else 1_000  # strace makes connecting slow
        if case.connections > most or not shutil.which("strace"):
            return
        for program in self.programs:
            if program.name in runs:
                try:
                    calls = calls_per_request(program.server, self.load, case, self.cpus, min(self.seconds, 0.3))
                except Failure as failure:
                    leave_out(self.left_out, f"{program.name}: system calls are not counted: {failure}")
                    continue
                for run in runs[program.name]:
                    run["extras"] = {"system calls per request": calls, **run["extras"]}

    def run(self, case):
        return self.server(case) if case.protocol else self.workload(case)

    def end(self):
        for program in self.programs:
            program.end()


def as_run(served):
    """The result of a server's load in the form of a program's answer: the CPU time per request, and extras."""
    return {"value": served["cpu_ns"] / served["requests"],
            "extras": {"requests/s": served["requests"] / served["seconds"],
                       **{f"{name}, µs": served[name] for name in ("p50", "p99", "p999")}}}


# ---- The whole ------------------------------------------------------------------------------------------------------

def cpu_name():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.machine()


def describe(options, bench):
    words = [f"--{name}" for name in ("quick", "smoke", "native") if getattr(options, name)]
    words += [f"--only {' '.join(options.only)}"] if options.only else []
    return {"cpu": cpu_name(), "cores": os.cpu_count(), "kernel": f"{platform.system()} {platform.release()}",
            "date": time.strftime("%Y-%m-%d"), "rounds": bench.rounds, "options": " ".join(words)}


def versions(bench):
    found = {program.name: program.version for program in bench.programs}
    lock = (ROOT / "examples" / "Cargo.lock").read_text(encoding="utf-8")
    for name, crate in (("option_a_tokio", "tokio"), ("option_a_async_std", "async-std")):
        if name in found:
            found[name] = f"{crate} " + lock.partition(f'name = "{crate}"\nversion = "')[2].partition('"')[0]
    for tool in ("cc", "rustc"):
        if shutil.which(tool):
            said = subprocess.run([tool, "--version"], capture_output=True, text=True).stdout.splitlines()
            found[tool] = said[0] if said else ""
    return found


def progress(row, seconds):
    shown = [f"{name} {results.number(each['quartiles'][1])}" for name, each in row["programs"].items()]
    print(f"    {', '.join(shown)} {row['unit']}; took {seconds:.1f} s", flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "bench", help="Meson's build directory")
    parser.add_argument("--output", type=Path, help="folder of the results (bench/results; of a part, BUILD/results)")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="workloads and groups whose name contains a WORD")
    parser.add_argument("--rounds", type=int, default=7, help="rounds (7)")
    parser.add_argument("--quick", action="store_true", help="short runs")
    parser.add_argument("--smoke", action="store_true", help="a few operations, to see that everything works")
    parser.add_argument("--also", nargs="+", type=Path, default=[], metavar="BENCH", help="other builds of bench")
    parser.add_argument("--native", action="store_true", help="no programs in Rust")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("at least one round")
    options.whole = not (options.only or options.smoke or options.native or options.also)
    options.output = options.output or (ROOT / "bench" / "results" if options.whole else options.build / "results")
    return options


def select(found, words):
    """A word that equals a name selects that case. Any other word selects each case whose name or group contains it."""
    names = {case.name for case in found}
    return [case for case in found if not words or any(
        word == case.name if word in names else word.lower() in f"{case.name} {case.group}".lower() for word in words)]


def measure_all(bench, chosen):
    """(rows of the results, {workload: {program: runs}})"""
    rows, runs = [], {}
    for index, case in enumerate(chosen, 1):
        print(f"{index} of {len(chosen)}: {case.name}", flush=True)
        noted, began = len(bench.left_out), time.monotonic()
        measured = bench.run(case)
        bench.left_out[noted:] = [f"`{case.name}`: {text}" for text in bench.left_out[noted:]]
        if not measured:
            print("    no program has it", flush=True)
            continue
        runs[case.name] = measured
        rows.append(results.summarize(case, measured))
        progress(rows[-1], time.monotonic() - began)
    return rows, runs


def main():
    options = parse_arguments()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the programs inherit it
    bench = Bench(options)
    try:
        rows, runs = measure_all(bench, select(cases(options.quick or options.smoke), options.only))
    finally:
        bench.end()
    if not rows:
        sys.exit("compare.py: nothing was measured")
    found = {"made": describe(options, bench), "versions": versions(bench), "workloads": rows,
             "left_out": bench.left_out}
    results.write(options.output, found, runs)
    print(f"wrote {options.output}/results.md, results.csv, results.json")
    try:
        import plots
        plots.draw(options.output, found)
    except ImportError:
        print("no plots, as there is no matplotlib")
    if options.output == figures.RESULTS.parent:
        figures.update_pages(figures.read())


if __name__ == "__main__":
    main()
