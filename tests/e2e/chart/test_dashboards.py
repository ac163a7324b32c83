"""Both dashboards on a real run: Prometheus has scraped an operator and its workers through work and trouble.

With PREVIEW=FOLDER what the queries find is left there, for the pictures of docs/dashboards.
"""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.e2e import usercode
from tests.e2e.chart.discovery import Discovery
from tests.e2e.kubernetes import get, kubectl, wait_until
from tests.e2e.pool import Pool
from tests.e2e.release import Release
from tests.integration.chart.prometheus.server import PrometheusServer
from tests.unit.chart.dashboards import DASHBOARDS, Json, filled_in, load, targets, variables

OPERATOR = Release("pynenc-operator", "pynenc-watched")
RATE_INTERVAL = "15s"


class RealRun:
    """A Prometheus, and when what it has seen began and ended (Unix seconds)."""

    def __init__(self, prometheus: PrometheusServer, began: float, ended: float) -> None:
        self.prometheus = prometheus
        self.began = began
        self.ended = ended

    def ask(self, dashboard: Json, target: Json) -> list[Json]:
        """What a panel's query finds over the whole run, with `All` of each variable."""
        values = {"__rate_interval": RATE_INTERVAL} | {each["name"]: each["allValue"] for each in variables(dashboard)}
        query = filled_in(target["expr"], values)
        found: list[Json] = self.prometheus.ask("query_range", query=query, start=self.began, end=self.ended, step=1)[
            "result"
        ]
        return found


@pytest.fixture(scope="module")
def real_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRun]:
    folder = tmp_path_factory.mktemp("prometheus")
    OPERATOR.install()
    with ExitStack() as stack:
        discovery = Discovery(folder)
        stack.callback(discovery.close)
        prometheus = PrometheusServer(folder, discovery.scrape_configs(), [])
        stack.callback(prometheus.stop)
        prometheus.start()
        began = time.time()
        work_and_trouble(stack)
        yield RealRun(prometheus, began, time.time() - 1)


def work_and_trouble(stack: ExitStack) -> None:
    """A pool that works and loses a worker, one of broken code, one whose broker goes; and a right that is gone."""
    working, broken, stranded = (Pool(name) for name in ("working", "broken", "stranded"))
    for pool in (working, broken, stranded):
        stack.callback(pool.close)
    stranded.apply(minReplicas=1)
    working.apply(maxReplicas=4, maxThreads=2)
    working.enqueue(("long", 8.0, "lost"))
    working.until_begun("lost")
    working.signal(working.queue.where("lost"), signal.SIGKILL)

    usercode.write(broken, usercode.CRASHES)
    with right_taken_away():
        broken.apply(minReplicas=1, template=usercode.template())
        wait_until(lambda: "is forbidden" in OPERATOR.log(), "the operator is refused")
    wait_until(lambda: broken.condition("Progressing")[0] == "False", "pods of the broken code have failed")

    stranded.until_states("idle")
    stranded.kubectl("scale", "deployment/redis", "--replicas=0")
    wait_until(lambda: stranded.condition("BrokerReachable")[0] == "False", "the broker is gone")
    working.enqueue(*(("short", 1.0, f"s{n}") for n in range(24)), ("long", 12.0, "l"))
    working.until_succeeded(again=("lost",))
    wait_until(lambda: working.status()["replicas"] == 0, "the one that recovers has searched, and left")
    time.sleep(10)  # a few scrapes more, of how it left


@contextmanager
def right_taken_away() -> Iterator[None]:
    """The operator may not list pods."""
    role = get("clusterrole", f"{OPERATOR.name}.{OPERATOR.namespace}")
    del role["metadata"]["resourceVersion"]  # it is replaced twice
    [pods] = [rule for rule in role["rules"] if rule["resources"] == ["pods"]]
    pods["verbs"].remove("list")
    kubectl("replace", "-f", "-", input=json.dumps(role))
    try:
        yield
    finally:
        pods["verbs"].append("list")
        kubectl("replace", "-f", "-", input=json.dumps(role))


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda path: path.stem)
def test_every_panels_query_finds_something(real_run: RealRun, file: Path) -> None:
    dashboard = load(file)
    found = {name: real_run.ask(dashboard, target) for name, target in targets(dashboard)}
    assert [name for name, series in found.items() if not any(values["values"] for values in series)] == []
    if folder := os.environ.get("PREVIEW"):
        (Path(folder) / file.name).write_text(json.dumps({"began": real_run.began, "found": found}))
