"""The plots of bench/results: the main workloads, the servers, and the cost against the number of tasks, timers and
connections."""
import io
import math

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from results import FLOOR, OURS, number

OURS_COLOUR, FLOOR_COLOUR, PEER_COLOUR = "#d1495b", "#b8b8b8", "#4f7cac"
LINES = ["#4f7cac", "#edae49", "#66a182", "#8d5a97", "#2e4057", "#a05a2c", "#5fb0b7", "#7f7f7f", "#c9a227"]
MAIN = {"spawn_batch": "Spawn a task and run it", "spawn_join": "Spawn a task and join it",
        "yield_1": "Yield: 1 task", "yield_1000": "Yield: 1,000 tasks in turn",
        "ping_pong": "Two tasks wake each other",
        "channel_64": "Channel with capacity 64", "timer_cancel": "Begin and cancel a timer",
        "timer_fire": "A task sleeps for 1 to 50 ms", "socketpair": "64 bytes there and back"}

matplotlib.rcParams.update({
    "svg.hashsalt": "zyntax", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9,
    "font.sans-serif": ["DejaVu Sans", "Verdana", "sans-serif"], "axes.spines.top": False, "axes.spines.right": False,
    "figure.facecolor": "white"})


def colour(name):
    return {OURS: OURS_COLOUR, FLOOR: FLOOR_COLOUR}.get(name, PEER_COLOUR)


def shown(name):
    """The program's name in a plot."""
    return f"{name.removeprefix('option_a_').replace('_', '-')} from C" if name.startswith("option_a_") else name


def save(figure, path):
    """Equal figures give an equal file. No line ends with a space."""
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None})
    lines = [line.rstrip() for line in drawn.getvalue().splitlines()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def bars(axes, title, values, errors=None, unit="ns", most_first=False):
    """Horizontal bars with the best on top, and lines from quartile to quartile. A bar that is much longer than the
    others is cut, and its label has the value."""
    names = sorted(values, key=values.get, reverse=not most_first)
    limit = max([5 * sorted(values.values())[len(values) // 2], max(values.values()) / 4]) * 1.1
    limit = min(limit, max(values.values()))
    widths = [min(values[name], limit) for name in names]
    above = [min(errors[name][1], limit * 1.05 - width) for name, width in zip(names, widths)] if errors else []
    axes.barh([shown(name) for name in names], widths, color=[colour(name) for name in names], height=0.72,
              xerr=errors and [[errors[name][0] for name in names], above],
              error_kw={"elinewidth": 0.8, "ecolor": "#333333"})
    for index, name in enumerate(names):
        cut = " (cut)" if values[name] > limit else ""
        end = widths[index] + (above[index] if errors else 0)
        axes.text(end + limit * 0.03, index, f"{number(values[name])}{cut}", va="center", fontsize=8,
                  fontweight="bold" if name == OURS else "normal")
    axes.set_title(title, fontsize=10, loc="left", x=0)
    axes.set_xlim(0, limit * 1.4)
    axes.set_xlabel(unit, fontsize=8)
    axes.tick_params(length=0)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)


def grid(count, columns, height, title):
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(3.3 * columns, height * rows + 0.6), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for spare in axes[count:]:
        spare.set_visible(False)
    figure.suptitle(title, fontsize=12)
    return figure, axes


def medians(row):
    return {name: program["quartiles"][1] for name, program in row["programs"].items()}


def errors(row):
    found = {}
    for name, program in row["programs"].items():
        low, middle, high = program["quartiles"]
        found[name] = (middle - low, high - middle)
    return found


def draw_peers(rows):
    rows = [row for row in rows if row["name"] in MAIN]
    figure, axes = grid(len(rows), 3, 2.6, "Time of an operation: this library, the floor, and peers (less is better)")
    for each, row in zip(axes, rows):
        bars(each, MAIN[row["name"]], medians(row), errors(row), f"{row['unit']} {row['what'].rpartition('; ')[2]}")
    return figure


SERVER_METRICS = ["system calls per request", "requests/s", "p99, µs"]


def draw_servers(rows):
    """A row of panels for each server. The most important panel is on the left."""
    rows = [row for row in rows if row["group"] == "Servers"]
    figure, axes = grid(len(rows) * 4, 4, 2.6, "Servers on one CPU (less is better, except for requests a second)")
    for index, row in enumerate(rows):
        bars(axes[index * 4], row["what"], medians(row), errors(row), "ns of CPU time per request")
        for place, metric in enumerate(SERVER_METRICS, index * 4 + 1):
            values = {name: program["extras"][metric] for name, program in row["programs"].items()
                      if program["extras"].get(metric)}
            if values:
                bars(axes[place], "", values, unit=metric, most_first=metric == "requests/s")
            else:
                axes[place].set_visible(False)
    return figure


def line(axes, rows, title):
    names = list(dict.fromkeys(name for row in rows for name in row["programs"]))
    peers = [name for name in names if name not in (OURS, FLOOR)]
    for name in names:
        points = sorted({row["count"]: row["programs"][name]["quartiles"][1] for row in rows
                         if name in row["programs"]}.items())
        own = {OURS: OURS_COLOUR, FLOOR: FLOOR_COLOUR}.get(name)
        axes.plot(*zip(*points), marker="o", markersize=3.5, linewidth=2.4 if name == OURS else 1.3, label=shown(name),
                  color=own or LINES[peers.index(name) % len(LINES)], zorder=3 if name == OURS else 2)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.grid(True, which="major", color="#e5e5e5", linewidth=0.6)
    axes.set_title(title, fontsize=10, loc="left")
    axes.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))


SCALES = [("yield_", "Yield: ns per poll, against the number of tasks"),
          ("timer_cancel", "Timers begun and cancelled: ns per timer, against their number"),
          ("server_echo_", "Echo server: CPU ns per request, against connections")]


def draw_scaling(rows):
    panels = [(title, found) for start, title in SCALES
              if len(found := [row for row in rows if row["count"] and row["name"].startswith(start)]) > 1]
    if not panels:
        return None
    figure, axes = grid(len(panels), len(panels), 3.4, "Cost against number (both axes logarithmic)")
    for each, (title, found) in zip(axes, panels):
        line(each, found, title)
    figure.set_size_inches(5.4 * len(panels), 4)
    return figure


def draw(folder, results):
    rows = results["workloads"]
    plots = {"peers.svg": draw_peers if any(row["name"] in MAIN for row in rows) else None,
             "servers.svg": draw_servers if any(row["group"] == "Servers" for row in rows) else None,
             "scaling.svg": draw_scaling}
    for name, draw_plot in plots.items():
        figure = draw_plot and draw_plot(rows)
        if figure:
            save(figure, folder / name)
            print(f"wrote {folder}/{name}")
