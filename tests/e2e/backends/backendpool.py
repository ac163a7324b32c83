"""A runner on any backend, and its producer: a pod of the workers' image, which has what the backend takes.

Where they ran the tasks note in the Redis of the namespace, whatever the backend is, but for SQLite: in its file.
"""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from examples.demo.backend import read, with_image
from tests.cluster.paths import ROOT
from tests.e2e.backends.served import Backend, Served
from tests.e2e.kubernetes import apply, kubectl
from tests.e2e.pool import Pool
from tests.e2e.taskqueue import APP_ID, TaskQueue

type Json = dict[str, Any]

_MODULES = ("producer.py", "stray.py")


class BackendPool(Pool):
    """The runner `reports`, on this backend."""

    served: Served

    def __init__(self, name: str, backend: Backend, folder: Path, at_the_end: ExitStack) -> None:
        """`at_the_end` ends the server, too: a story that is cut off does not come to it."""
        self.backend = backend
        self._folder = folder
        self._serving = ExitStack()
        at_the_end.callback(self._serving.close)
        with ExitStack() as on_failure:
            on_failure.push(self._serving)
            super().__init__(name)
            on_failure.pop_all()

    def close(self) -> None:
        with self._serving:
            super().close()

    def apply(self, **spec: Any) -> None:
        super().apply(**{"image": self.backend.image.name, "backend": self.served.spec, **spec})

    def _make_queue(self, redis_url: str) -> TaskQueue:
        self.served = self._serving.enter_context(self.backend.serve(self._folder, self.namespace))
        for each in _producer(self.backend, self.served):
            apply(each, self.namespace)
        return PodQueue(redis_url, self.namespace)


class PodQueue(TaskQueue):
    """The app as a producer in a pod knows it: only Redis' indexes can be read from outside."""

    def __init__(self, redis_url: str, namespace: str) -> None:
        kubectl("wait", "-n", namespace, "pod/producer", "--for=condition=Ready", "--timeout=90s")
        inside = ("kubectl", "exec", "-i", "-n", namespace, "producer", "--")
        super().__init__(redis_url, (*inside, "python", "-m", "tests.e2e.producer"))

    def begun(self) -> list[Json]:
        self._tell({"noted": True})
        noted: list[Json] = json.loads(self._line())
        return noted

    def succeeded(self) -> int:
        return sum(history[-1:] == ["success"] for history in self.histories().values())

    def unfinished(self) -> int:
        return sum(history[-1:] != ["success"] for history in self.histories().values())


def _producer(backend: Backend, served: Served) -> tuple[Json, Json]:
    """The pod of examples/producer.yaml, kept waiting for tests/e2e/producer.py, and a ConfigMap with that."""
    sources = {name: (ROOT / "tests" / "e2e" / name).read_text() for name in _MODULES}
    modules = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "producer"}, "data": sources}
    environment = {
        **served.environment,
        "PYNENC__APP_ID": APP_ID,
        "PYNENC__LOGGING_LEVEL": "warning",
        "PYTHONPATH": "/app:/producer",
    }
    (job,) = read("producer.yaml")
    spec = with_image(job, backend.image.name)["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    container["command"] = ["sleep", "3600"]
    container["env"] = [{"name": name, "value": value} for name, value in environment.items()]
    container["volumeMounts"] += [
        {"name": "modules", "mountPath": "/producer/tests/e2e"},
        *served.volumes.get("volumeMounts", ()),
    ]
    spec["volumes"] += [{"name": "modules", "configMap": {"name": "producer"}}, *served.volumes.get("volumes", ())]
    return modules, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "producer"}, "spec": spec}
