"""Make docs/benchmarks.md's tables and plots from benchmarks/results/*.json: `make benchmarks-page`.

python -m benchmarks.page
"""

import argparse
from collections.abc import Iterator
from typing import Any

from benchmarks import plots
from benchmarks.names import load
from benchmarks.results import ROOT, WHOLE, Results, verdict, write

type Json = dict[str, Any]

PAGE = ROOT / "docs" / "benchmarks.md"
PLOTS = ROOT / "docs" / "benchmarks"
BEGIN, END = "<!-- what `make benchmarks-page` writes begins -->\n", "<!-- it ends -->\n"
HEADS = {"min": "least", "p50": "median", "max": "most"}


def section(result: Json) -> str:
    """All of one benchmark."""
    machine = result["machine"]
    where = (
        f"{machine['cores']} cores ({machine['cpu']}), {machine['memory_gib']} GiB, Linux {machine['kernel']}, "
        f"load {machine['load_before']} just before"
    )
    when = f"{result['begun']} to {result['ended']}"
    whole = "" if result["complete"] else " **It did not come to its end.**"
    lines = [
        f"## {result['name'].capitalize()}",
        result["what"],
        f"`make bench NAME={result['name']}` at {result['revision']}, {when}; {where}.{whole}",
        "",
        f"![each try of {result['name']}](benchmarks/{result['name']}.svg)",
        "",
        *_goals(result["goal"]),
        "",
        *_figures(result),
        "",
        *(f"- {remark}" for remark in result["remarks"]),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def _goals(goals: list[Json]) -> Iterator[str]:
    yield "| goal | limit | measured | by | met |"
    yield "| --- | ---: | ---: | --- | --- |"
    for goal in goals:
        bound = "at least" if goal["at_least"] else "at most"
        value = "not measured" if goal["value"] is None else f"{number(goal['value'])} {goal['unit']}".strip()
        limit = f"{bound} {number(goal['limit'])} {goal['unit']}".strip()
        yield f"| {goal['what']} | {limit} | {value} | {goal['by']} | {'yes' if goal['met'] else '**no**'} |"


def _figures(result: Json) -> Iterator[str]:
    """A row for each set-up and drawn value."""
    yield f"| set-up | value | tries | {' | '.join(HEADS.values())} |"
    yield f"| --- | --- | ---: |{' ---: |' * len(HEADS)}"
    by_kind = plots.OVER_SIZE.get(result["name"])
    for setup, values in result["summary"].items():
        for value, title in plots.PANELS[result["name"]].items():
            drawn = by_kind is None or (setup.partition(",")[0], value) in by_kind
            if drawn and (found := values.get(value)):
                told = " | ".join(number(found[place]) for place in HEADS)
                yield f"| {setup} | {title} | {found['n']} | {told} |"


def number(value: float) -> str:
    """With three digits, as more of them are chance."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def page(text: str, results: list[Json]) -> str:
    """The page with its tables made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + "\n".join(section(result) for result in results) + END + after


def judged(result: Json) -> Json:
    """A result with goals and ratios as its benchmark puts them now; its tries are what was measured."""
    benchmark = load(result["name"])
    results = Results(result["name"], result["what"], settings=result["settings"], tries=result["tries"])
    found = verdict(benchmark.goals(results), complete=result["complete"])
    return {**result, "summary": results.summary(), "ratios": benchmark.ratios(results), **found}


def main() -> None:
    """Judge the results anew, and write the page and the plots."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    results = [judged(result) for result in plots.read(WHOLE)]
    for result in results:
        write(WHOLE, result)
        plots.write(result, PLOTS)
    PAGE.write_text(page(PAGE.read_text(), results))
    print(f"written to {PAGE.relative_to(ROOT)}: {', '.join(result['name'] for result in results) or 'no result yet'}")


if __name__ == "__main__":
    main()
