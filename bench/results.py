"""The results of the runs of all programs: statistics, tables in Markdown, CSV, JSON."""
import csv
import json
import statistics
from pathlib import Path

OURS, FLOOR = "zyntax", "floor"

# Option A: {a Rust library that is called from Rust: the same library behind the design document's five C functions}.
BEHIND_C = {"tokio": "option_a_tokio", "smol": "option_a_async_std"}


def number(value):
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.3f}"


def rounded(value):
    """The value with the digits that `number` shows."""
    return round(value) if value >= 1000 else round(value, 1 if value >= 1 else 3)


def spread(values):
    """[lower quartile, median, upper quartile]"""
    if len(values) == 1:
        return [values[0]] * 3
    low, middle, high = statistics.quantiles(values, n=4)
    return [low, middle, high]


def ratio(values, others):
    """The spread of the rounds' ratios. Both runs of a round met the machine in the same state."""
    return [round(each, 3) for each in spread([value / other for value, other in zip(values, others, strict=True)])]


def extras_of(runs):
    """The medians of the extras of the runs."""
    names = dict.fromkeys(name for run in runs for name in run.get("extras", {}))
    return {name: rounded(statistics.median([run["extras"][name] for run in runs if name in run.get("extras", {})]))
            for name in names}


def best_peer(values):
    peers = {name: statistics.median(each) for name, each in values.items() if name not in (OURS, FLOOR)}
    return min(peers, key=peers.get) if peers else None


def ahead(against):
    """The winner, by the spread of this library's ratio to a peer. It is "even" if 1 lies between the quartiles."""
    low, _, high = against
    return "ours" if high < 1 else "peer" if low > 1 else "even"


def summarize(case, runs):
    """A workload's row. `runs` is {program: [a run of each round]}."""
    values = {name: [run["value"] for run in each] for name, each in runs.items()}
    row = {"name": case.name, "group": case.group, "what": case.what, "unit": case.unit, "count": case.count,
           "programs": {}}
    for name, each in values.items():
        quartiles = [rounded(value) for value in spread(each)]
        row["programs"][name] = {"quartiles": quartiles, "extras": extras_of(runs[name])}
        if FLOOR in values and name != FLOOR:
            row["programs"][name]["to_floor"] = ratio(each, values[FLOOR])
        if OURS in values and name != OURS:
            row["programs"][name]["to_ours"] = ratio(each, values[OURS])
    best = best_peer(values)
    if best and OURS in values:
        row["best"] = best
        row["to_best"] = ratio(values[OURS], values[best])
        row["ahead"] = ahead(row["to_best"])
    row["behind_c"] = {behind: ratio(values[behind], values[native]) for native, behind in BEHIND_C.items()
                       if native in values and behind in values}
    return row


# ---- Markdown -------------------------------------------------------------------------------------------------------

def of(spreads, show="{:.2f}"):
    low, middle, high = spreads
    return f"{show.format(middle)} ({show.format(low)}–{show.format(high)})"


def cell(row, name):
    program = row["programs"].get(name)
    if program is None:
        return ""
    low, middle, high = map(number, program["quartiles"])
    return f"{middle} ({low}–{high})"


def table(heads, rows, left=1):
    marks = ["---"] * left + ["--:"] * (len(heads) - left)
    return ["| " + " | ".join(heads) + " |", "|" + "|".join(marks) + "|",
            *("| " + " | ".join(row) + " |" for row in rows), ""]


def winner(row):
    if "ahead" not in row:
        return ""
    middle = row["to_best"][1]
    if row["ahead"] == "even":
        return "even"
    return f"{OURS}, {1 / middle:.2f} times" if row["ahead"] == "ours" else f"{row['best']}, {middle:.2f} times"


def summary_table(rows):
    heads = ["workload", f"{OURS}", "floor", "ratio to the floor", "best peer", "ratio to the best peer", "ahead"]
    lines = []
    for row in rows:
        ours = row["programs"].get(OURS, {})
        best = f"{row['best']}: {cell(row, row['best'])}" if "best" in row else ""
        lines.append([f"`{row['name']}`: {row['what']}, {row['unit']}", cell(row, OURS), cell(row, FLOOR),
                      of(ours["to_floor"]) if "to_floor" in ours else "", best,
                      of(row["to_best"]) if "to_best" in row else "", winner(row)])
    return table(heads, lines)


def programs_of(rows):
    """The programs of the rows in the order of their runs. The list is empty if there are no peers, because the summary
    has this library and its floor."""
    names = list(dict.fromkeys(name for row in rows for name in row["programs"]))
    return names if set(names) - {OURS, FLOOR} else []


def everyone_table(rows):
    names = programs_of(rows)
    rows = [row for row in rows if set(row["programs"]) - {OURS, FLOOR}]
    return table(["workload", *names], [[f"`{row['name']}`", *(cell(row, name) for name in names)] for row in rows]) \
        if names else []


def server_table(row):
    extras = list(dict.fromkeys(name for program in row["programs"].values() for name in program["extras"]))
    lines = []
    for name, program in sorted(row["programs"].items(), key=lambda item: item[1]["quartiles"][1]):
        ratios = [of(program[to]) if to in program else "" for to in ("to_floor", "to_ours")]
        lines.append([name, cell(row, name), *(number(program["extras"][each]) if each in program["extras"] else ""
                                              for each in extras), *ratios])
    heads = ["server", f"CPU per request, {row['unit']}", *extras, "ratio to the floor", f"ratio to {OURS}"]
    return [f"`{row['name']}`: {row['what']}. Ahead: {winner(row) or 'no peer'}.", "", *table(heads, lines)]


def behind_c_table(rows):
    names = [name for name in BEHIND_C.values() if any(name in row["behind_c"] for row in rows)]
    lines = [[f"`{row['name']}`", *(of(row["behind_c"][name]) if name in row["behind_c"] else "" for name in names),
              *(of(row["programs"][name]["to_ours"]) if "to_ours" in row["programs"].get(name, {}) else ""
                for name in names)] for row in rows if row["behind_c"]]
    if not lines:
        return []
    native = {behind: name for name, behind in BEHIND_C.items()}
    heads = ["workload", *(f"{name} to {native[name]}" for name in names), *(f"{name} to {OURS}" for name in names)]
    return ["## What the C functions cost", "",
            "The time of a Rust executor behind the design document's five C functions (option A), a multiple of the "
            "same executor's when Rust calls it. The design document expects 1.01 to 1.05. The last columns are "
            "multiples of this library's time.", "", *table(heads, lines)]


def made_text(made):
    return (f"{made['date']}: {made['cpu']}, {made['cores']} cores, {made['kernel']}. Rounds: {made['rounds']}"
            f"{made['options'] and ', with ' + made['options']}. Medians, quartiles in parentheses. A ratio is the "
            "median of the rounds' ratios. Nanoseconds of the thread's CPU time where no other unit is given.")


def markdown(results):
    lines = ["# Measurements beside peers", "", "Written by `sh bench/run.sh`; see [how to read it](../README.md).", "",
             made_text(results["made"]), ""]
    lines += table(["program", "version"], sorted(results["versions"].items()), left=2)
    for group in dict.fromkeys(row["group"] for row in results["workloads"]):
        rows = [row for row in results["workloads"] if row["group"] == group]
        lines += [f"## {group}", ""]
        if group == "Servers":
            lines += [line for row in rows for line in server_table(row)]
        else:
            lines += [*summary_table(rows), *everyone_table(rows)]
    lines += behind_c_table(results["workloads"])
    if results["left_out"]:
        lines += ["## Left out", "", *(f"- {text}" for text in results["left_out"]), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


# ---- Files ----------------------------------------------------------------------------------------------------------

def write_csv(path, runs):
    """Writes a line for each value: workload, program, round, what, value."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["workload", "program", "round", "what", "value"])
        for workload, programs in runs.items():
            for program, each in programs.items():
                for index, run in enumerate(each, 1):
                    for what, value in {"value": run["value"], **run.get("extras", {})}.items():
                        writer.writerow([workload, program, index, what, f"{value:.6g}"])


def write(folder, results, runs):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "results.md").write_text(markdown(results), encoding="utf-8")
    write_csv(folder / "results.csv", runs)
