#!/usr/bin/env python3
"""Runs the benchmark several times and writes what all runs together say as a Markdown table.

usage: report.py [options] BENCH [BENCH...] [-- NAME...]

More than one executable (two builds, two compilers, two versions) run in turn, A B A B, and get a table each. Nothing
is built. The ratios are those of pairs: runtime over floor, measured one right after the other.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", nargs="+", metavar="BENCH", help="benchmark executable")
    parser.add_argument("-n", "--runs", type=int, default=5, help="runs of each executable (5)")
    parser.add_argument("-o", "--output", help="write the table here instead of to the standard output")
    parser.add_argument("--json", help="also write the merged runs to this file")
    parser.add_argument("--quick", action="store_true", help="short runs")
    arguments = sys.argv[1:]
    split = arguments.index("--") if "--" in arguments else len(arguments)
    options = parser.parse_args(arguments[:split])
    options.names = arguments[split + 1:]
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


def number(value):
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.3f}"


def extras(row):
    parts = []
    for index, label in enumerate(row["extras"]):
        sides = [row[f"{side}_extra_{index}"] for side in ("runtime", "floor")]
        figures = [number(statistics.median(side)) for side in sides if side]
        if figures:
            parts.append(f"{label} {' / '.join(figures)}")
    return "; ".join(parts)


def table_row(row):
    ratios = [runtime / floor for runtime, floor in zip(row["runtime"], row["floor"])]
    middle = statistics.median(ratios)
    low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else (middle, middle, middle)
    cells = [
        f"`{row['name']}`: {row['what']}",
        f"{number(statistics.median(row['runtime']))} {row['unit']}",
        f"{number(statistics.median(row['floor']))} {row['unit']}",
        f"{middle:.2f}",
        f"{low:.2f}–{high:.2f}",
        extras(row),
    ]
    return "| " + " | ".join(cells) + " |"


def table(name, report, options):
    pairs = max(len(row["runtime"]) for row in report["rows"])
    lines = [
        "| workload | runtime | floor | ratio | middle half | runtime / floor |",
        "|---|--:|--:|--:|--:|---|",
        *[table_row(row) for row in report["rows"]],
        "",
        f"{report['cpu']}, {report['kernel']}, {report['compiler']}. Medians of {pairs} alternating runs a side in "
        f"{options.runs} processes; ratio: median of the pairs' ratios, and the quartiles around it.",
    ]
    if len(options.bench) > 1:
        lines = [f"### {name}", ""] + lines
    return "\n".join(lines) + "\n"


def main():
    options = parse_arguments()
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


if __name__ == "__main__":
    main()
