"""The queue of one runner, from a producer's side: calling tasks, and what became of them."""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from redis import Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from tests.cluster.paths import ROOT
from tests.e2e.kubernetes import wait_until

type Json = dict[str, Any]
type Task = tuple[str, float, str]  # short, long or stray (see stray.py), seconds, name

APP_ID = "reports"
ENDING = "e2e:ending"  # a Redis set: the names of tasks that may end, see usercode.WAITS
# pynenc's runners call these by themselves and run them like any other; this project's workers never queue them.
CORE_TASKS = ("pynenc.core_tasks.recover_pending_invocations", "pynenc.core_tasks.recover_running_invocations")
_RETRY = Retry(ConstantBackoff(0.2), 5)  # of a story that breaks the connections of all
# What a task goes through that is taken once and never given back.
UNDISTURBED = ["registered", "pending", "running", "success"]


class TaskQueue:
    """The app `reports` on a Redis."""

    def __init__(self, url: str, producer: Sequence[str] = (sys.executable, "-m", "tests.e2e.producer")) -> None:
        """`producer`: the command that starts one."""
        self._url = url
        self._redis = Redis.from_url(url, socket_timeout=10, retry=_RETRY)
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in close()
        self._producer = subprocess.Popen(
            producer,
            env=_environment(url),
            cwd=Path("/"),  # pynenc reads a pyproject.toml where it starts
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )

    def until_ready(self) -> None:
        """Wait until Redis answers and the producer has loaded the app, which takes it a second or two."""
        self.until_it_answers()
        self._expect("ready")

    def until_it_answers(self) -> None:
        """Wait until Redis answers on a new connection: an open one outlives that its Service leads nowhere."""
        wait_until(self._answers, "Redis answers", 60)

    def close(self) -> None:
        self._producer.kill()
        self._producer.communicate()
        self._said.close()
        self._redis.close()

    def enqueue(self, *tasks: Task) -> None:
        """Call tasks; returns when the broker has them."""
        self._tell({"call": tasks})
        self._expect("called")

    def let_end(self, *names: str) -> None:
        """Let tasks of usercode.WAITS end."""
        self._redis.sadd(ENDING, *names)

    def histories(self) -> dict[str, list[str]]:
        """The pynenc statuses that each task has had, in order."""
        self._tell({"histories": True})
        answer: dict[str, list[str]] = json.loads(self._line())
        return answer

    def executions(self) -> Counter[str]:
        """How often each task has begun."""
        return Counter(execution["name"] for execution in self.begun())

    def where(self, name: str) -> str:
        """The pod in which a task has begun; empty before that."""
        return next((str(execution["pod"]) for execution in self.begun() if execution["name"] == name), "")

    def begun(self) -> list[Json]:
        """What each execution has left when it began: name, pod, started (Unix seconds)."""
        return [json.loads(line) for line in self._redis.lrange("demo:executions", 0, -1)]

    def succeeded(self) -> int:
        """How many tasks have succeeded, pynenc's own left out, from the indexes that its Redis plugin keeps."""
        index = f"__pynenc__:{APP_ID}:orchestrator"
        return len(self._redis.sdiff([f"{index}:status:success", *(f"{index}:task:{name}" for name in CORE_TASKS)]))

    def unfinished(self) -> int:
        """How many invocations stand as taken or running."""
        index = f"__pynenc__:{APP_ID}:orchestrator:status"
        return sum(int(self._redis.scard(f"{index}:{status}")) for status in ("pending", "running"))

    def names(self, of: str) -> list[str]:
        """What a module of usercode has noted in a Redis list."""
        found = self._redis.lrange(of, 0, -1)
        return [entry.decode() if isinstance(entry, bytes) else entry for entry in found]

    def length(self) -> int:
        return int(self._redis.llen(f"__pynenc__:{APP_ID}:broker:default_queue"))

    def _answers(self) -> bool:
        try:
            with Redis.from_url(self._url, socket_timeout=10) as new:
                return bool(new.ping())
        except RedisError:
            return False

    def _tell(self, what: Json) -> None:
        assert self._producer.stdin
        self._producer.stdin.write(json.dumps(what) + "\n")
        self._producer.stdin.flush()

    def _line(self) -> str:
        assert self._producer.stdout
        line = self._producer.stdout.readline()
        if not line:
            self._said.seek(0)
            raise AssertionError(f"the producer has ended: {self._said.read()}")
        return line

    def _expect(self, word: str) -> None:
        while (line := self._line()).strip() != word:  # pynenc may print warnings of its own
            assert not line.startswith("{"), line


def components(prefix: str) -> dict[str, str]:
    """The variables by which a producer's pynenc takes all its parts from one plugin."""
    parts = {"broker": "Broker", "orchestrator": "Orchestrator", "state_backend": "StateBackend"}
    parts |= {"trigger": "Trigger", "client_data_store": "ClientDataStore"}
    return {f"PYNENC__{name.upper()}_CLS": f"{prefix}{kind}" for name, kind in parts.items()}


def _environment(url: str) -> dict[str, str]:
    return {
        **os.environ,
        **components("Redis"),
        "PYNENC__APP_ID": APP_ID,
        "PYNENC__REDIS_URL": url,
        "PYNENC__LOGGING_LEVEL": "warning",
        "REPORTS_REDIS_URL": url,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "examples")]),
    }
