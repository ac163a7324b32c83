"""Drawing a result: each try is a dot, each set-up a row, each value a panel. The same result is the same file."""

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

type Json = dict[str, Any]

# Which values of a benchmark are drawn, with what stands below the axis.
PANELS = {
    "reaction": {"created": "enqueue to pod created, s", "task started": "enqueue to task started, s"},
    "lifecycle": {
        "scaler": "writes of who scales, by task",
        "events and status": "its events and status, by task",
        "worker": "writes of workers, by task",
        "everyone": "all writes, by task",
    },
    "mixed": {
        "all done": "until all is done, s",
        "pod-seconds": "pod-seconds",
        "pod-seconds not of use": "pod-seconds not of use",
        "executions per task": "executions a task",
    },
    "worker": {
        "first task after": "start to first task, s",
        "tasks per second": "tasks a second",
        "resident": "MiB resident",
    },
    "burst": {"rate": "pods made a second", "most pods": "pods at a time, the most"},
    "fleet": {
        "cores": "cores",
        "resident": "MiB resident",
        "tick lag p99": "tick lag, 99 %, s",
        "event to decision p99": "event to decision, 99 %, s",
        "redis reads": "Redis' reads of its connections a second",
        "redis commands": "Redis commands a second",
        "requests": "API requests a second",
        "a scrape takes, at most": "longest scrape, s",
    },
    "growth": {
        "seconds": "first to last pod made, s",
        "cores": "cores",
        "redis commands": "Redis commands a second",
        "requests": "API requests a second",
        "resident": "MiB resident",
    },
    "idle": {
        "cores": "cores",
        "requests": "API requests a second",
        "writes": "of which write",
        "redis commands": "Redis commands a second",
        "resident": "MiB resident",
    },
}
# Those whose tries have a size: drawn over it, by kind, both axes logarithmic.
OVER_SIZE = {
    "growth": {
        ("burst", "seconds"): "pods: seconds from first to last",
        ("fleet", "cores"): "runners with ten workers: cores",
        ("fleet", "resident"): "runners with ten workers: MiB",
        ("rest", "cores"): "runners at rest: cores",
        ("rest", "redis commands"): "runners at rest: Redis commands a second",
        ("rest", "resident"): "runners at rest: MiB",
        ("rest", "requests"): "runners at rest: API requests a second",
    }
}
PANEL_INCHES, ROW_INCHES, LABEL_INCHES = 3.2, 0.26, 2.4
ACROSS = 4  # panels beside each other
LOGARITHMIC_FROM = 20.0  # times as much as the least: then differences are ratios
OURS, PEERS = "#1b6ca8", "#c2571a"


def draw(result: Json) -> Figure:
    """The figure of a result."""
    if result["name"] in OVER_SIZE:
        return _draw_over_size(result, OVER_SIZE[result["name"]])
    return _draw_by_setup(result, PANELS[result["name"]])


def _draw_over_size(result: Json, panels: dict[tuple[str, str], str]) -> Figure:
    rows = -(-len(panels) // ACROSS)
    figure = Figure(figsize=(PANEL_INCHES * ACROSS, PANEL_INCHES * rows), facecolor="white")
    every = list(figure.subplots(rows, ACROSS, squeeze=False).flat)
    for axes in every[len(panels) :]:
        axes.remove()
    for axes, ((kind, value), title) in zip(every, panels.items(), strict=False):
        found = [(each["size"], each[value]) for each in result["tries"] if each["kind"] == kind and each[value]]
        if found:
            axes.plot(*zip(*found, strict=True), "o", color=OURS, markersize=4, alpha=0.5)
            axes.set_xscale("log")
            axes.set_yscale("log")
        power = result["ratios"].get(f"{kind}: {value}")
        axes.set_title(title + (f"\ngrows with the power of {power}" if power is not None else ""), fontsize=7)
        axes.grid(visible=True, which="both", linewidth=0.2)
        axes.tick_params(which="both", labelsize=7)
    figure.tight_layout()
    return figure


def _draw_by_setup(result: Json, panels: dict[str, str]) -> Figure:
    """One panel beside the other, with the set-ups as rows."""
    setups = list(dict.fromkeys(each["setup"] for each in result["tries"]))
    lines, across = -(-len(panels) // ACROSS), min(len(panels), ACROSS)
    high = 0.9 + ROW_INCHES * len(setups)
    width, height = LABEL_INCHES + PANEL_INCHES * across, high * lines
    figure = Figure(figsize=(width, height), facecolor="white")
    every = figure.subplots(lines, across, sharey=True, squeeze=False)
    for axes in every.flat[len(panels) :]:
        axes.remove()
    for axes, (value, title) in zip(every.flat, panels.items(), strict=False):
        _panel(axes, result["tries"], setups, value)
        axes.set_xlabel(title, fontsize=8)
    every[0][0].set_yticks(range(len(setups)), setups)
    every[0][0].invert_yaxis()
    gaps = {"wspace": 0.08, "hspace": 0.65 / (high - 0.65)}
    figure.subplots_adjust(left=LABEL_INCHES / width, right=0.98, bottom=0.55 / height, top=1 - 0.1 / height, **gaps)
    return figure


def _panel(axes: Axes, tries: list[Json], setups: list[str], value: str) -> None:
    drawn: list[float] = []
    for row, setup in enumerate(setups):
        found = [float(each[value]) for each in tries if each["setup"] == setup and each.get(value) is not None]
        colour = OURS if setup.startswith("ours") else PEERS
        axes.plot(found, [row] * len(found), "o", color=colour, markersize=4, alpha=0.5, markeredgewidth=0)
        drawn += found
    if drawn and min(drawn) > 0 and max(drawn) > LOGARITHMIC_FROM * min(drawn):
        axes.set_xscale("log")
    else:
        axes.set_xlim(0, 1.05 * max(drawn, default=1.0) or 1.0)
    axes.set_ylim(-0.6, len(setups) - 0.4)
    axes.grid(visible=True, axis="x", linewidth=0.3)
    axes.tick_params(labelsize=8)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def write(result: Json, folder: Path) -> Path:
    """Draw a result into a file named after it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{result['name']}.svg"
    # Without these two, names of parts and the date differ from run to run.
    with mpl.rc_context({"svg.hashsalt": result["name"], "svg.fonttype": "none", "font.family": "sans-serif"}):
        draw(result).savefig(file, metadata={"Date": None, "Creator": None})
    return file


def read(folder: Path) -> list[Json]:
    """The results that there are, in the order of PANELS."""
    files = (folder / f"{name}.json" for name in PANELS)
    return [json.loads(file.read_text()) for file in files if file.exists()]
