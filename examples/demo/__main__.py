"""`make demo`: from nothing to a pool of pods that follows its queue, on a real cluster, and back to zero.

    python -m examples.demo

Settings come from the environment, as `make demo NAME=VALUE` gives them:

    BACKEND=sqlite                      the queue in a file instead of Redis, which is the default: no server at all.
                                        It lies on a node that the demo chooses, in memory (/run/pynenc-demo), and all
                                        pods that use it run there
    CLUSTER=current REGISTRY=host/path  the cluster of the current kubeconfig instead of the local one
    DEMO_JSON=FILE                      the summary as JSON, too

What the demo makes outside of the namespace `demo`, but for the operator and its namespace, goes with `demo`.
Exit codes: 0 as it must be, 1 not, 2 called wrongly, 130 interrupted.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from examples.demo import backend, load, operator_release, stage, target
from examples.demo.backend import Backend
from examples.demo.client import Client
from examples.demo.summary import Summary
from tests.cluster.console import ClusterError
from tests.cluster.locks import exclusive


def main() -> int:
    """Run the demo and return the exit code."""
    as_written = argparse.RawDescriptionHelpFormatter
    argparse.ArgumentParser("python -m examples.demo", description=__doc__, formatter_class=as_written).parse_args()
    try:
        chosen = target.chosen(os.environ)
        queue = backend.chosen(os.environ)
        output = json_file(os.environ)
    except target.UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        with exclusive(chosen.lock, "demo", timeout=5):
            return conclude(run(chosen, queue), output, chosen)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\ninterrupted. What runs on {chosen.name} goes on by itself. {_left(chosen)}")
        print("The same command starts the demo anew.")
        return 130


def json_file(environment: Mapping[str, str]) -> Path | None:
    """Where the summary is to be written; an error before the work rather than after it."""
    name = environment.get("DEMO_JSON")
    if not name:
        return None
    path = Path(name).absolute()
    if not path.parent.is_dir() or path.is_dir():
        raise target.UsageError(
            f"DEMO_JSON={name} can't be written: {path.parent} must be a folder, {path.name} a file"
        )
    return path


def run(chosen: target.Target, queue: Backend) -> Summary:
    """All steps, each with the time that it took."""
    step("programs", chosen.programs)
    step("cluster", chosen.cluster)
    print(f"on {chosen.name}, the queue on {queue.title}")
    references = step("images", chosen.images)
    client = chosen.client()
    step("namespace demo", lambda: open_namespace(client, queue))
    step("operator (Helm chart)", lambda: operator_release.install(client, references.operator, queue.chart_values))
    step("clearing an earlier demo", lambda: clear(client, queue))
    step(queue.title, lambda: queue.start(client, references))
    runner = step("examples/runner.yaml", lambda: stage.apply_runner(client, queue.runner(references.demo)))
    return step("load", lambda: load.follow(client, runner, queue.producer(references.demo)))


def open_namespace(client: Client, queue: Backend) -> None:
    """Make the namespace `demo`, and what the backend has to have before the operator comes."""
    stage.open_namespace(client)
    queue.prepare(client)


def clear(client: Client, queue: Backend) -> None:
    """Remove what an earlier demo has left, also one on another backend."""
    stage.clear(client)
    for other in backend.others(queue):
        other.remove(client)


def step[T](title: str, work: Callable[[], T]) -> T:
    """Do one step, saying so before and after it."""
    print(f"--- {title} ...", flush=True)
    begun = time.monotonic()
    result = work()
    print(f"--- {title}: done in {time.monotonic() - begun:.1f} s", flush=True)
    return result


def conclude(summary: Summary, output: Path | None, chosen: target.Target) -> int:
    """Print and write the summary; the exit code says whether it is as it must be."""
    print()
    for line in summary.lines():
        print(line)
    if output:
        output.write_text(json.dumps(summary.to_json(), indent=2) + "\n")
        print(f"written to {output}")
    print(f"\n{_left(chosen)}")
    for problem in summary.problems:
        print(f"FAILED: {problem}", file=sys.stderr)
    return 1 if summary.problems else 0


def _left(chosen: target.Target) -> str:
    look = chosen.kubectl.format(f"describe mtr reports --namespace {stage.NAMESPACE}")
    return f"Look around with `{look}`; stop it all with `{chosen.afterwards}`."


if __name__ == "__main__":
    sys.exit(main())
