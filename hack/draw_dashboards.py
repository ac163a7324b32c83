"""Draw docs/dashboards/*.png from what the dashboards' queries have found in a real run: `make preview`.

    python -m hack.draw_dashboards FOLDER

FOLDER is where tests/e2e/chart/test_dashboards.py has left them, run with PREVIEW=FOLDER.

Grafana can't be run here. These are its panels at their places with the queries' real results, drawn by matplotlib:
colours, legends and tables are not Grafana's.
"""

import argparse
import json
import math
import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parent.parent
DASHBOARDS = ROOT / "charts" / "pynenc-operator" / "dashboards"
PICTURES = ROOT / "docs" / "dashboards"
COLUMNS = 24  # of Grafana's grid
ROW_INCHES, WIDTH_INCHES, DPI = 0.34, 15.0, 70
SUFFIXES = {"s": " s", "bytes": " B", "ops": "/s", "reqps": "/s", "percentunit": "", "short": ""}

type Json = dict[str, Any]


def draw(dashboard: Json, results: Json) -> Figure:
    """The whole dashboard in one figure."""
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in dashboard["panels"])
    figure = Figure(figsize=(WIDTH_INCHES, rows * ROW_INCHES + 0.5), dpi=DPI, facecolor="white")
    title = f"{dashboard['title']}: a preview from the results of its queries in an end-to-end run, not Grafana"
    figure.suptitle(title, x=0.01, y=0.998, ha="left", va="top", fontsize=11, fontweight="bold")
    top = 1 - 0.4 / (rows * ROW_INCHES + 0.5)
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        left, height = at["x"] / COLUMNS, at["h"] / rows * top
        bottom = top - (at["y"] + at["h"]) / rows * top
        if panel["type"] == "row":
            figure.text(left + 0.01, bottom, panel["title"], fontsize=10, fontweight="bold", va="bottom")
            continue
        box = (left + 0.03, bottom + 0.22 * height, at["w"] / COLUMNS - 0.04, 0.6 * height)
        _panel(figure.add_axes(box), panel, results)
    return figure


def _panel(axes: Axes, panel: Json, results: Json) -> None:
    axes.set_title(panel["title"], fontsize=8, loc="left")
    axes.tick_params(labelsize=6)
    unit = panel["fieldConfig"]["defaults"].get("unit", "short")
    found = {t["refId"]: (t, results["found"][f"{panel['title']} {t['refId']}"]) for t in panel["targets"]}
    if panel["type"] in {"stat", "table"}:
        axes.axis("off")
        shown = [_text(target, series, unit) for target, several in found.values() for series in several]
        size = 18 if panel["type"] == "stat" else 7
        axes.text(0.0, 0.9, "\n".join(shown[:12]), fontsize=size, va="top", transform=axes.transAxes)
        return
    for target, several in found.values():
        for series in several[:12]:
            times, values = zip(*_numbers(series, results["began"]), strict=True) or ((), ())
            axes.plot(times, values, linewidth=1, label=_legend(target, series["metric"]))
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, linewidth=0.3)
    axes.set_ylabel(SUFFIXES.get(unit, unit).strip(), fontsize=6)
    if axes.lines:
        axes.legend(fontsize=5, loc="upper right", framealpha=0.6)


def _numbers(series: Json, began: float) -> list[tuple[float, float]]:
    """Seconds since the run's begin and values; what is no number is left out, as Grafana does."""
    points = [(at - began, float(value)) for at, value in series["values"]]
    return [point for point in points if math.isfinite(point[1])] or [(0.0, math.nan)]


def _text(target: Json, series: Json, unit: str) -> str:
    value = _numbers(series, 0)[-1][1]
    number = f"{value:.0%}" if unit == "percentunit" else f"{value:.4g}{SUFFIXES.get(unit, '')}"
    legend = _legend(target, series["metric"])
    if target.get("format") == "table":
        legend = " ".join(f"{name}={value}" for name, value in series["metric"].items())
    return f"{number}  {legend}" if legend else number


def _legend(target: Json, labels: Json) -> str:
    """A target's legend with the series' labels."""
    return re.sub(r"{{(\w+)}}", lambda found: str(labels.get(found[1], "")), target.get("legendFormat", ""))


def main() -> None:
    """Draw both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    mpl.rcParams["font.family"] = "DejaVu Sans"
    PICTURES.mkdir(exist_ok=True)
    for file in sorted(DASHBOARDS.glob("*.json")):
        results = json.loads((folder / file.name).read_text())
        picture = PICTURES / f"{file.stem}.png"
        draw(json.loads(file.read_text()), results).savefig(picture)
        print(f"drawn: {picture.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
