"""Worker pods that know nothing of this project: the same image with pynenc's own `pynenc runner start`."""

from pathlib import Path
from typing import Any

from tests.e2e.objects import RESTRICTED
from tests.e2e.taskqueue import APP_ID

type Json = dict[str, Any]

LABELS = {"app": "stock"}
SELECTOR = "app=stock"
URL = "redis://redis:6379"
NAME = "stock"
ONCE = Path(__file__).with_name("oncerunner.py")
COMMAND = ["/opt/venv/bin/pynenc", "--app", "reports.tasks", "runner", "start"]
MAX_THREADS = "PYNENC__CONFIGTHREADRUNNER__MAX_THREADS"
_KINDS = {
    "BROKER": "RedisBroker",
    "ORCHESTRATOR": "RedisOrchestrator",
    "STATE_BACKEND": "RedisStateBackend",
    "TRIGGER": "RedisTrigger",
    "CLIENT_DATA_STORE": "RedisClientDataStore",
}
ENVIRONMENT = {
    **{f"PYNENC__{part}_CLS": kind for part, kind in _KINDS.items()},
    "PYNENC__APP_ID": APP_ID,
    "PYNENC__REDIS_URL": URL,
    "PYNENC__RUNNER_CLS": "ThreadRunner",
    "PYNENC__CONFIGTHREADRUNNER__MIN_THREADS": "1",
    "REPORTS_REDIS_URL": URL,
}


def template(restart: str = "Always", threads: int = 1) -> Json:
    """The pods' template; no resources are asked for, as of the operator's pods."""
    environment = {**ENVIRONMENT, MAX_THREADS: str(threads)}
    container = {
        "name": "worker",
        "image": "localhost/pynenc-demo:dev",
        "command": COMMAND,
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "securityContext": {**RESTRICTED, "runAsUser": 65532},
    }
    spec = {
        "containers": [container],
        "restartPolicy": restart,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
    }
    return {"metadata": {"labels": LABELS}, "spec": spec}


def deployment(replicas: int = 0, threads: int = 1, name: str = NAME) -> Json:
    """A Deployment of them."""
    pods = template(threads=threads)
    pods["metadata"]["labels"] = chosen = {**LABELS, "of": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": chosen}, "template": pods},
    }


def once_template() -> Json:
    """The template of a Job's pod: the same runner, which ends when it has had nothing to do for some seconds."""
    pod = template("Never")
    [container] = pod["spec"]["containers"]
    container["command"] = ["/opt/venv/bin/python", f"/once/{ONCE.name}"]
    container["volumeMounts"] = [{"name": "once", "mountPath": "/once"}]
    pod["spec"]["volumes"] = [{"name": "once", "configMap": {"name": "once"}}]
    return pod


def once_configuration() -> Json:
    """The ConfigMap with the module that those pods run."""
    data = {ONCE.name: ONCE.read_text()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "once"}, "data": data}
