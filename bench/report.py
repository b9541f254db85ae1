#!/usr/bin/env python3
"""Runs the benchmark several times and writes what all runs together say as a Markdown table.

usage: report.py [options] BENCH [BENCH...] [-- NAME...]
       report.py --update
       report.py --set GROUP.NAME=TEXT [GROUP.NAME=TEXT...]

More than one executable (two builds, two compilers, two versions) run in turn, A B A B, and get a table each. Nothing
is built. The ratios are those of pairs: runtime over floor, measured one right after the other.

Pages show the figures of bench/figures.json. --write puts there what was measured, --set what another program has
printed, such as option_a.tokio.yield="49 ns"; both then update the pages. --update only does that.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import figures as figures_file
from figures import number


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", nargs="*", metavar="BENCH", help="benchmark executable")
    parser.add_argument("-n", "--runs", type=int, default=5, help="runs of each executable (5)")
    parser.add_argument("-o", "--output", help="write the table here instead of to the standard output")
    parser.add_argument("--json", help="also write the merged runs to this file")
    parser.add_argument("--quick", action="store_true", help="short runs")
    parser.add_argument("--write", action="store_true", help="write bench/figures.json and the pages")
    parser.add_argument("--update", action="store_true", help="write the pages from bench/figures.json")
    parser.add_argument("--set", nargs="+", metavar="KEY=TEXT", help="write a figure of another program")
    arguments = sys.argv[1:]
    split = arguments.index("--") if "--" in arguments else len(arguments)
    options = parser.parse_args(arguments[:split])
    options.names = arguments[split + 1:]
    if bool(options.bench) == bool(options.update or options.set):
        parser.error("give a BENCH, or --update, or --set")
    if options.write and (len(options.bench) != 1 or options.names):
        parser.error("--write takes one BENCH and all of its workloads")
    return options


def run_once(bench, options):
    handle, path = tempfile.mkstemp(suffix=".json")
    os.close(handle)
    try:
        command = [bench, "--json", path] + (["--quick"] if options.quick else []) + options.names
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    finally:
        os.unlink(path)


def merge(report, run):
    """Appends the single measurements of a run to those of the earlier ones."""
    if report is None:
        return run
    by_name = {row["name"]: row for row in report["rows"]}
    for row in run["rows"]:
        for key, value in row.items():
            if key.startswith(("runtime", "floor")):
                by_name[row["name"]][key] += value
    return report


def extras(row):
    parts = []
    for index, label in enumerate(row["extras"]):
        sides = [row[f"{side}_extra_{index}"] for side in ("runtime", "floor")]
        figures = [number(statistics.median(side)) for side in sides if side]
        if figures:
            parts.append(f"{label} {' / '.join(figures)}")
    return "; ".join(parts)


def merged_row(row):
    """What a row's runs together say, as bench/figures.json has it."""
    ratios = [runtime / floor for runtime, floor in zip(row["runtime"], row["floor"])]
    middle = statistics.median(ratios)
    low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else (middle, middle, middle)
    return {"name": row["name"], "what": row["what"], "unit": row["unit"],
            "runtime": rounded(statistics.median(row["runtime"])), "floor": rounded(statistics.median(row["floor"])),
            "ratio": round(middle, 2), "middle_half": [round(low, 2), round(high, 2)], "extras": extras(row)}


def rounded(value):
    """With the digits that `number` shows."""
    return round(value) if value >= 1000 else round(value, 1 if value >= 1 else 3)


def merged(report, options):
    made = {key: report[key] for key in ("cpu", "kernel", "compiler")}
    made.update(date=time.strftime("%Y-%m-%d"), cores=os.cpu_count(), options="--quick" if options.quick else "",
                runs=options.runs, pairs=max(len(row["runtime"]) for row in report["rows"]))
    return {"made": made, "workloads": [merged_row(row) for row in report["rows"]]}


def table(name, report, options):
    heading = f"### {name}\n\n" if len(options.bench) > 1 else ""
    return heading + figures_file.table(merged(report, options))


def set_figures(figures, settings):
    for setting in settings:
        key, _, text = setting.partition("=")
        group, _, name = key.partition(".")
        if not name or not text:
            sys.exit(f"report.py: {setting} is not GROUP.NAME=TEXT")
        if group not in figures["groups"]:
            sys.exit(f"report.py: there is no group {group}, but {', '.join(figures['groups'])}")
        figures["groups"][group]["figures"][name] = text
        figures["groups"][group]["date"] = time.strftime("%Y-%m-%d")


def main():
    options = parse_arguments()
    if not options.bench:
        figures = figures_file.read()
        set_figures(figures, options.set or [])
        figures_file.write(figures)
        figures_file.update_pages(figures)
        return
    reports = dict.fromkeys(options.bench)
    for run in range(options.runs):
        for bench in reports:
            print(f"run {run + 1} of {options.runs}: {bench}", file=sys.stderr)
            reports[bench] = merge(reports[bench], run_once(bench, options))
    text = "\n".join(table(name, report, options) for name, report in reports.items())
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(reports, file, indent=1)
    if options.output:
        with open(options.output, "w", encoding="utf-8") as file:
            file.write(text)
    else:
        print(text, end="")
    if options.write:
        figures = figures_file.read()
        figures.update(merged(reports[options.bench[0]], options))
        figures_file.write(figures)
        figures_file.update_pages(figures)


if __name__ == "__main__":
    main()
