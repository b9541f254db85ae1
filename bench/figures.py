"""Figures on the pages: bench/figures.json has each, and pages show them between marks. Used by report.py, which writes
both, and by tests/pages.py, which compares them.

    <!-- figure: echo_50.ratio -->1.04<!-- end -->     a figure, by its key
    <!-- bench:begin --> ... <!-- bench:end -->        the table of all workloads

Keys are WORKLOAD.runtime, WORKLOAD.floor, WORKLOAD.ratio, and GROUP.NAME for what other programs measured.
"""
import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "bench" / "figures.json"

FIGURE = re.compile(r"<!-- figure: (\S+) -->(.*?)<!-- end -->")
TABLE = re.compile(r"(<!-- bench:begin -->\n).*?(<!-- bench:end -->)", re.DOTALL)


def read():
    return json.loads(FILE.read_text(encoding="utf-8"))


def write(figures):
    FILE.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def pages():
    """The paths of every page that shows figures. CHANGELOG keeps those of its time."""
    folders = ["docs", "bench", "examples", "bindings"]
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.md") if "target" not in path.parts]
    return [ROOT / "README.md", *sorted(found)]


def number(value):
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.3f}"


def texts(figures):
    """{key: what a page shows}."""
    found = {}
    for row in figures["workloads"]:
        for side in ("runtime", "floor"):
            found[f"{row['name']}.{side}"] = f"{number(row[side])} {row['unit']}"
        found[f"{row['name']}.ratio"] = f"{row['ratio']:.2f}"
    for group, values in figures["groups"].items():
        for name, value in values["figures"].items():
            found[f"{group}.{name}"] = value
    return found


def table(figures):
    """The table of all workloads as Markdown."""
    lines = ["| workload | runtime | floor | ratio | middle half | runtime / floor |", "|---|--:|--:|--:|--:|---|"]
    for row in figures["workloads"]:
        low, high = row["middle_half"]
        cells = [f"`{row['name']}`: {row['what']}", f"{number(row['runtime'])} {row['unit']}",
                 f"{number(row['floor'])} {row['unit']}", f"{row['ratio']:.2f}", f"{low:.2f}–{high:.2f}",
                 row["extras"]]
        lines.append("| " + " | ".join(cells) + " |")
    made = figures["made"]
    lines += ["", f"{made['date']}: {made['cpu']}, {made['cores']} cores, {made['kernel']}, {made['compiler']}"
              f"{made['options'] and ', with ' + made['options']}. Medians of {made['pairs']} "
              f"alternating runs a side in {made['runs']} processes; ratio: median of the pairs' ratios, and the "
              "quartiles around it."]
    return "\n".join(lines) + "\n"


def render(text, figures):
    """The page with the file's figures. A figure whose key the file does not have stays as it is."""
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
