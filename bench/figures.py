#!/usr/bin/env python3
"""Updates the figures on the pages. compare.py writes its figures to results/results.json. figures.json has the figures
of other programs. A page shows a figure between marks:

    <!-- figure: echo_50.ratio -->1.04<!-- end -->     a figure, by its key
    <!-- bench:begin --> ... <!-- bench:end -->        the table of all workloads

The keys:

    WORKLOAD.runtime  WORKLOAD.floor     the medians, with their unit
    WORKLOAD.ratio                       the runtime's time divided by the floor's
    WORKLOAD.PROGRAM                     the median of a peer
    WORKLOAD.PROGRAM_ratio               the peer's time divided by the runtime's
    WORKLOAD.lead                        the best peer's time divided by the runtime's
    WORKLOAD.behind_c.PROGRAM            the time of a library behind C functions divided by its time without them
    GROUP.NAME                           a figure of another program

usage: figures.py --set GROUP.NAME=TEXT [GROUP.NAME=TEXT...]    writes figures.json and the pages
       figures.py --update                                      writes the pages
"""
import json
import re
import sys
import time
from pathlib import Path

from results import FLOOR, OURS, number

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "bench" / "figures.json"
RESULTS = ROOT / "bench" / "results" / "results.json"

FIGURE = re.compile(r"<!-- figure: (\S+) -->(.*?)<!-- end -->")
TABLE = re.compile(r"(<!-- bench:begin -->\n).*?(<!-- bench:end -->)", re.DOTALL)


def read():
    """The groups of figures.json and the contents of results.json."""
    figures = json.loads(FILE.read_text(encoding="utf-8"))
    figures.update(json.loads(RESULTS.read_text(encoding="utf-8")))
    return figures


def write(figures):
    text = json.dumps({"groups": figures["groups"]}, indent=1, ensure_ascii=False)
    FILE.write_text(text + "\n", encoding="utf-8")


def pages():
    """The paths of all pages whose figures are updated. CHANGELOG has the figures of each release."""
    folders = ["docs", "bench", "examples", "bindings"]
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.md")
             if "target" not in path.parts and path.parent != RESULTS.parent]
    return [ROOT / "README.md", *sorted(found)]


def median(row, name):
    return f"{number(row['programs'][name]['quartiles'][1])} {row['unit']}"


def row_texts(row):
    """(the part of the key after the workload's name, the text) of each figure of a row."""
    for name, program in row["programs"].items():
        yield "runtime" if name == OURS else name, median(row, name)
        if "to_ours" in program:
            yield f"{name}_ratio", f"{program['to_ours'][1]:.2f}"
        if name == OURS and "to_floor" in program:
            yield "ratio", f"{program['to_floor'][1]:.2f}"
    if "to_best" in row:
        yield "lead", f"{1 / row['to_best'][1]:.2f}"
    for name, spread in row["behind_c"].items():
        yield f"behind_c.{name}", f"{spread[1]:.2f}"


def texts(figures):
    """{key: the text on a page}."""
    found = {f"{row['name']}.{key}": text for row in figures["workloads"] for key, text in row_texts(row)}
    for group, values in figures["groups"].items():
        for name, value in values["figures"].items():
            found[f"{group}.{name}"] = value
    return found


def extras(row):
    """The extras of the runs of the runtime and of its floor."""
    sides = [row["programs"][name]["extras"] for name in (OURS, FLOOR)]
    names = dict.fromkeys(name for side in sides for name in side)
    return "; ".join(f"{name} {' / '.join(number(side[name]) for side in sides if name in side)}" for name in names)


def table(figures):
    """The table of all workloads as Markdown."""
    lines = ["| workload | runtime | floor | ratio | middle half | runtime / floor |", "|---|--:|--:|--:|--:|---|"]
    for row in figures["workloads"]:
        if row["group"].startswith(("Cost", "Servers")) or not {OURS, FLOOR} <= set(row["programs"]):
            continue
        low, middle, high = row["programs"][OURS]["to_floor"]
        cells = [f"`{row['name']}`: {row['what']}", median(row, OURS), median(row, FLOOR), f"{middle:.2f}",
                 f"{low:.2f}–{high:.2f}", extras(row)]
        lines.append("| " + " | ".join(cells) + " |")
    made = figures["made"]
    lines += ["", f"{made['date']}: {made['cpu']}, {made['cores']} cores, {made['kernel']}"
              f"{made['options'] and ', with ' + made['options']}. Medians of {made['rounds']} alternating runs a "
              "side; ratio: median of the rounds' ratios, and the quartiles around it."]
    return "\n".join(lines) + "\n"


def render(text, figures):
    """The page with the current figures. A figure with an unknown key does not change."""
    found = texts(figures)
    text = TABLE.sub(lambda match: match.group(1) + table(figures) + match.group(2), text)
    return FIGURE.sub(lambda match: f"<!-- figure: {match.group(1)} -->{found.get(match.group(1), match.group(2))}"
                      "<!-- end -->", text)


def update_pages(figures):
    for path in pages():
        text = path.read_text(encoding="utf-8")
        rendered = render(text, figures)
        if rendered != text:
            path.write_text(rendered, encoding="utf-8")
            print(f"updated {path.relative_to(ROOT)}")


def set_figures(figures, settings):
    for setting in settings:
        key, _, text = setting.partition("=")
        group, _, name = key.partition(".")
        if not name or not text:
            sys.exit(f"figures.py: {setting} is not GROUP.NAME=TEXT")
        if group not in figures["groups"]:
            sys.exit(f"figures.py: there is no group {group}, but {', '.join(figures['groups'])}")
        figures["groups"][group]["figures"][name] = text
        figures["groups"][group]["date"] = time.strftime("%Y-%m-%d")


def main():
    figures = read()
    if sys.argv[1:2] == ["--set"] and sys.argv[2:]:
        set_figures(figures, sys.argv[2:])
        write(figures)
    elif sys.argv[1:] != ["--update"]:
        sys.exit(__doc__)
    update_pages(figures)


if __name__ == "__main__":
    main()
