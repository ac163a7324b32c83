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
# A task runs until TaskQueue.let_end names it, and outlives an outage of the Redis that it asks.
WAITS = (
    WORKING.replace("    time.sleep(seconds)\n", f"    while not may_end({ENDING!r}, name):\n        time.sleep(0.2)\n")
    + """

def may_end(names: str, name: str) -> bool:
    try:
        return bool(records.sismember(names, name))
    except (OSError, RedisError):
        return False
"""
)
for ours, theirs in (
    ("import Redis\n", "import Redis\nfrom redis.exceptions import RedisError\n"),
    ('"redis://redis:6379"))', '"redis://redis:6379"), socket_timeout=5)'),
):
    assert ours in WAITS
    WAITS = WAITS.replace(ours, theirs)
# Where the worker's own search for dead runners has begun, by pod: a Redis list.
RECOVERING = "e2e:recovering"
# Takes so long to import that one can meet it there.
SLOW = "import time\ntime.sleep(30)\n" + WORKING
LONG = WORKING[WORKING.index("@app.task\ndef long") : WORKING.index("def work")]
# A task does what its name begins with; `long` is a task that this module lacks.
ODD = (
    WORKING.replace("    time.sleep(seconds)\n", "    oddly(name, seconds)\n").replace(LONG, "")
    + """
import ctypes, signal, sys


def oddly(name: str, seconds: float) -> None:
    kind = name.partition("-")[0]
    if kind == "raises":
        raise ValueError(name)
    if kind == "exits":
        sys.exit(3)
    if kind == "dies" and str(records.lrange(EXECUTIONS, 0, -1)).count(name) == 1:
        os._exit(3)
    if kind == "deaf":
        ctypes.CDLL(None).signal(int(signal.SIGTERM), ctypes.c_void_p(1))  # SIG_IGN, for the whole process
    if kind == "holds":
        ctypes.PyDLL(None).sleep(int(seconds))  # PyDLL keeps the GIL: no other thread of the process runs
    else:
        time.sleep(seconds)
"""
)
# What WAITS is, and the first search for dead runners in pynenc's atomic slot does not end.
STUCK_RECOVERY = (
    WAITS
    + f"""
from pynenc_redis.orchestrator.redis_orchestrator import RedisOrchestrator

search = RedisOrchestrator.get_running_invocations_for_recovery


def slowly(self):
    if records.rpush({RECOVERING!r}, socket.gethostname()) == 1:
        time.sleep(100000)
    return search(self)


RedisOrchestrator.get_running_invocations_for_recovery = slowly
"""
)
assert GROWS != WORKING != WAITS
assert ODD.count("oddly(name, seconds)") == 1


def write(pool: Pool, source: str) -> None:
    """Say what the module is in pods that start from now on."""
    data = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "tasks"}, "data": {"tasks.py": source}}
    pool.kubectl("apply", "-f", "-", input=json.dumps(data))


def template(**worker: Any) -> Json:
    """The `spec.template` with which a pool's workers import the written module; `worker`: more of their container."""
    mount = {"name": "tasks", "mountPath": "/app/reports/tasks.py", "subPath": "tasks.py"}
    container = {"name": "worker", "volumeMounts": [mount], **worker}
    return {"spec": {"containers": [container], "volumes": [{"name": "tasks", "configMap": {"name": "tasks"}}]}}


def hold(pool: Pool, *names: str, source: str = WAITS, **spec: Any) -> None:
    """As many busy workers as there are tasks; each task runs until TaskQueue.let_end names it."""
    write(pool, source)
    pool.apply(**{"template": template(), **spec})
    pool.enqueue(*(("long", 0, name) for name in names))
    pool.until_begun(*names)
