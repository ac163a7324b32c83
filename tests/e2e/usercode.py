"""The module `reports.tasks` as workers see it, replaced by a ConfigMap: it hangs, crashes, eats memory or waits."""

import json
from typing import Any

from tests.cluster.paths import ROOT
from tests.e2e.pool import Pool
from tests.e2e.taskqueue import ENDING

type Json = dict[str, Any]

WORKING = (ROOT / "examples" / "reports" / "tasks.py").read_text()
HANGS = "import time\ntime.sleep(100000)\n"
CRASHES = "raise RuntimeError('this module is broken')\n"
# At its first run, a task whose name begins so takes memory until it is killed.
GREEDY = "greedy"
GROWS = WORKING.replace(
    "    time.sleep(seconds)\n",
    f"    if name.startswith({GREEDY!r}) and str(records.lrange(EXECUTIONS, 0, -1)).count(name) == 1:\n"
    "        held = [bytearray(b'x' * 1_000_000) for _ in range(100_000)]\n"
    "    time.sleep(seconds)\n",
)
# A task runs until TaskQueue.let_end names it.
WAITS = WORKING.replace(
    "    time.sleep(seconds)\n",
    f"    while not records.sismember({ENDING!r}, name):\n        time.sleep(0.2)\n",
)
assert GROWS != WORKING != WAITS


def write(pool: Pool, source: str) -> None:
    """Say what the module is in pods that start from now on."""
    data = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "tasks"}, "data": {"tasks.py": source}}
    pool.kubectl("apply", "-f", "-", input=json.dumps(data))


def template(**worker: Any) -> Json:
    """The `spec.template` with which a pool's workers import the written module; `worker`: more of their container."""
    mount = {"name": "tasks", "mountPath": "/app/reports/tasks.py", "subPath": "tasks.py"}
    container = {"name": "worker", "volumeMounts": [mount], **worker}
    return {"spec": {"containers": [container], "volumes": [{"name": "tasks", "configMap": {"name": "tasks"}}]}}
